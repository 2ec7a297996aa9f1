#include "binding.hpp"

#include <algorithm>

#include "arguments.hpp"
#include "dispatch.hpp"

namespace aiter_prebuilt {

namespace {

// Called for calls that the module does not cover: (function, reason, args, kwargs) -> result.
PyObject* uncovered;

struct Scalars
{
    char kernel_name[256];
    int top_k;
    int block_m;
    int quant_type;
    int activation;
    int split_k;
    bool is_shuffled;
};

struct Tensors
{
    Tensor activations, weights, token_ids, expert_ids, valid_ids, out;
    Tensor weight_scale, activation_scale, sorted_weights;
};

bool read_scalars(const Signature& s, PyObject* const* values, Scalars* out)
{
    return int_argument(s, values, kTopK, 0, &out->top_k) &&
           text_argument(s, values, kKernelName, out->kernel_name, sizeof out->kernel_name) &&
           int_argument(s, values, kBlockM, 32, &out->block_m) &&
           int_argument(s, values, kQuantType, 0, &out->quant_type) &&
           int_argument(s, values, kActivation, 0, &out->activation) &&
           int_argument(s, values, kSplitK, 1, &out->split_k) &&
           bool_argument(values, kIsShuffled, true, &out->is_shuffled);
}

bool read_tensors(const Signature& s, PyObject* const* values, int device, Tensors* out)
{
    const bool stage1      = s.stage == 1;
    const Argument weights = stage1 ? kW1 : kW2;
    const bool multiplies  = kModule.routed_weight_stage == s.stage;
    const char* out_dtype  = stage1 && kModule.split_k ? "float32" : kModule.c_dtype;
    const auto read = [&](Argument which, const char* dtypes, bool optional, Tensor* tensor) {
        return read_tensor(values[which], {s.names[which], dtypes, optional}, device, tensor);
    };
    return read(kOut, out_dtype, false, &out->out) &&
           read(kActivations, kModule.a_dtype, false, &out->activations) &&
           read(weights, kModule.b_dtype, false, &out->weights) &&
           read(kSortedTokenIds, "int32", false, &out->token_ids) &&
           read(kSortedExpertIds, "int32", false, &out->expert_ids) &&
           read(kNumValidIds, "int32", false, &out->valid_ids) &&
           read(kWeightScale, nullptr, !kModule.scales, &out->weight_scale) &&
           read(kActivationScale, nullptr, !kModule.scales, &out->activation_scale) &&
           read(kSortedWeights, "float32", !multiplies, &out->sorted_weights);
}

// The call has to be one for this module's features; AITER chooses the module by the same ones.
bool check_features(const Signature& s, PyObject* const* values, const Scalars& scalars)
{
    const int quant = scalars.quant_type == 5 ? 4 : scalars.quant_type; // per_128x128 is per_1x128
    if(quant != kModule.quant)
    {
        PyErr_Format(PyExc_ValueError, "%s(): quant_type is %d, expected %d for %s", s.function,
                     scalars.quant_type, kModule.quant, kModule.name);
        return false;
    }
    if(s.stage == 1 && scalars.activation != kModule.activation)
    {
        PyErr_Format(PyExc_ValueError, "%s(): activation is %d, expected %d for %s", s.function,
                     scalars.activation, kModule.activation, kModule.name);
        return false;
    }
    if(scalars.is_shuffled != kModule.preshuffled)
    {
        PyErr_Format(PyExc_ValueError, "%s(): is_shuffled is %s, expected %s for %s", s.function,
                     scalars.is_shuffled ? "True" : "False", kModule.preshuffled ? "True" : "False",
                     kModule.name);
        return false;
    }
    const bool given = values[kSortedWeights] != nullptr && values[kSortedWeights] != Py_None;
    if(given && kModule.routed_weight_stage != s.stage)
    {
        PyErr_Format(PyExc_ValueError,
                     "%s(): sorted_weights is given, but %s multiplies by it in stage %d",
                     s.function, kModule.name, kModule.routed_weight_stage);
        return false;
    }
    return true;
}

bool read_sizes(const Signature& s, const Tensors& tensors, const Scalars& scalars, Problem* out)
{
    const long long tokens = size_of(tensors.activations, 0);
    const long long k      = PyErr_Occurred() ? -1 : size_of(tensors.activations, -1);
    const long long rows   = PyErr_Occurred() ? -1 : size_of(tensors.weights, 1);
    const long long sorted = PyErr_Occurred() ? -1 : size_of(tensors.token_ids, 0);
    if(PyErr_Occurred())
    {
        return false;
    }
    out->tokens      = static_cast<int>(tokens);
    out->top_k       = scalars.top_k;
    out->k           = static_cast<int>(k) * kModule.values_per_element;
    out->n           = static_cast<int>(s.stage == 1 ? rows / 2 : rows);
    out->sorted_size = static_cast<int>(std::min(tokens * scalars.top_k * scalars.block_m, sorted));
    return true;
}

void fill_pointers(const Tensors& tensors, const Scalars& scalars, Problem* out)
{
    out->activations       = tensors.activations.data;
    out->activation_scales = tensors.activation_scale.data;
    out->weights           = tensors.weights.data;
    out->weight_scales     = tensors.weight_scale.data;
    out->sorted_token_ids  = tensors.token_ids.data;
    out->sorted_expert_ids = tensors.expert_ids.data;
    out->num_valid_ids     = tensors.valid_ids.data;
    out->sorted_weights    = tensors.sorted_weights.data;
    out->out               = tensors.out.data;
    out->split_k           = scalars.split_k;
}

// Keeps `device` current while it lives.
class DeviceGuard
{
public:
    explicit DeviceGuard(int device)
    {
        error_ = hipGetDevice(&before_);
        if(error_ == hipSuccess && before_ != device)
        {
            error_   = hipSetDevice(device);
            changed_ = error_ == hipSuccess;
        }
    }
    ~DeviceGuard()
    {
        if(changed_)
        {
            (void)hipSetDevice(before_); // nothing can be done in a destructor
        }
    }
    DeviceGuard(const DeviceGuard&)            = delete;
    DeviceGuard& operator=(const DeviceGuard&) = delete;

