#include "tensor.hpp"

#include <cstring>

namespace aiter_prebuilt {

namespace {

PyObject* name_data_ptr;
PyObject* name_dtype;
PyObject* name_get_device;
PyObject* name_is_contiguous;
PyObject* name_size;
PyObject* name_numel;
PyObject* raw_stream; // torch._C._cuda_getCurrentRawStream, looked up on first use

// dtype objects live as long as torch does; the few that were seen are kept with their verdict so
// that a call compares pointers instead of printing names.
struct SeenDtype
{
    PyObject* dtype;
    const char* rule;
};
constexpr int kSeenMax = 64;
SeenDtype seen[kSeenMax];
int seen_count;

PyObject* call(PyObject* object, PyObject* method)
{
    return PyObject_CallMethodObjArgs(object, method, nullptr);
}

// Whether `name` is one of the '|'-separated alternatives.
bool matches(const char* alternatives, const char* name)
{
    const std::size_t length = std::strlen(name);
    for(const char* at = alternatives; at != nullptr;)
    {
        const char* end          = std::strchr(at, '|');
        const std::size_t amount = end ? static_cast<std::size_t>(end - at) : std::strlen(at);
        if(amount == length && std::strncmp(at, name, length) == 0)
        {
            return true;
        }
        at = end ? end + 1 : nullptr;
    }
    return false;
}

// Prints a dtype's name without "torch." into `text`; false with a Python exception.
bool dtype_name(PyObject* dtype, char* text, std::size_t size)
{
    const Ref printed(PyObject_Str(dtype));
    const Ref bytes(printed ? PyUnicode_AsUTF8String(printed.get()) : nullptr);
    const char* full = bytes ? PyBytes_AsString(bytes.get()) : nullptr;
    if(full == nullptr)
    {
        return false;
    }
    const char* bare = std::strncmp(full, "torch.", 6) == 0 ? full + 6 : full;
    std::strncpy(text, bare, size - 1);
    text[size - 1] = '\0';
    return true;
}

bool check_name(const char* found, const TensorRule& rule)
{
    if(matches(rule.dtypes, found))
    {
        return true;
    }
    PyErr_Format(PyExc_TypeError, "%s has dtype %s, expected %s", rule.name, found, rule.dtypes);
    return false;
}

bool check_dtype(PyObject* tensor, const TensorRule& rule)
{
    const Ref dtype(PyObject_GetAttr(tensor, name_dtype));
    if(!dtype)
    {
        return false;
    }
    for(int i = 0; i < seen_count; ++i)
    {
        if(seen[i].dtype == dtype.get() && seen[i].rule == rule.dtypes)
        {
            return true;
        }
    }
    char found[64];
    if(!dtype_name(dtype.get(), found, sizeof found))
    {
        return false;
    }
    if(!check_name(found, rule))
    {
        return false;
    }
    if(seen_count < kSeenMax)
    {
        Py_INCREF(dtype.get());
        seen[seen_count++] = {dtype.get(), rule.dtypes};
    }
    return true;
}

// 1 true, 0 false, -1 with a Python exception.
int truth_of(PyObject* tensor, PyObject* method)
{
    const Ref answer(call(tensor, method));
    return answer ? PyObject_IsTrue(answer.get()) : -1;
}

bool check_contiguous(int contiguous, const TensorRule& rule)
{
    if(contiguous == 0)
    {
        PyErr_Format(PyExc_ValueError, "%s is not contiguous; pass %s.contiguous()", rule.name,
                     rule.name);
    }
    return contiguous == 1;
}

bool check_pointer(int has_elements, const TensorRule& rule, Tensor* out)
{
    out->empty = has_elements == 0;
    if(out->data == nullptr && has_elements == 1)
    {
        PyErr_Format(PyExc_ValueError, "%s has elements but a null data pointer", rule.name);
    }
    return !PyErr_Occurred();
}

bool check_device(int found, const TensorRule& rule, int expected)
{
    if(found != expected)
    {
        PyErr_Format(PyExc_ValueError, "%s is on GPU %d, expected GPU %d, where out is", rule.name,
                     found, expected);
    }
    return found == expected;
}

bool read_pointer(PyObject* tensor, const TensorRule& rule, Tensor* out)
{
    const Ref pointer(call(tensor, name_data_ptr));
    if(!pointer)
    {
        return false;
    }
    out->data = PyLong_AsVoidPtr(pointer.get());
    if(out->data != nullptr || PyErr_Occurred())
    {
        return !PyErr_Occurred();
    }
    return check_pointer(truth_of(tensor, name_numel), rule, out);
}

// The way through the exchange API: the same checks in the same order.
bool read_known(const TensorRule& rule, int device, Tensor* out)
{
    const TensorFacts& facts = out->facts;
    out->data                = facts.data;
    return check_device(facts.device, rule, device) &&
           (rule.dtypes == nullptr || check_name(facts.dtype, rule)) &&
           check_contiguous(facts.contiguous, rule) && check_pointer(!facts.empty, rule, out);
}

// The way through the Python interface.
bool read_asked(PyObject* object, const TensorRule& rule, int device, Tensor* out)
{
    const int own_device = device_of(object, rule.name);
    return own_device >= 0 && check_device(own_device, rule, device) &&
           (rule.dtypes == nullptr || check_dtype(object, rule)) &&
           check_contiguous(truth_of(object, name_is_contiguous), rule) &&
           read_pointer(object, rule, out);
}

bool find_raw_stream()
{
    const Ref module(PyImport_ImportModule("torch._C"));
    raw_stream =
        module ? PyObject_GetAttrString(module.get(), "_cuda_getCurrentRawStream") : nullptr;
    return raw_stream != nullptr;
}

} // namespace

bool init_tensor_names()
{
    struct Name
    {
        PyObject** object;
        const char* text;
    };
    const Name names[] = {
        {&name_data_ptr, "data_ptr"},
        {&name_dtype, "dtype"},
        {&name_get_device, "get_device"},
        {&name_is_contiguous, "is_contiguous"},
        {&name_size, "size"},
        {&name_numel, "numel"},
    };
    for(const Name& name : names)
    {
        if(*name.object == nullptr)
        {
            *name.object = PyUnicode_InternFromString(name.text);
        }
        if(*name.object == nullptr)
        {
            return false;
        }
    }
    return true;
}

int device_of(PyObject* tensor, const char* name)
{
    TensorFacts facts;
    if(read_facts(tensor, &facts))
    {
        return facts.device;
    }
    const Ref answer(call(tensor, name_get_device));
    if(!answer)
    {
        if(PyErr_ExceptionMatches(PyExc_AttributeError))
        {
            PyErr_Clear();
            const Ref type(PyObject_Str(reinterpret_cast<PyObject*>(Py_TYPE(tensor))));
            PyErr_Format(PyExc_TypeError, "%s is %S, expected torch.Tensor", name, type.get());
        }
        return -1;
    }
    const long index = PyLong_AsLong(answer.get());
    if(index < 0 && !PyErr_Occurred())
    {
        PyErr_Format(PyExc_ValueError, "%s is not on a GPU (get_device() is %ld)", name, index);
    }
    return PyErr_Occurred() ? -1 : static_cast<int>(index);
}

bool read_tensor(PyObject* object, const TensorRule& rule, int device, Tensor* out)
{
    if(object == nullptr || object == Py_None)
    {
        if(!rule.optional)
        {
            PyErr_Format(PyExc_TypeError, "%s is None, expected torch.Tensor", rule.name);
        }
        return rule.optional;
    }
    out->object = object;
    out->known  = read_facts(object, &out->facts);
    return out->known ? read_known(rule, device, out) : read_asked(object, rule, device, out);
}

long long size_of(const Tensor& tensor, int dim)
{
    const TensorFacts& facts = tensor.facts;
    const long long size     = dim == 0 ? facts.first : dim == 1 ? facts.second : facts.last;
    if(tensor.known && size >= 0)
    {
        return size;
    }
    const Ref index(PyLong_FromLong(dim));
    const Ref answer(
        index ? PyObject_CallMethodObjArgs(tensor.object, name_size, index.get(), nullptr)
              : nullptr);
    return answer ? PyLong_AsLongLong(answer.get()) : -1;
}

bool current_stream(int device, void** stream)
{
    if(raw_stream == nullptr && !find_raw_stream())
    {
        return false;
    }
    const Ref index(PyLong_FromLong(device));
    const Ref value(index ? PyObject_CallFunctionObjArgs(raw_stream, index.get(), nullptr)
                          : nullptr);
    *stream = value ? PyLong_AsVoidPtr(value.get()) : nullptr;
    return !PyErr_Occurred();
}

} // namespace aiter_prebuilt
