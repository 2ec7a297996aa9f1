// Element operations on a kernel's fp32 accumulator, under the names that AITER's kernels carry in
// their symbols.  Source of the facts: ROCm/aiter 9bab8388, csrc/ck_gemm_moe_2stages_codegen.
#pragma once

#include "ck/utility/data_type.hpp"
#include "ck/utility/type_convert.hpp"

// A4W4: block scales and the routed weight are applied inside the kernel, what is left is the
// conversion to the output type.
struct MulABScaleShuffled
{
    template <typename E, typename C, typename D0, typename D1, typename D2>
    __host__ __device__ constexpr void
    operator()(E& e, const C& c, const D0&, const D1&, const D2&) const
    {
        e = ck::type_convert<E>(c);
    }
};

struct MulABScaleExpertWeightShuffled : MulABScaleShuffled
{
};
