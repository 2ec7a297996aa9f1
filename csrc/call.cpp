#include "call.hpp"

#include <algorithm>
#include <climits>
#include <exception>
#include <new>
#include <string_view>

#include "dispatch.hpp"
#include "tensor.hpp"

namespace aiter_prebuilt {

namespace {

struct Scalars
{
    std::string_view kernel_name; // ends in a zero
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

// What one call has; made by run_stage and handed down.
struct Call
{
    State& state;
    const Signature& signature;
    const Given& given;
    Arguments arguments;
    Scalars scalars;
    Tensors tensors;
    Problem problem;
};

bool read_scalars(const Arguments& arguments, Scalars* out) noexcept
{
    return arguments.read(Argument::kTopK, &out->top_k) &&
           arguments.read(Argument::kKernelName, &out->kernel_name) &&
           arguments.read(Argument::kBlockM, &out->block_m) &&
           arguments.read(Argument::kQuantType, &out->quant_type) &&
           arguments.read(Argument::kActivation, &out->activation) &&
           arguments.read(Argument::kSplitK, &out->split_k) &&
           arguments.read(Argument::kIsShuffled, &out->is_shuffled);
}

// Each number of rows is a factor of a size.
bool check_counts(const Call& call) noexcept
{
    for(const auto [which, value] : {std::pair(Argument::kTopK, call.scalars.top_k),
                                     std::pair(Argument::kBlockM, call.scalars.block_m)})
    {
        if(value < 1)
        {
            PyErr_Format(PyExc_ValueError, "%s(): %s is %d, expected 1 or more",
                         call.signature.function, call.arguments.name(which), value);
            return false;
        }
    }
    return true;
}

// The call has to be one for this module's features; AITER chooses the module by the same ones.
bool check_features(const Call& call) noexcept
{
    const Signature& s     = call.signature;
    const Scalars& scalars = call.scalars;
    if(scalars.quant_type != kModule.quant && scalars.quant_type != kModule.quant_too)
    {
        PyErr_Format(PyExc_ValueError, "%s(): quant_type is %d, expected %d for %s", s.function,
                     scalars.quant_type, kModule.quant, kModuleName);
        return false;
    }
    if(s.stage == 1 && scalars.activation != kModule.activation)
    {
        PyErr_Format(PyExc_ValueError, "%s(): activation is %d, expected %d for %s", s.function,
                     scalars.activation, kModule.activation, kModuleName);
        return false;
    }
    if(scalars.is_shuffled != kModule.preshuffled)
    {
        PyErr_Format(PyExc_ValueError, "%s(): is_shuffled is %s, expected %s for %s", s.function,
                     scalars.is_shuffled ? "True" : "False", kModule.preshuffled ? "True" : "False",
                     kModuleName);
        return false;
    }
    if(call.arguments.given(Argument::kSortedWeights) && kModule.routed_weight_stage != s.stage)
    {
        PyErr_Format(PyExc_ValueError,
                     "%s(): sorted_weights is given, but %s multiplies by it in stage %d",
                     s.function, kModuleName, kModule.routed_weight_stage);
        return false;
    }
    return true;
}

// `out` first: the others have to lie on its GPU.
bool read_tensors(Call& call) noexcept
{
    const bool stage1      = call.signature.stage == 1;
    const bool multiplies  = kModule.routed_weight_stage == call.signature.stage;
    const Dtypes out_dtype = stage1 && kModule.split_k ? dtype::float32 : kModule.c_dtypes;
    Tensors& t             = call.tensors;
    const auto read        = [&](Argument which, Dtypes dtypes, bool optional, Tensor* tensor) {
        return read_tensor(call.state, call.arguments.get(which),
                           {call.arguments.name(which), dtypes, optional}, t.out.device, tensor);
    };
    return read(Argument::kOut, out_dtype, false, &t.out) &&
           read(Argument::kActivations, kModule.a_dtypes, false, &t.activations) &&
           read(stage1 ? Argument::kW1 : Argument::kW2, kModule.b_dtypes, false, &t.weights) &&
           read(Argument::kSortedTokenIds, dtype::int32, false, &t.token_ids) &&
           read(Argument::kSortedExpertIds, dtype::int32, false, &t.expert_ids) &&
           read(Argument::kNumValidIds, dtype::int32, false, &t.valid_ids) &&
           read(Argument::kWeightScale, 0, !kModule.scales, &t.weight_scale) &&
           read(Argument::kActivationScale, 0, !kModule.scales, &t.activation_scale) &&
           read(Argument::kSortedWeights, dtype::float32, !multiplies, &t.sorted_weights);
}

// A size times `factor` as the kernels take it: a 32-bit int.
bool read_size(const Call& call, Argument which, const Tensor& tensor, int dim, int factor,
               int* out) noexcept
{
    long long size = 0;
    if(!size_of(call.state, tensor, dim, &size))
    {
        return false;
    }
    if(size < 0 || size > INT_MAX / factor)
    {
        PyErr_Format(PyExc_ValueError, "%s(): %s.size(%d) is %lld, expected 0 to %d",
                     call.signature.function, call.arguments.name(which), dim, size,
                     INT_MAX / factor);
        return false;
    }
    *out = static_cast<int>(size) * factor;
    return true;
}

bool read_sizes(Call& call) noexcept
{
    const bool stage1 = call.signature.stage == 1;
    const Tensors& t  = call.tensors;
    Problem& problem  = call.problem;
    int rows          = 0;
    long long sorted  = 0;
    if(!read_size(call, Argument::kActivations, t.activations, 0, 1, &problem.tokens) ||
       !read_size(call, Argument::kActivations, t.activations, -1, kModule.values_per_element,
                  &problem.k) ||
       !read_size(call, stage1 ? Argument::kW1 : Argument::kW2, t.weights, 1, 1, &rows) ||
       !size_of(call.state, t.token_ids, 0, &sorted))
    {
        return false;
    }
    problem.n = stage1 ? rows / 2 : rows;
    // AITER's rule: min(tokens * topk * block_m, sorted), which no step of this one can overflow.
    const long long entries = static_cast<long long>(problem.tokens) * call.scalars.top_k;
    const long long bound   = std::min<long long>(sorted, INT_MAX);
    problem.sorted_size     = static_cast<int>(
        entries >= bound ? bound : std::min(entries * call.scalars.block_m, bound));
    if(problem.sorted_size == INT_MAX)
    {
        PyErr_Format(PyExc_ValueError, "%s(): %s.size(0) is %lld, expected less than %d",
                     call.signature.function, call.arguments.name(Argument::kSortedTokenIds),
                     sorted, INT_MAX);
        return false;
    }
    return true;
}

bool fill(Call& call) noexcept
{
    const Tensors& tensors    = call.tensors;
    Problem& problem          = call.problem;
    problem.activations       = tensors.activations.data;
    problem.activation_scales = tensors.activation_scale.data;
    problem.weights           = tensors.weights.data;
    problem.weight_scales     = tensors.weight_scale.data;
    problem.sorted_token_ids  = tensors.token_ids.data;
    problem.sorted_expert_ids = tensors.expert_ids.data;
    problem.num_valid_ids     = tensors.valid_ids.data;
    problem.sorted_weights    = tensors.sorted_weights.data;
    problem.out               = tensors.out.data;
    problem.top_k             = call.scalars.top_k;
    problem.split_k           = call.scalars.split_k;
    void* stream              = nullptr;
    if(!current_stream(call.state, tensors.out, &stream))
    {
        return false;
    }
    problem.stream = static_cast<hipStream_t>(stream);
    return true;
}

// Keeps `device` current while it lives.
class DeviceGuard
{
public:
    explicit DeviceGuard(int device) noexcept
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

