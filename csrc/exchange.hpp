// The C exchange API of DLPack 1.x: a tensor's facts and its framework's current stream, a call
// each, where the tensor's type offers it (torch does from 2.10 on).  Everything that it cannot
// tell is left to the tensor's Python interface.
#pragma once

#include <cstdint>

#include "dtype.hpp"
#include "python.hpp"
#include "state.hpp"

namespace aiter_prebuilt {

// What a tensor on a GPU says of itself.
struct TensorFacts
{
    const ExchangeApi* api; // of its type
    void* data;
    std::int32_t device_type; // DLPack's, as the tensor has it
    int device;               // index of the GPU
    Dtypes dtype;
    bool contiguous;
    bool empty;
    long long first, second, last; // sizes; those of dimensions that it does not have are -1
};

// kNo where the type has no exchange API of a version that is known, the tensor is not on a GPU, or
// its dtype is not one of ours.
Answer read_facts(State& state, PyObject* tensor, TensorFacts* out) noexcept;

// The stream that the tensor's framework works on now, on the tensor's GPU.
Answer exchange_stream(const TensorFacts& facts, void** stream) noexcept;

} // namespace aiter_prebuilt
