// The C exchange API of DLPack 1.x: a tensor's facts in one call, where its type offers it (torch
// does from 2.10 on).  Everything that it cannot tell is left to the tensor's Python interface.
#pragma once

#define Py_LIMITED_API 0x030A0000
#include <Python.h>

namespace aiter_prebuilt {

// What a tensor on a GPU says of itself.
struct TensorFacts
{
    void* data;
    int device;        // index of the GPU
    const char* dtype; // as torch prints it without "torch."
    bool contiguous;
    int ndim;
    long long first, second, last; // sizes; those of dimensions that it does not have are -1
    bool empty;
};

// False, with no Python exception, where the type has no exchange API of a version that is known,
// the tensor is not on a GPU, or its dtype is not one of ours.
bool read_facts(PyObject* tensor, TensorFacts* out);

} // namespace aiter_prebuilt
