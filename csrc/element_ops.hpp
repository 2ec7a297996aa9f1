// What the element operations of all families share.  Each family's header names its own after
// AITER's, because the names stand in the kernels' symbols (ROCm/aiter 9bab8388,
// csrc/ck_gemm_moe_2stages_codegen).
//
// Scales and the routed weight are applied inside the kernels; what is left is the conversion to
// the output type.
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
