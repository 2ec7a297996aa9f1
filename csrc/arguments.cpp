#include "arguments.hpp"

#include <climits>

namespace aiter_prebuilt {

int Arguments::position_of(PyObject* keyword) const noexcept
{
    for(int i = 0; i < signature_.count; ++i)
    {
        const Parameter& parameter = signature_.parameters[i];
        if(PyUnicode_CompareWithASCIIString(keyword, parameter.name) == 0 ||
           (parameter.alias != nullptr &&
            PyUnicode_CompareWithASCIIString(keyword, parameter.alias) == 0))
        {
            return i;
        }
    }
    return -1;
}

bool Arguments::bind_keyword(PyObject* keyword, PyObject* value) noexcept
{
    const int at = position_of(keyword);
    if(at < 0)
    {
        PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'",
                     signature_.function, keyword);
        return false;
    }
    if(values_[at] != nullptr)
    {
        PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%s'",
                     signature_.function, signature_.parameters[at].name);
        return false;
    }
    values_[at] = value;
    return true;
}

bool Arguments::bind(const Given& given) noexcept
{
    if(given.positional > signature_.count)
    {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %d arguments (%zd given)",
                     signature_.function, signature_.count, given.positional);
        return false;
    }
    for(Py_ssize_t i = 0; i < given.positional; ++i)
    {
        values_[i] = given.args[i];
    }
    const Py_ssize_t keywords =
        given.keyword_names == nullptr ? 0 : PyTuple_Size(given.keyword_names);
    for(Py_ssize_t i = 0; i < keywords; ++i)
    {
        PyObject* keyword = PyTuple_GetItem(given.keyword_names, i);
        if(!bind_keyword(keyword, given.args[given.positional + i]))
        {
            return false;
        }
    }
    for(int i = 0; i < signature_.count; ++i)
    {
        if(values_[i] == nullptr && signature_.parameters[i].required)
        {
            PyErr_Format(PyExc_TypeError, "%s() missing required argument '%s' (pos %d)",
                         signature_.function, signature_.parameters[i].name, i + 1);
            return false;
        }
    }
    return true;
}

bool Arguments::wrong(Argument which, const char* expected) const noexcept
{
    PyErr_Format(PyExc_TypeError, "%s() argument '%s' is %R, expected %s", signature_.function,
                 name(which), get(which), expected);
    return false;
}

bool Arguments::read(Argument which, int* out) const noexcept
{
    if(!given(which))
    {
        *out = parameter(which).fallback;
        return true;
    }
    int overflow     = 0;
    const long value = PyLong_AsLongAndOverflow(get(which), &overflow);
    if(value == -1 && overflow == 0 && PyErr_Occurred() != nullptr)
    {
        if(PyIndex_Check(get(which)))
        {
            return false; // raised by the object's own __index__
        }
        PyErr_Clear(); // CPython's, which does not name the argument
        return wrong(which, "a 32-bit int");
    }
    if(overflow != 0 || value < INT_MIN || value > INT_MAX)
    {
        return wrong(which, "a 32-bit int");
    }
    *out = static_cast<int>(value);
    return true;
}

bool Arguments::read(Argument which, bool* out) const noexcept
{
    PyObject* value = get(which);
    if(!given(which))
    {
        *out = parameter(which).fallback != 0;
        return true;
    }
    const int truth = value == Py_True ? 1 : value == Py_False ? 0 : PyObject_IsTrue(value);
    *out            = truth == 1;
    return truth >= 0;
}

bool Arguments::read(Argument which, std::string_view* out) const noexcept
{
    *out = "";
    if(!given(which))
    {
        return true;
    }
    if(!PyUnicode_Check(get(which)))
    {
        return wrong(which, "str or None");
    }
    Py_ssize_t size  = 0;
    const char* text = PyUnicode_AsUTF8AndSize(get(which), &size);
    if(text == nullptr)
    {
        return false;
    }
    *out = {text, static_cast<std::size_t>(size)};
    return true;
}

} // namespace aiter_prebuilt
