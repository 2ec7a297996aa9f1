#include "dtype.hpp"

#include <cstdio>
#include <cstring>

namespace aiter_prebuilt {

namespace {

struct Entry
{
    Dtypes dtype;
    const char* name;
};

constexpr Entry kEntries[] = {
    {dtype::int4, "int4"},
    {dtype::int8, "int8"},
    {dtype::int32, "int32"},
    {dtype::uint8, "uint8"},
    {dtype::uint32, "uint32"},
    {dtype::float16, "float16"},
    {dtype::bfloat16, "bfloat16"},
    {dtype::float32, "float32"},
    {dtype::float8_e4m3fn, "float8_e4m3fn"},
    {dtype::float8_e8m0fnu, "float8_e8m0fnu"},
    {dtype::float4_e2m1fn_x2, "float4_e2m1fn_x2"},
};

} // namespace

Dtypes dtype_named(const char* name) noexcept
{
    for(const Entry& entry : kEntries)
    {
        if(std::strcmp(entry.name, name) == 0)
        {
            return entry.dtype;
        }
    }
    return 0;
}

void print_dtypes(Dtypes set, char* text, std::size_t size) noexcept
{
    std::size_t used = 0;
    text[0]          = '\0';
    for(const Entry& entry : kEntries)
    {
        if((set & entry.dtype) != 0 && used < size)
        {
            used += static_cast<std::size_t>(
                std::snprintf(text + used, size - used, "%s%s", used == 0 ? "" : "|", entry.name));
        }
    }
}

} // namespace aiter_prebuilt
