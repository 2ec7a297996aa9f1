// The nineteen arguments of ck_moe_stage1/2, by position or keyword (aiter-contract, section 3:
// same positional order in every AITER so far).
#pragma once

#include "tensor.hpp"

namespace aiter_prebuilt {

enum Argument
{
    kActivations,
    kW1,
    kW2,
    kSortedTokenIds,
    kSortedExpertIds,
    kNumValidIds,
    kOut,
    kTopK,
    kKernelName,
    kWeightScale,
    kActivationScale,
    kBlockM,
    kSortedWeights,
    kQuantType,
    kActivation,
    kSplitK,
    kNonTemporalLoad,
    kDstType,
    kIsShuffled,
    kArgumentCount
};

struct Signature
{
    const char* function;
    int stage;
    const char* names[kArgumentCount];
};

extern const Signature kStage1;
extern const Signature kStage2;

// Sorts positional and keyword arguments into `values` (borrowed; null where not given).
// False with a TypeError in CPython's wording.
bool bind_arguments(const Signature& signature, PyObject* const* args, Py_ssize_t positional,
                    PyObject* keyword_names, PyObject** values);

// The scalar arguments; false with a Python exception that names the argument.
bool int_argument(const Signature& signature, PyObject* const* values, Argument which,
                  int otherwise, int* out);
bool bool_argument(PyObject* const* values, Argument which, bool otherwise, bool* out);

// A copy of a string argument, "" where it is None or not given.  False with a Python exception.
bool text_argument(const Signature& signature, PyObject* const* values, Argument which, char* out,
                   std::size_t size);

} // namespace aiter_prebuilt