    hipError_t error() const { return error_; }

private:
    int before_       = 0;
    bool changed_     = false;
    hipError_t error_ = hipSuccess;
};

LaunchResult launch_on(const Instance& instance, const Problem& problem, int device)
{
    const DeviceGuard guard(device);
    if(guard.error() != hipSuccess)
    {
        return {Outcome::kHipError, guard.error()};
    }
    return instance.launch(problem);
}

PyObject* raise_launch_error(const Signature& s, const Instance& instance, const Problem& problem,
                             const LaunchResult& result)
{
    if(result.outcome == Outcome::kNotDivisible)
    {
        return PyErr_Format(PyExc_RuntimeError,
                            "%s(): %s does not support n = %d, k = %d: they are not multiples of "
                            "its tile",
                            s.function, instance.name, problem.n, problem.k);
    }
    return PyErr_Format(PyExc_RuntimeError, "%s(): launching %s failed: %s (hipError %d)",
                        s.function, instance.name, hipGetErrorString(result.error),
                        static_cast<int>(result.error));
}

struct Call
{
    const Signature& signature;
    PyObject* const* args;
    Py_ssize_t positional;
    PyObject* keyword_names;
};

Ref positional_tuple(const Call& call)
{
    Ref tuple(PyTuple_New(call.positional));
    for(Py_ssize_t i = 0; tuple && i < call.positional; ++i)
    {
        Py_INCREF(call.args[i]);
        PyTuple_SetItem(tuple.get(), i, call.args[i]);
    }
    return tuple;
}

Ref keyword_dict(const Call& call)
{
    Ref dict(PyDict_New());
    const Py_ssize_t count = call.keyword_names == nullptr ? 0 : PyTuple_Size(call.keyword_names);
    for(Py_ssize_t i = 0; dict && i < count; ++i)
    {
        PyObject* value = call.args[call.positional + i];
        if(PyDict_SetItem(dict.get(), PyTuple_GetItem(call.keyword_names, i), value) < 0)
        {
            return Ref();
        }
    }
    return dict;
}

PyObject* hand_on(const Call& call, const Scalars& scalars, const Problem& problem,
                  const char* what)
{
    const Ref reason(PyUnicode_FromFormat(
        "%s has no %s for tokens = %d, n = %d, k = %d, block_m = %d, kernelName = '%s'",
        kModule.name, what, problem.tokens, problem.n, problem.k, scalars.block_m,
        scalars.kernel_name));
    if(!reason || uncovered == nullptr)
    {
        return reason ? PyErr_Format(PyExc_RuntimeError, "%s(): %U", call.signature.function,
                                     reason.get())
                      : nullptr;
    }
    const Ref args   = positional_tuple(call);
    const Ref kwargs = args ? keyword_dict(call) : Ref();
    return kwargs ? PyObject_CallFunction(uncovered, "sOOO", call.signature.function, reason.get(),
                                          args.get(), kwargs.get())
                  : nullptr;
}

PyObject* dispatch(const Call& call, const Scalars& scalars, const Problem& problem, int device)
{
    const Signature& s  = call.signature;
    const int inter_dim = s.stage == 1 ? problem.n : problem.k;
    const Choice choice = choose(kModule, s.stage, scalars.kernel_name, scalars.block_m, inter_dim);
    if(choice.name_unknown && PyErr_WarnFormat(PyExc_RuntimeWarning, 1,
                                               "%s(): kernelName '%s' is not known, using block_m",
                                               s.function, scalars.kernel_name) < 0)
    {
        return nullptr;
    }
    if(choice.instance == nullptr)
    {
        return PyErr_Format(PyExc_ValueError,
                            "%s(): block_m is %d, which %s has no instance for (inter_dim %d)",
                            s.function, scalars.block_m, kModule.name, inter_dim);
    }
    if(choice.instance->launch == nullptr)
    {
        return hand_on(call, scalars, problem, "instance");
    }
    const LaunchResult result = launch_on(*choice.instance, problem, device);
    if(result.outcome == Outcome::kLaunched)
    {
        Py_RETURN_NONE;
    }
    if(result.outcome == Outcome::kNoKernel)
    {
        return hand_on(call, scalars, problem, "kernel");
    }
    return raise_launch_error(s, *choice.instance, problem, result);
}

PyObject* run_stage(const Call& call)
{
    const Signature& s               = call.signature;
    PyObject* values[kArgumentCount] = {};
    Scalars scalars;
    Tensors tensors;
    Problem problem = {};
    if(!bind_arguments(s, call.args, call.positional, call.keyword_names, values) ||
       !read_scalars(s, values, &scalars) || !check_features(s, values, scalars))
    {
        return nullptr;
    }
    const int device = device_of(values[kOut], "out");
    if(device < 0 || !read_tensors(s, values, device, &tensors) ||
       !read_sizes(s, tensors, scalars, &problem))
    {
        return nullptr;
    }
    if(tensors.activations.empty || tensors.out.empty || tensors.token_ids.empty)
    {
        Py_RETURN_NONE;
    }
    fill_pointers(tensors, scalars, &problem);
    void* stream = nullptr;
    if(!current_stream(device, &stream))
    {
        return nullptr;
    }
    problem.stream = static_cast<hipStream_t>(stream);
    return dispatch(call, scalars, problem, device);
}

PyObject* stage1(PyObject*, PyObject* const* args, Py_ssize_t count, PyObject* keyword_names)
{
    return run_stage({kStage1, args, count, keyword_names});
}

PyObject* stage2(PyObject*, PyObject* const* args, Py_ssize_t count, PyObject* keyword_names)
{
    return run_stage({kStage2, args, count, keyword_names});
}

PyObject* set_uncovered(PyObject*, PyObject* callable)
{
    if(callable != Py_None && !PyCallable_Check(callable))
    {
        return PyErr_Format(PyExc_TypeError, "_set_uncovered() expects a callable or None");
    }
    Py_XDECREF(uncovered);
    uncovered = callable == Py_None ? nullptr : callable;
    Py_XINCREF(uncovered);
    Py_RETURN_NONE;
}

// AITER parses the first line as a Python signature; the "--" marker of CPython's own convention
// would take that line out of __doc__.
#define AITER_PREBUILT_TAIL(SPLITK)                                                                \
    "block_m: Optional[int] = 32, sorted_weights: Optional[torch.Tensor] = None, "                 \
    "quant_type: int = 0, activation: int = 0, splitk: " SPLITK " = 1, "                           \
    "use_non_temporal_load: bool = False, dst_type: Optional[str] = None, "                        \
    "is_shuffled: bool = True) -> None\n\n"                                                        \
    "Prebuilt by aiter-prebuilt-gfx950; see `aiter-prebuilt list`."

#define AITER_PREBUILT_HEAD(FIRST)                                                                 \
    FIRST ": torch.Tensor, w1: torch.Tensor, w2: torch.Tensor, sorted_token_ids: torch.Tensor, "   \
          "sorted_expert_ids: torch.Tensor, num_valid_ids: torch.Tensor, out: torch.Tensor, "      \
          "topk: int, kernelName: Optional[str] = None, "

constexpr char kStage1Doc[] = "ck_moe_stage1(" AITER_PREBUILT_HEAD(
    "hidden_states") "w1_scale: Optional[torch.Tensor] = None, a1_scale: Optional[torch.Tensor] = "
                     "None, " AITER_PREBUILT_TAIL("Optional[int]");

constexpr char kStage2Doc[] = "ck_moe_stage2(" AITER_PREBUILT_HEAD(
    "inter_states") "w2_scale: Optional[torch.Tensor] = None, a2_scale: Optional[torch.Tensor] = "
                    "None, " AITER_PREBUILT_TAIL("int");

PyMethodDef methods[] = {
    {"ck_moe_stage1", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(stage1)),
     METH_FASTCALL | METH_KEYWORDS, kStage1Doc},
    {"ck_moe_stage2", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(stage2)),
     METH_FASTCALL | METH_KEYWORDS, kStage2Doc},
    {"_set_uncovered", set_uncovered, METH_O,
     "_set_uncovered(callable)\n\nSet who takes calls that this module does not cover."},
    {nullptr, nullptr, 0, nullptr}};

int execute(PyObject*)
{
    return init_tensor_names() ? 0 : -1;
}

PyModuleDef_Slot slots[] = {{Py_mod_exec, reinterpret_cast<void*>(execute)}, {0, nullptr}};

PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                          kModule.name,
                          "CK2stages MoE kernels for gfx950, prebuilt.",
                          0,
                          methods,
                          slots,
                          nullptr,
                          nullptr,
                          nullptr};

} // namespace

PyObject* init_module()
{
    definition.m_name = kModule.name;
    return PyModuleDef_Init(&definition);
}

} // namespace aiter_prebuilt
