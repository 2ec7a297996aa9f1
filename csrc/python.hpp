// CPython's headers, included through here alone: the limited API of 3.10, so that one binary
// serves every CPython from then on (cpython_floor in the manifest).
#pragma once

#define Py_LIMITED_API 0x030A0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <utility>

namespace aiter_prebuilt {

// An owned reference; null after a Python error.
class Ref
{
public:
    explicit Ref(PyObject* object = nullptr) noexcept : object_(object) {}
    ~Ref() { Py_XDECREF(object_); }
    Ref(Ref&& other) noexcept : object_(other.release()) {}
    Ref(const Ref&)            = delete;
    Ref& operator=(const Ref&) = delete;

    // A reference of one's own to an object that somebody else owns.
    static Ref to(PyObject* object) noexcept
    {
        Py_XINCREF(object);
        return Ref(object);
    }

    PyObject* get() const noexcept { return object_; }
    PyObject* release() noexcept { return std::exchange(object_, nullptr); }
    explicit operator bool() const noexcept { return object_ != nullptr; }

private:
    PyObject* object_;
};

// What a question to Python gave.
enum class Answer
{
    kYes,
    kNo,    // and no Python exception is set
    kError, // a Python exception is set
};

// Clears the exception by which an interface said that it cannot answer, so that another one can be
// asked.  What is not about the question stays set (KeyboardInterrupt, SystemExit, MemoryError).
inline Answer refused_or_error() noexcept
{
    if(PyErr_Occurred() == nullptr)
    {
        return Answer::kNo; // against the interface's own rules, but no reason to fail
    }
    if(!PyErr_ExceptionMatches(PyExc_Exception) || PyErr_ExceptionMatches(PyExc_MemoryError))
    {
        return Answer::kError;
    }
    PyErr_Clear();
    return Answer::kNo;
}

} // namespace aiter_prebuilt
