// One MoE GEMM call as it crosses from the binding to an instance's launcher.
#pragma once

#include <hip/hip_runtime_api.h>

namespace aiter_prebuilt {

struct Problem
{
    const void* activations;       // [tokens(, top_k), k]
    const void* activation_scales; // null where the family has none
    const void* weights;           // [experts, n or 2 n, k]
    const void* weight_scales;     // null where the family has none
    const void* sorted_token_ids;  // int32 [sorted_size]
    const void* sorted_expert_ids; // int32, one a block of block_m rows
    const void* num_valid_ids;     // int32 [1 or 2]
    const void* sorted_weights;    // fp32 [sorted_size], null where this stage does not multiply
    // [tokens, top_k, n] in stage 1 (2 n of fp32 where K is split), [tokens, n] in stage 2
    void* out;
    int tokens;
    int top_k;
    int sorted_size;
    int n;
    int k;       // values, not bytes
    int split_k; // parts of K; read where an instance splits
    hipStream_t stream;
};

enum class Outcome
{
    kLaunched,
    kNotDivisible, // CK's tiles cannot divide this n or k
    kNoKernel,     // the module was built without the kernel that this k takes
    kHipError,
};

struct LaunchResult
{
    Outcome outcome;
    hipError_t error;
};

// Handles of an instance's four kernels as the registrar made them known to HIP; null where the
// kernel was not planned.
struct KernelTable
{
    const void* main_odd;
    const void* main_even;
    const void* nomain_odd;
    const void* nomain_even;

    const void* pick(bool main_loop, bool odd) const
    {
        if(main_loop)
        {
            return odd ? main_odd : main_even;
        }
        return odd ? nomain_odd : nomain_even;
    }
};

using LaunchFunction = LaunchResult (*)(const Problem&);

} // namespace aiter_prebuilt
