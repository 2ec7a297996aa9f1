#include "state.hpp"

#include <type_traits>
#include <utility>

namespace aiter_prebuilt {

// CPython allocates, zeroes and frees it.
static_assert(std::is_trivially_default_constructible_v<State> &&
              std::is_trivially_destructible_v<State>);

namespace {

// The slot is empty before the object's own code can run.
void drop(PyObject*& slot) noexcept
{
    Py_XDECREF(std::exchange(slot, nullptr));
}

} // namespace

bool init(State& state) noexcept
{
    constexpr const char* kTexts[kNameCount] = {"data_ptr",      "dtype", "get_device",
                                                "is_contiguous", "numel", "size"};
    for(int i = 0; i < kNameCount; ++i)
    {
        state.names[i] = PyUnicode_InternFromString(kTexts[i]);
        if(state.names[i] == nullptr)
        {
            return false;
        }
    }
    return true;
}

int traverse(const State& state, visitproc visit, void* arg) noexcept
{
    Py_VISIT(state.uncovered); // the macro wants the names `visit` and `arg`
    Py_VISIT(state.raw_stream);
    for(int i = 0; i < state.dtype_count; ++i)
    {
        Py_VISIT(state.dtypes[i].object);
    }
    for(int i = 0; i < state.type_count; ++i)
    {
        Py_VISIT(state.types[i].type);
    }
    return 0;
}

void clear(State& state) noexcept
{
    drop(state.uncovered);
    drop(state.raw_stream);
    while(state.dtype_count > 0)
    {
        drop(state.dtypes[--state.dtype_count].object);
    }
    while(state.type_count > 0)
    {
        drop(state.types[--state.type_count].type);
    }
}

void free(State& state) noexcept
{
    clear(state);
    for(PyObject*& name : state.names)
    {
        drop(name);
    }
}

} // namespace aiter_prebuilt
