#include "arguments.hpp"

#include <climits>
#include <cstring>

namespace aiter_prebuilt {

const Signature kStage1 = {"ck_moe_stage1",
                           1,
                           {"hidden_states", "w1", "w2", "sorted_token_ids", "sorted_expert_ids",
                            "num_valid_ids", "out", "topk", "kernelName", "w1_scale", "a1_scale",
                            "block_m", "sorted_weights", "quant_type", "activation", "splitk",
                            "use_non_temporal_load", "dst_type", "is_shuffled"}};

const Signature kStage2 = {"ck_moe_stage2",
                           2,
                           {"inter_states", "w1", "w2", "sorted_token_ids", "sorted_expert_ids",
                            "num_valid_ids", "out", "topk", "kernelName", "w2_scale", "a2_scale",
                            "block_m", "sorted_weights", "quant_type", "activation", "splitk",
                            "use_non_temporal_load", "dst_type", "is_shuffled"}};

namespace {

constexpr int kRequired = kTopK + 1;
// AITER's own binding calls the 17th parameter so, its stubs use the name in the signature.
constexpr const char* kNonTemporalAlias = "non_temporal_load";

int position_of(const Signature& signature, PyObject* keyword)
{
    for(int i = 0; i < kArgumentCount; ++i)
    {
        if(PyUnicode_CompareWithASCIIString(keyword, signature.names[i]) == 0)
        {
            return i;
        }
    }
    return PyUnicode_CompareWithASCIIString(keyword, kNonTemporalAlias) == 0 ? kNonTemporalLoad
                                                                             : -1;
}

bool bind_keyword(const Signature& signature, PyObject* keyword, PyObject* value, PyObject** values)
{
    const int at = position_of(signature, keyword);
    if(at < 0)
    {
        PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'",
                     signature.function, keyword);
        return false;
    }
    if(values[at] != nullptr)
    {
        PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%s'",
                     signature.function, signature.names[at]);
        return false;
    }
    values[at] = value;
    return true;
}

bool none_or_missing(PyObject* value)
{
    return value == nullptr || value == Py_None;
}

} // namespace

bool bind_arguments(const Signature& signature, PyObject* const* args, Py_ssize_t positional,
                    PyObject* keyword_names, PyObject** values)
{
    if(positional > kArgumentCount)
    {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %d arguments (%zd given)",
                     signature.function, static_cast<int>(kArgumentCount), positional);
        return false;
    }
    for(Py_ssize_t i = 0; i < positional; ++i)
    {
        values[i] = args[i];
    }
    const Py_ssize_t keywords = keyword_names == nullptr ? 0 : PyTuple_Size(keyword_names);
    for(Py_ssize_t i = 0; i < keywords; ++i)
    {
        PyObject* keyword = PyTuple_GetItem(keyword_names, i);
        if(!bind_keyword(signature, keyword, args[positional + i], values))
        {
            return false;
        }
    }
    for(int i = 0; i < kRequired; ++i)
    {
        if(values[i] == nullptr)
        {
            PyErr_Format(PyExc_TypeError, "%s() missing required argument '%s' (pos %d)",
                         signature.function, signature.names[i], i + 1);
            return false;
        }
    }
    return true;
}

bool int_argument(const Signature& signature, PyObject* const* values, Argument which,
                  int otherwise, int* out)
{
    if(none_or_missing(values[which]))
    {
        *out = otherwise;
        return true;
    }
    const Ref number(PyNumber_Index(values[which]));
    const long value = number ? PyLong_AsLong(number.get()) : -1;
    if(PyErr_Occurred() || value < INT_MIN || value > INT_MAX)
    {
        PyErr_Clear();
        PyErr_Format(PyExc_TypeError, "%s() argument '%s' is %R, expected a 32-bit int",
                     signature.function, signature.names[which], values[which]);
        return false;
    }
    *out = static_cast<int>(value);
    return true;
}

bool bool_argument(PyObject* const* values, Argument which, bool otherwise, bool* out)
{
    if(none_or_missing(values[which]))
    {
        *out = otherwise;
        return true;
    }
    const int truth = PyObject_IsTrue(values[which]);
    *out            = truth == 1;
    return truth >= 0;
}

bool text_argument(const Signature& signature, PyObject* const* values, Argument which, char* out,
                   std::size_t size)
{
    out[0] = '\0';
    if(none_or_missing(values[which]))
    {
        return true;
    }
    if(!PyUnicode_Check(values[which]))
    {
        PyErr_Format(PyExc_TypeError, "%s() argument '%s' is %R, expected str or None",
                     signature.function, signature.names[which], values[which]);
        return false;
    }
    const Ref bytes(PyUnicode_AsUTF8String(values[which]));
    const char* text = bytes ? PyBytes_AsString(bytes.get()) : nullptr;
    if(text == nullptr)
    {
        return false;
    }
    // A longer name is no instance's; cut off it stays unknown, which is what it is.
    std::strncpy(out, text, size - 1);
    out[size - 1] = '\0';
    return true;
}

} // namespace aiter_prebuilt
