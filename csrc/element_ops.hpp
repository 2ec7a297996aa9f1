// Element operations on a kernel's accumulator, under the names that AITER's kernels carry in their
// symbols.  Source of the facts: ROCm/aiter 9bab8388, csrc/ck_gemm_moe_2stages_codegen.
//
// Scales and the routed weight are applied inside the kernels; what is left is the conversion to the
// output type (and a factor of 16 for the second GEMM on int4 weights).
#pragma once

#include "ck/utility/data_type.hpp"
#include "ck/utility/type_convert.hpp"

namespace aiter_prebuilt {

// The conversion that all of them share: (output, accumulator, up to three scale operands).
struct ConvertAccumulator
{
    template <typename E, typename C, typename... Ds>
    __host__ __device__ constexpr void operator()(E& e, const C& c, const Ds&...) const
    {
        e = ck::type_convert<E>(c);
    }
};

} // namespace aiter_prebuilt

// a4w4, preshuffled weights
struct MulABScaleShuffled : aiter_prebuilt::ConvertAccumulator
{
};
struct MulABScaleExpertWeightShuffled : aiter_prebuilt::ConvertAccumulator
{
};

// a4w4, weights as they are
struct MulABScale : aiter_prebuilt::ConvertAccumulator
{
};
struct MulABScaleExpertWeight : aiter_prebuilt::ConvertAccumulator
{
};

// a8w8, block scales
struct MulABScaleExpertWeightA8W8blkscale : aiter_prebuilt::ConvertAccumulator
{
};

// a16w16 and a8w8 on gfx950
struct TypeCast : aiter_prebuilt::ConvertAccumulator
{
};

// a8w4
struct MulABScaleWint4 : aiter_prebuilt::ConvertAccumulator
{
};
struct MulABScaleExpertWeightWin4
{
    template <typename E, typename C, typename... Ds>
    __host__ __device__ constexpr void operator()(E& e, const C& c, const Ds&...) const
    {
        e = ck::type_convert<E>(ck::type_convert<float>(c) * 16.f);
    }
};
