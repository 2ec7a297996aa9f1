#include "tensor.hpp"

#include <climits>
#include <cstring>

namespace aiter_prebuilt {

namespace {

// A method's answer as a number; false with a Python exception.
bool ask_number(PyObject* tensor, PyObject* method, long long* out) noexcept
{
    const Ref answer(PyObject_CallMethodObjArgs(tensor, method, nullptr));
    *out = answer ? PyLong_AsLongLong(answer.get()) : -1;
    return *out != -1 || PyErr_Occurred() == nullptr;
}

// A method's answer as a truth; false with a Python exception.
bool ask_truth(PyObject* tensor, PyObject* method, bool* out) noexcept
{
    const Ref answer(PyObject_CallMethodObjArgs(tensor, method, nullptr));
    const int truth = answer ? PyObject_IsTrue(answer.get()) : -1;
    *out            = truth == 1;
    return truth >= 0;
}

bool ask_address(PyObject* tensor, PyObject* method, void** out) noexcept
{
    const Ref answer(PyObject_CallMethodObjArgs(tensor, method, nullptr));
    *out = answer ? PyLong_AsVoidPtr(answer.get()) : nullptr;
    return *out != nullptr || PyErr_Occurred() == nullptr;
}

bool check_dtype(const char* found, Dtypes dtype, const TensorRule& rule) noexcept
{
    if(rule.dtypes == 0 || (rule.dtypes & dtype) != 0)
    {
        return true;
    }
    char expected[128];
    print_dtypes(rule.dtypes, expected, sizeof expected);
    PyErr_Format(PyExc_TypeError, "%s has dtype %s, expected %s", rule.name, found, expected);
    return false;
}

bool check_contiguous(bool contiguous, const TensorRule& rule) noexcept
{
    if(!contiguous)
    {
        PyErr_Format(PyExc_ValueError, "%s is not contiguous; pass %s.contiguous()", rule.name,
                     rule.name);
    }
    return contiguous;
}

bool check_pointer(const Tensor& tensor, const TensorRule& rule) noexcept
{
    const bool good = tensor.data != nullptr || tensor.empty;
    if(!good)
    {
        PyErr_Format(PyExc_ValueError, "%s has elements but a null data pointer", rule.name);
    }
    return good;
}

bool check_device(long long found, const TensorRule& rule, int expected) noexcept
{
    const bool good = expected == kAnyGpu || found == expected;
    if(!good)
    {
        PyErr_Format(PyExc_ValueError, "%s is on GPU %lld, expected GPU %d, where out is",
                     rule.name, found, expected);
    }
    return good;
}

// The way through the exchange API.
bool read_known(const TensorRule& rule, int device, Tensor* out) noexcept
{
    const TensorFacts& facts = out->facts;
    out->data                = facts.data;
    out->device              = facts.device;
    out->empty               = facts.empty;
    if(rule.dtypes != 0 && (rule.dtypes & facts.dtype) == 0)
    {
        char found[32];
        print_dtypes(facts.dtype, found, sizeof found);
        return check_device(facts.device, rule, device) && check_dtype(found, facts.dtype, rule);
    }
    return check_device(facts.device, rule, device) && check_contiguous(facts.contiguous, rule) &&
           check_pointer(*out, rule);
}

bool ask_device(const State& state, const TensorRule& rule, int expected, Tensor* out) noexcept
{
    const Ref method(PyObject_GetAttr(out->object, state.names[kGetDevice]));
    if(!method)
    {
        if(PyErr_ExceptionMatches(PyExc_AttributeError))
        {
            PyErr_Clear();
            PyErr_Format(PyExc_TypeError, "%s is %S, expected torch.Tensor", rule.name,
                         reinterpret_cast<PyObject*>(Py_TYPE(out->object)));
        }
        return false;
    }
    const Ref answer(PyObject_CallNoArgs(method.get()));
    const long long found = answer ? PyLong_AsLongLong(answer.get()) : -1;
    if(found == -1 && PyErr_Occurred() != nullptr)
    {
        return false;
    }
    if(found < 0 || found > INT_MAX)
    {
        PyErr_Format(PyExc_ValueError, "%s is not on a GPU (get_device() is %lld)", rule.name,
                     found);
        return false;
    }
    out->device = static_cast<int>(found);
    return check_device(found, rule, expected);
}

bool ask_dtype(State& state, const TensorRule& rule, PyObject* tensor) noexcept
{
    if(rule.dtypes == 0)
    {
        return true;
    }
    const Ref dtype(PyObject_GetAttr(tensor, state.names[kDtype]));
    for(int i = 0; dtype && i < state.dtype_count; ++i)
    {
        if(state.dtypes[i].object == dtype.get() && (state.dtypes[i].dtype & rule.dtypes) != 0)
        {
            return true;
        }
    }
    const Ref printed(dtype ? PyObject_Str(dtype.get()) : nullptr);
    const char* full = printed ? PyUnicode_AsUTF8AndSize(printed.get(), nullptr) : nullptr;
    if(full == nullptr)
    {
        return false;
    }
    const char* bare   = std::strncmp(full, "torch.", 6) == 0 ? full + 6 : full;
    const Dtypes found = dtype_named(bare);
    if(!check_dtype(bare, found, rule))
    {
        return false;
    }
    if(state.dtype_count < State::kDtypeMax)
    {
        state.dtypes[state.dtype_count++] = {Ref::to(dtype.get()).release(), found};
    }
    return true;
}

bool ask_contiguous(const State& state, const TensorRule& rule, PyObject* tensor) noexcept
{
    bool contiguous = false;
    return ask_truth(tensor, state.names[kIsContiguous], &contiguous) &&
           check_contiguous(contiguous, rule);
}

bool ask_pointer(const State& state, const TensorRule& rule, Tensor* out) noexcept
{
    if(!ask_address(out->object, state.names[kDataPtr], &out->data))
    {
        return false;
    }
    long long elements = 1;
    if(out->data == nullptr && !ask_number(out->object, state.names[kNumel], &elements))
    {
        return false;
    }
    out->empty = elements == 0;
    return check_pointer(*out, rule);
}

// The way through the Python interface: the same checks in the same order.
bool read_asked(State& state, const TensorRule& rule, int device, Tensor* out) noexcept
{
    return ask_device(state, rule, device, out) && ask_dtype(state, rule, out->object) &&
           ask_contiguous(state, rule, out->object) && ask_pointer(state, rule, out);
}

// The fall-back for torch before 2.10, whose tensors have no exchange API: the private function
// that torch's own generated code asks.
bool private_stream(State& state, int device, void** stream) noexcept
{
    if(state.raw_stream == nullptr)
    {
        const Ref module(PyImport_ImportModule("torch._C"));
        state.raw_stream =
            module ? PyObject_GetAttrString(module.get(), "_cuda_getCurrentRawStream") : nullptr;
        if(state.raw_stream == nullptr)
        {
            return false;
        }
    }
    const Ref function = Ref::to(state.raw_stream);
    const Ref index(PyLong_FromLong(device));
    const Ref value(index ? PyObject_CallFunctionObjArgs(function.get(), index.get(), nullptr)
                          : nullptr);
    *stream = value ? PyLong_AsVoidPtr(value.get()) : nullptr;
    return *stream != nullptr || PyErr_Occurred() == nullptr; // null: the default stream
}

} // namespace

bool read_tensor(State& state, PyObject* object, const TensorRule& rule, int device,
                 Tensor* out) noexcept
{
    if(object == nullptr || object == Py_None)
    {
        if(!rule.optional)
        {
            PyErr_Format(PyExc_TypeError, "%s is None, expected torch.Tensor", rule.name);
        }
        return rule.optional;
    }
    const Answer answer = read_facts(state, object, &out->facts);
    if(answer == Answer::kError)
    {
        return false;
    }
    out->object = object;
    out->known  = answer == Answer::kYes;
    return out->known ? read_known(rule, device, out) : read_asked(state, rule, device, out);
}

bool size_of(const State& state, const Tensor& tensor, int dim, long long* out) noexcept
{
    const TensorFacts& facts = tensor.facts;
    *out = !tensor.known ? -1 : dim == 0 ? facts.first : dim == 1 ? facts.second : facts.last;
    if(*out >= 0)
    {
        return true;
    }
    const Ref index(PyLong_FromLong(dim));
    const Ref answer(
        index ? PyObject_CallMethodObjArgs(tensor.object, state.names[kSize], index.get(), nullptr)
              : nullptr);
    *out = answer ? PyLong_AsLongLong(answer.get()) : -1;
    return *out != -1 || PyErr_Occurred() == nullptr;
}

bool current_stream(State& state, const Tensor& tensor, void** stream) noexcept
{
    const Answer answer = tensor.known ? exchange_stream(tensor.facts, stream) : Answer::kNo;
    return answer == Answer::kYes ||
           (answer == Answer::kNo && private_stream(state, tensor.device, stream));
}

} // namespace aiter_prebuilt
