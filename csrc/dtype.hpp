// The element types that tensors of a call can have: one bit each, so that a rule is a set of them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace aiter_prebuilt {

using Dtypes = std::uint32_t; // a set; 0: none of ours

// Under torch's names, which the generator writes into module tables.
namespace dtype {
inline constexpr Dtypes int4             = 1U << 0;
inline constexpr Dtypes int8             = 1U << 1;
inline constexpr Dtypes int32            = 1U << 2;
inline constexpr Dtypes uint8            = 1U << 3;
inline constexpr Dtypes uint32           = 1U << 4;
inline constexpr Dtypes float16          = 1U << 5;
inline constexpr Dtypes bfloat16         = 1U << 6;
inline constexpr Dtypes float32          = 1U << 7;
inline constexpr Dtypes float8_e4m3fn    = 1U << 8;
inline constexpr Dtypes float8_e8m0fnu   = 1U << 9;
inline constexpr Dtypes float4_e2m1fn_x2 = 1U << 10;
} // namespace dtype

// The one of torch's name without "torch."; 0 where it is none of ours.
Dtypes dtype_named(const char* name) noexcept;

// A DLPack type as one number.
constexpr std::uint32_t dlpack_type(std::uint8_t code, std::uint8_t bits,
                                    std::uint16_t lanes) noexcept
{
    return code | static_cast<std::uint32_t>(bits) << 8 | static_cast<std::uint32_t>(lanes) << 16;
}

// The one of a DLPack type; 0 where it is none of ours.
constexpr Dtypes dtype_of(std::uint32_t type) noexcept
{
    switch(type)
    {
    case dlpack_type(0, 4, 1):
        return dtype::int4;
    case dlpack_type(0, 8, 1):
        return dtype::int8;
    case dlpack_type(0, 32, 1):
        return dtype::int32;
    case dlpack_type(1, 8, 1):
        return dtype::uint8;
    case dlpack_type(1, 32, 1):
        return dtype::uint32;
    case dlpack_type(2, 16, 1):
        return dtype::float16;
    case dlpack_type(4, 16, 1):
        return dtype::bfloat16;
    case dlpack_type(2, 32, 1):
        return dtype::float32;
    case dlpack_type(10, 8, 1):
        return dtype::float8_e4m3fn;
    case dlpack_type(14, 8, 1):
        return dtype::float8_e8m0fnu;
    case dlpack_type(17, 4, 2):
        return dtype::float4_e2m1fn_x2;
    default:
        return 0;
    }
}

// Writes the names of a set, '|' between them; cut off where `size` is too small for all of them.
void print_dtypes(Dtypes set, char* text, std::size_t size) noexcept;

} // namespace aiter_prebuilt
