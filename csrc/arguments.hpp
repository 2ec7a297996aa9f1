// The arguments of one call, by position or keyword, as the contract names them.
#pragma once

#include <string_view>

#include "contract.hpp"
#include "python.hpp"

namespace aiter_prebuilt {

// What CPython hands to a function (METH_FASTCALL | METH_KEYWORDS); everything is borrowed from the
// caller, who keeps it alive until the call is over.
struct Given
{
    PyObject* const* args;
    Py_ssize_t positional;
    PyObject* keyword_names; // a tuple, or null
};

class Arguments
{
public:
    explicit Arguments(const Signature& signature) noexcept : signature_(signature) {}

    // Sorts positional and keyword arguments.  False with a TypeError in CPython's wording.
    bool bind(const Given& given) noexcept;

    // The object that was given for `which`; null where none was.
    PyObject* get(Argument which) const noexcept { return values_[position(which)]; }
    bool given(Argument which) const noexcept
    {
        return get(which) != nullptr && get(which) != Py_None;
    }
    const char* name(Argument which) const noexcept { return parameter(which).name; }

    // Scalars; None stands for the contract's default.  False with a Python exception that names
    // the argument, or with whatever the object's own code raised.
    bool read(Argument which, int* out) const noexcept;
    bool read(Argument which, bool* out) const noexcept;

    // A string, "" where it is None or not given, as long as the argument lives; it ends in a zero.
    bool read(Argument which, std::string_view* out) const noexcept;

private:
    int position(Argument which) const noexcept { return signature_.at[static_cast<int>(which)]; }
    const Parameter& parameter(Argument which) const noexcept
    {
        return signature_.parameters[position(which)];
    }
    int position_of(PyObject* keyword) const noexcept;
    bool wrong(Argument which, const char* expected) const noexcept;
    bool bind_keyword(PyObject* keyword, PyObject* value) noexcept;

    const Signature& signature_;
    PyObject* values_[kMaxParameters] = {};
};

} // namespace aiter_prebuilt
