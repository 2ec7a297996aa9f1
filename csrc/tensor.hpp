// Tensors through their Python interface: no torch header, so that one binary serves every torch.
#pragma once

#define Py_LIMITED_API 0x030A0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "exchange.hpp"

namespace aiter_prebuilt {

// An owned reference; null after a Python error.
class Ref
{
public:
    explicit Ref(PyObject* object = nullptr) : object_(object) {}
    ~Ref() { Py_XDECREF(object_); }
    Ref(Ref&& other) noexcept : object_(other.object_) { other.object_ = nullptr; }
    Ref(const Ref&)            = delete;
    Ref& operator=(const Ref&) = delete;

    PyObject* get() const { return object_; }
    explicit operator bool() const { return object_ != nullptr; }

private:
    PyObject* object_;
};

// What a tensor parameter has to be; every violation is a Python exception that names it.
struct TensorRule
{
    const char* name;
    const char* dtypes; // as torch prints them without "torch.", '|' between; null: any
    bool optional;
};

struct Tensor
{
    PyObject* object = nullptr; // borrowed; null where an optional one is None
    void* data       = nullptr;
    bool empty       = false; // no element: nothing to compute, as AITER takes it
    bool known       = false; // whether the exchange API gave `facts`
    TensorFacts facts;
};

// Interns the names of tensor methods; call once before the others.
bool init_tensor_names();

// The index of the GPU that a tensor lies on; -1 with a Python exception where it lies on none.
int device_of(PyObject* tensor, const char* name);

// Checks `object` against `rule` and the device and fills `out`; false with a Python exception.
bool read_tensor(PyObject* object, const TensorRule& rule, int device, Tensor* out);

// size(dim) of a tensor that was read, dim 0, 1 or -1; -1 with a Python exception.
long long size_of(const Tensor& tensor, int dim);

// The raw current stream of a device; false with a Python exception.
bool current_stream(int device, void** stream);

} // namespace aiter_prebuilt
