// What one module object keeps between calls.  Each interpreter, and each further import of the
// file, has its own; nothing that changes is kept anywhere else.
#pragma once

#include "dtype.hpp"
#include "python.hpp"

namespace aiter_prebuilt {

struct ExchangeApi;

// The methods and attributes that a tensor is asked for where it has no exchange API.
enum Name
{
    kDataPtr,
    kDtype,
    kGetDevice,
    kIsContiguous,
    kNumel,
    kSize,
    kNameCount
};

// CPython gives the memory zeroed; all pointers to objects are owned.
struct State
{
    PyObject* names[kNameCount]; // interned

    // Called for calls that the module does not cover: (function, reason, args, kwargs) -> result.
    PyObject* uncovered;

    // Whether it was said that an instance answered for one whose numbers are wrong: once will do.
    bool told_replaced;

    // torch._C._cuda_getCurrentRawStream, from the first call on that needs it.
    PyObject* raw_stream;

    // torch's dtypes are few and live as long as it does, so that a call compares pointers.
    static constexpr int kDtypeMax = 32;
    struct
    {
        PyObject* object;
        Dtypes dtype;
    } dtypes[kDtypeMax];
    int dtype_count;

    // Types of tensors are few (Tensor, Parameter); api is null where one offers none.
    static constexpr int kTypeMax = 8;
    struct
    {
        PyObject* type;
        const ExchangeApi* api;
    } types[kTypeMax];
    int type_count;
};

// The state of a module of ours; CPython calls none of our functions on one that has none yet.
inline State& state_of(PyObject* module) noexcept
{
    return *static_cast<State*>(PyModule_GetState(module));
}

// Fills a zeroed state; false with a Python exception.
bool init(State& state) noexcept;

int traverse(const State& state, visitproc visit, void* arg) noexcept;

// Drops what can be part of a reference cycle.
void clear(State& state) noexcept;

// Drops everything.
void free(State& state) noexcept;

} // namespace aiter_prebuilt
