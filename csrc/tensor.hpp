// Tensors without any header of torch, so that one binary serves every torch: by DLPack's exchange
// API, else by the methods that a tensor has in Python.
#pragma once

#include "dtype.hpp"
#include "exchange.hpp"
#include "python.hpp"
#include "state.hpp"

namespace aiter_prebuilt {

// What a tensor parameter has to be; every violation is a Python exception that names it.
struct TensorRule
{
    const char* name;
    Dtypes dtypes; // the ones allowed; 0: any
    bool optional;
};

inline constexpr int kAnyGpu = -1;

struct Tensor
{
    PyObject* object = nullptr; // borrowed; null where an optional one is None
    void* data       = nullptr;
    int device       = kAnyGpu;
    bool empty       = false; // no element: nothing to compute, as AITER takes it
    bool known       = false; // whether the exchange API gave `facts`
    TensorFacts facts;
};

// Checks `object` against `rule` and the GPU (kAnyGpu: it only has to lie on one) and fills `out`;
// false with a Python exception.
bool read_tensor(State& state, PyObject* object, const TensorRule& rule, int device,
                 Tensor* out) noexcept;

// size(dim) of a tensor that was read, dim 0, 1 or -1; false with a Python exception.
bool size_of(const State& state, const Tensor& tensor, int dim, long long* out) noexcept;

// The raw current stream of the GPU of `tensor`; false with a Python exception.
bool current_stream(State& state, const Tensor& tensor, void** stream) noexcept;

} // namespace aiter_prebuilt
