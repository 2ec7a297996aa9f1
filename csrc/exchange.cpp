#include "exchange.hpp"

#include <cstddef>
#include <cstdint>

namespace aiter_prebuilt {

namespace {

// Layouts of DLPack 1.x (dmlc/dlpack, include/dlpack/dlpack.h); within a major version they only
// grow at the end.
struct Device
{
    std::int32_t type;
    std::int32_t index;
};

struct DataType
{
    std::uint8_t code;
    std::uint8_t bits;
    std::uint16_t lanes;
};

struct DlTensor
{
    void* data;
    Device device;
    std::int32_t ndim;
    DataType dtype;
    const std::int64_t* shape;
    const std::int64_t* strides; // null: contiguous
    std::uint64_t byte_offset;
};
static_assert(sizeof(DlTensor) == 48 && offsetof(DlTensor, byte_offset) == 40, "DLPack's layout");

struct ExchangeApi
{
    std::uint32_t major, minor;
    const void* previous;
    const void* allocate;
    const void* managed_from_object;
    const void* managed_to_object;
    int (*tensor_from_object)(void* object, DlTensor* out);
    const void* current_stream;
};

constexpr std::uint32_t kMajor = 1;
constexpr std::int32_t kCuda   = 2; // torch's name for the GPU on ROCm, too
constexpr std::int32_t kRocm   = 10;

struct NamedType
{
    DataType type;
    const char* name;
};

constexpr NamedType kTypes[] = {
    {{0, 8, 1}, "int8"},           {{0, 32, 1}, "int32"},          {{1, 8, 1}, "uint8"},
    {{2, 16, 1}, "float16"},       {{2, 32, 1}, "float32"},        {{4, 16, 1}, "bfloat16"},
    {{10, 8, 1}, "float8_e4m3fn"}, {{14, 8, 1}, "float8_e8m0fnu"}, {{17, 4, 2}, "float4_e2m1fn_x2"},
};

// Types are few (Tensor, Parameter) and live as long as their framework; null: it offers nothing.
struct KnownType
{
    PyTypeObject* type;
    const ExchangeApi* api;
};
constexpr int kKnownMax = 8;
KnownType known[kKnownMax];
int known_count;

const ExchangeApi* ask_type(PyTypeObject* type)
{
    PyObject* capsule =
        PyObject_GetAttrString(reinterpret_cast<PyObject*>(type), "__dlpack_c_exchange_api__");
    void* pointer = capsule ? PyCapsule_GetPointer(capsule, "dlpack_exchange_api") : nullptr;
    Py_XDECREF(capsule);
    PyErr_Clear();
    const auto* api = static_cast<const ExchangeApi*>(pointer);
    return api && api->major == kMajor && api->tensor_from_object ? api : nullptr;
}

const ExchangeApi* api_of(PyTypeObject* type)
{
    for(int i = 0; i < known_count; ++i)
    {
        if(known[i].type == type)
        {
            return known[i].api;
        }
    }
    const ExchangeApi* api = ask_type(type);
    if(known_count < kKnownMax)
    {
        Py_INCREF(reinterpret_cast<PyObject*>(type));
        known[known_count++] = {type, api};
    }
    return api;
}

const char* name_of(const DataType& type)
{
    for(const NamedType& named : kTypes)
    {
        if(named.type.code == type.code && named.type.bits == type.bits &&
           named.type.lanes == type.lanes)
        {
            return named.name;
        }
    }
    return nullptr;
}

// Rows follow each other without gaps; a dimension of one element may have any stride.
bool is_contiguous(const DlTensor& tensor)
{
    std::int64_t expected = 1;
    for(int i = tensor.ndim - 1; tensor.strides != nullptr && i >= 0; --i)
    {
        if(tensor.shape[i] != 1 && tensor.strides[i] != expected)
        {
            return false;
        }
        expected *= tensor.shape[i];
    }
    return true;
}

bool is_empty(const DlTensor& tensor)
{
    for(int i = 0; i < tensor.ndim; ++i)
    {
        if(tensor.shape[i] == 0)
        {
            return true;
        }
    }
    return false;
}

} // namespace

bool read_facts(PyObject* tensor, TensorFacts* out)
{
    const ExchangeApi* api = api_of(Py_TYPE(tensor));
    DlTensor found         = {};
    if(api == nullptr)
    {
        return false;
    }
    if(api->tensor_from_object(tensor, &found) != 0)
    {
        PyErr_Clear(); // the Python interface will say what is wrong
        return false;
    }
    const bool on_gpu = found.device.type == kCuda || found.device.type == kRocm;
    const char* dtype = name_of(found.dtype);
    if(!on_gpu || dtype == nullptr)
    {
        return false;
    }
    out->data       = static_cast<char*>(found.data) + found.byte_offset;
    out->device     = found.device.index;
    out->dtype      = dtype;
    out->empty      = is_empty(found);
    out->contiguous = out->empty || is_contiguous(found);
    out->ndim       = found.ndim;
    out->first      = found.ndim > 0 ? found.shape[0] : -1;
    out->second     = found.ndim > 1 ? found.shape[1] : -1;
    out->last       = found.ndim > 0 ? found.shape[found.ndim - 1] : -1;
    return true;
}

} // namespace aiter_prebuilt