    hipError_t error() const noexcept { return error_; }

private:
    int before_       = 0;
    bool changed_     = false;
    hipError_t error_ = hipSuccess;
};

PyObject* raise_threw(const Call& call, const Instance& instance, const char* what) noexcept
{
    return PyErr_Format(PyExc_RuntimeError, "%s(): launching %s failed: %s",
                        call.signature.function, instance.name.data(), what);
}

// The border: the launcher is the one piece of code behind the binding that can throw, because CK's
// own code runs in it.  False with a Python exception.
bool launch(const Call& call, const Instance& instance, LaunchResult* out) noexcept
{
    try
    {
        const DeviceGuard guard(call.tensors.out.device);
        *out = guard.error() == hipSuccess ? instance.launch(call.problem)
                                           : LaunchResult{Outcome::kHipError, guard.error()};
        return true;
    }
    catch(const std::bad_alloc&)
    {
        PyErr_NoMemory();
    }
    catch(const std::exception& error)
    {
        raise_threw(call, instance, error.what());
    }
    catch(...)
    {
        raise_threw(call, instance, "a C++ exception of an unknown type");
    }
    return false;
}

Ref positional_tuple(const Given& given) noexcept
{
    Ref tuple(PyTuple_New(given.positional));
    for(Py_ssize_t i = 0; tuple && i < given.positional; ++i)
    {
        PyTuple_SetItem(tuple.get(), i, Ref::to(given.args[i]).release());
    }
    return tuple;
}

Ref keyword_dict(const Given& given) noexcept
{
    Ref dict(PyDict_New());
    const Py_ssize_t count = given.keyword_names == nullptr ? 0 : PyTuple_Size(given.keyword_names);
    for(Py_ssize_t i = 0; dict && i < count; ++i)
    {
        PyObject* value = given.args[given.positional + i];
        if(PyDict_SetItem(dict.get(), PyTuple_GetItem(given.keyword_names, i), value) < 0)
        {
            return Ref();
        }
    }
    return dict;
}

// Asks the module's guard (aiter_prebuilt/serve/guard.py) to take a call that the module refuses
// for a reason of this kind.  NotImplemented where the guard leaves it to the module, or there is
// none; null with a Python exception.
Ref hand_on(const Call& call, const char* kind, PyObject* reason) noexcept
{
    // A reference of the call's own: the handler may set another one while it runs.
    const Ref handler = Ref::to(call.state.uncovered);
    if(!handler)
    {
        return Ref::to(Py_NotImplemented);
    }
    const Ref args   = positional_tuple(call.given);
    const Ref kwargs = args ? keyword_dict(call.given) : Ref();
    return Ref(kwargs ? PyObject_CallFunction(handler.get(), "ssOOO", call.signature.function, kind,
                                              reason, args.get(), kwargs.get())
                      : nullptr);
}

// Refuses a call with the exception that is set, unless the guard takes it.  An exception that a
// tensor raised for another cause than its being unfit is no refusal, and stays.
PyObject* refuse(const Call& call, const char* kind) noexcept
{
    if(!PyErr_ExceptionMatches(PyExc_RuntimeError) && !PyErr_ExceptionMatches(PyExc_TypeError) &&
       !PyErr_ExceptionMatches(PyExc_ValueError))
    {
        return nullptr;
    }
    PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    Ref kept[] = {Ref(type), Ref(value), Ref(traceback)};
    const Ref reason(PyObject_Str(value));
    Ref taken = reason ? hand_on(call, kind, reason.get()) : Ref();
    if(taken.get() != Py_NotImplemented)
    {
        return taken.release();
    }
    PyErr_Restore(kept[0].release(), kept[1].release(), kept[2].release());
    return nullptr;
}

// `wrong` says why no module has what the call takes; null where another one may.
PyObject* refuse_left_out(const Call& call, const char* what, const Instead* wrong) noexcept
{
    const Problem& problem = call.problem;
    PyErr_Format(PyExc_RuntimeError,
                 "%s(): %s has no %s for tokens = %d, n = %d, k = %d, block_m = %d, "
                 "kernelName = '%s'%s%s",
                 call.signature.function, kModuleName, what, problem.tokens, problem.n, problem.k,
                 call.scalars.block_m, call.scalars.kernel_name.data(),
                 wrong == nullptr ? "" : ": ", wrong == nullptr ? "" : wrong->reason);
    return refuse(call, what);
}

PyObject* refuse_block_m(const Call& call, int inter_dim) noexcept
{
    PyErr_Format(PyExc_ValueError,
                 "%s(): block_m is %d, which %s has no instance for (inter_dim %d)",
                 call.signature.function, call.scalars.block_m, kModuleName, inter_dim);
    return refuse(call, "block_m");
}

PyObject* refuse_tile(const Call& call, const Instance& instance) noexcept
{
    PyErr_Format(PyExc_RuntimeError,
                 "%s(): %s does not support n = %d, k = %d: they are not multiples of its tile",
                 call.signature.function, instance.name.data(), call.problem.n, call.problem.k);
    return refuse(call, "tile");
}

// AITER warns of a name that it does not know, and its heuristic decides; another AITER may know
// it. What the guard answered, NotImplemented where the heuristic has to decide.
Ref meet_unknown_name(const Call& call) noexcept
{
    const Ref reason(PyUnicode_FromFormat("%s(): kernelName '%s' is not known",
                                          call.signature.function,
                                          call.scalars.kernel_name.data()));
    Ref taken = reason ? hand_on(call, "name", reason.get()) : Ref();
    if(taken.get() == Py_NotImplemented &&
       PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "%U, using block_m", reason.get()) < 0)
    {
        return Ref();
    }
    return taken;
}

// Says, once a module, that another kernel ran than the one that the call asked for: the guard logs
// it; without a guard it is a warning.  The kernel was launched: a warning that is made an error,
// or a guard that fails, is printed and does not fail the call.
void tell_replaced(const Call& call, const Choice& choice) noexcept
{
    if(choice.replaced == nullptr || call.state.told_replaced)
    {
        return;
    }
    call.state.told_replaced = true;
    const Ref text(PyUnicode_FromFormat("%s(): %s runs instead of %s (n = %d, k = %d): %s",
                                        call.signature.function, choice.instance->name.data(),
                                        choice.replaced->name.data(), call.problem.n,
                                        call.problem.k, choice.wrong->reason));
    const Ref heard = text ? hand_on(call, "instead", text.get()) : Ref();
    if(!heard || (heard.get() == Py_NotImplemented &&
                  PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "%U", text.get()) < 0))
    {
        PyErr_WriteUnraisable(nullptr);
    }
}

PyObject* run(const Call& call, const Choice& choice) noexcept
{
    const Instance& instance = *choice.instance;
    LaunchResult result      = {};
    if(!launch(call, instance, &result))
    {
        return nullptr;
    }
    switch(result.outcome)
    {
    case Outcome::kLaunched:
        tell_replaced(call, choice);
        Py_RETURN_NONE;
    case Outcome::kNoKernel:
        return refuse_left_out(call, "kernel", choice.wrong);
    case Outcome::kNotDivisible:
        return refuse_tile(call, instance);
    case Outcome::kHipError:
        break;
    }
    return PyErr_Format(PyExc_RuntimeError, "%s(): launching %s failed: %s (hipError %d)",
                        call.signature.function, instance.name.data(),
                        hipGetErrorString(result.error), static_cast<int>(result.error));
}

PyObject* dispatch(const Call& call) noexcept
{
    const Scalars& scalars = call.scalars;
    const int stage        = call.signature.stage;
    const Problem& problem = call.problem;
    const Choice choice =
        choose(kModule, stage, scalars.kernel_name, scalars.block_m, problem.n, problem.k);
    if(choice.name_unknown)
    {
        Ref taken = meet_unknown_name(call);
        if(taken.get() != Py_NotImplemented)
        {
            return taken.release();
        }
    }
    if(choice.instance == nullptr)
    {
        return refuse_block_m(call, stage == 1 ? problem.n : problem.k);
    }
    return choice.instance->launch == nullptr ? refuse_left_out(call, "instance", choice.wrong)
                                              : run(call, choice);
}

} // namespace

PyObject* run_stage(State& state, const Signature& signature, const Given& given) noexcept
{
    Call call = {state, signature, given, Arguments(signature), {}, {}, {}};
    if(!call.arguments.bind(given) || !read_scalars(call.arguments, &call.scalars))
    {
        return nullptr;
    }
    if(!check_counts(call) || !check_features(call) || !read_tensors(call) || !read_sizes(call))
    {
        return refuse(call, "arguments");
    }
    if(call.tensors.activations.empty || call.tensors.out.empty || call.tensors.token_ids.empty)
    {
        Py_RETURN_NONE;
    }
    return fill(call) ? dispatch(call) : nullptr;
}

} // namespace aiter_prebuilt
