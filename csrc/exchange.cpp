#include "exchange.hpp"

#include <cstddef>

namespace aiter_prebuilt {

namespace {

// Layouts of DLPack 1.x (dmlc/dlpack, include/dlpack/dlpack.h, read at 1.3 as torch 2.13 ships it);
// within a major version they only grow at the end.
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

} // namespace

struct ExchangeApi
{
    std::uint32_t major, minor;
    const void* previous;
    const void* allocate;
    const void* managed_from_object;
    const void* managed_to_object;
    int (*tensor_from_object)(void* object, DlTensor* out);
    int (*current_work_stream)(std::int32_t device_type, std::int32_t device, void** stream);
};
static_assert(sizeof(ExchangeApi) == 56 && offsetof(ExchangeApi, current_work_stream) == 48,
              "DLPack's layout");

namespace {

constexpr std::uint32_t kMajor = 1;
constexpr std::int32_t kCuda   = 2; // how a framework may name the GPU on ROCm, too
constexpr std::int32_t kRocm   = 10;
constexpr char kCapsule[]      = "dlpack_exchange_api";

Answer ask_type(PyObject* type, const ExchangeApi** out) noexcept
{
    const Ref capsule(PyObject_GetAttrString(type, "__dlpack_c_exchange_api__"));
    *out = nullptr;
    if(!capsule)
    {
        return refused_or_error();
    }
    if(!PyCapsule_IsValid(capsule.get(), kCapsule))
    {
        return Answer::kNo;
    }
    const void* pointer = PyCapsule_GetPointer(capsule.get(), kCapsule);
    const auto* api     = static_cast<const ExchangeApi*>(pointer);
    if(api->major != kMajor || api->tensor_from_object == nullptr)
    {
        return Answer::kNo;
    }
    *out = api;
    return Answer::kYes;
}

Answer api_of(State& state, PyObject* type, const ExchangeApi** out) noexcept
{
    for(int i = 0; i < state.type_count; ++i)
    {
        if(state.types[i].type == type)
        {
            *out = state.types[i].api;
            return *out == nullptr ? Answer::kNo : Answer::kYes;
        }
    }
    const Answer answer = ask_type(type, out);
    if(answer != Answer::kError && state.type_count < State::kTypeMax)
    {
        state.types[state.type_count++] = {Ref::to(type).release(), *out};
    }
    return answer;
}

// Whether there are elements, and whether rows follow each other without gaps; a dimension of one
// element may have any stride, and what is empty has no gap.
void read_layout(const DlTensor& tensor, TensorFacts* out) noexcept
{
    std::uint64_t expected = 1; // may wrap for sizes that no memory holds
    bool gaps              = false;
    out->empty             = false;
    for(int i = tensor.ndim - 1; i >= 0; --i)
    {
        const auto size = static_cast<std::uint64_t>(tensor.shape[i]);
        gaps |= tensor.strides != nullptr && size != 1 &&
                static_cast<std::uint64_t>(tensor.strides[i]) != expected;
        out->empty |= size == 0;
        expected *= size;
    }
    out->contiguous = out->empty || !gaps;
}

} // namespace

Answer read_facts(State& state, PyObject* tensor, TensorFacts* out) noexcept
{
    const Answer answer = api_of(state, reinterpret_cast<PyObject*>(Py_TYPE(tensor)), &out->api);
    if(answer != Answer::kYes)
    {
        return answer;
    }
    DlTensor found;
    if(out->api->tensor_from_object(tensor, &found) != 0)
    {
        return refused_or_error(); // the Python interface will say what is wrong
    }
    out->dtype = dtype_of(dlpack_type(found.dtype.code, found.dtype.bits, found.dtype.lanes));
    if((found.device.type != kCuda && found.device.type != kRocm) || out->dtype == 0)
    {
        return Answer::kNo;
    }
    out->data        = static_cast<char*>(found.data) + found.byte_offset;
    out->device_type = found.device.type;
    out->device      = found.device.index;
    read_layout(found, out);
    out->first  = found.ndim > 0 ? found.shape[0] : -1;
    out->second = found.ndim > 1 ? found.shape[1] : -1;
    out->last   = found.ndim > 0 ? found.shape[found.ndim - 1] : -1;
    return Answer::kYes;
}

Answer exchange_stream(const TensorFacts& facts, void** stream) noexcept
{
    if(facts.api->current_work_stream == nullptr)
    {
        return Answer::kNo;
    }
    if(facts.api->current_work_stream(facts.device_type, facts.device, stream) != 0)
    {
        return refused_or_error();
    }
    return Answer::kYes;
}

} // namespace aiter_prebuilt
