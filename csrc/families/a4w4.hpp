// What the two A4W4 families share (per_1x32): e8m0 scales of 32 values, and CK's MX operations,
// which take the same arguments.
#pragma once

#include "families/family.hpp"

namespace aiter_prebuilt {

using E8m0 = ck::e8m0_bexp_t;

inline constexpr int kMxScaleBlock = 32; // values of K under one e8m0 scale
inline constexpr int kMxVector     = 16; // bytes of one A or B vector

template <typename Spec>
struct A4W4Tiling : Tiling<Spec>
{
    static constexpr int kK0 = Spec::kK / kMxVector;
    static constexpr int kOutVector =
        Tiling<Spec>::kStage1 ? 16 / static_cast<int>(sizeof(typename Spec::EData)) : 2;

    using Transfer = S<kK0, Spec::kBlock / kK0, 1>;
};

// CK's K of packed fp4 counts bytes, too: Spec::kK is in bytes.
template <typename Spec, typename Op>
struct A4W4 : Family<Spec, Op>
{
    static_assert(!Spec::kSplitK, "AITER splits K of block-scaled FP8 alone");
    using Base     = Family<Spec, Op>;
    using Argument = typename Base::Argument;

    // CK's own rule for the second launch bound (the MX operations' Invoker).
    static constexpr int kMinimumOccupancy =
        Spec::kPipeline == ck::BlockGemmPipelineVersion::v3 &&
                Spec::kM * Spec::kN * Spec::kK <= 128 * 128 * 64 * 2
            ? 2
            : 1;

    template <typename Problem>
    static Argument make_argument(const Problem& p)
    {
        const ck::index_t scale_stride = (p.k + kMxScaleBlock - 1) / kMxScaleBlock;
        const std::array<const void*, 3> ds{nullptr, nullptr, Base::routed_weights(p)};
        // Per-tensor scales would have stride 0; block scales have 1 (AITER's DStride).
        const std::array<ck::index_t, 3> d_strides{1, 1, 0};
        return Base::argument(p,
                              Base::k_batch(p),
                              p.activations,
                              p.activation_scales,
                              p.weights,
                              p.weight_scales,
                              ds,
                              p.out,
                              p.tokens,
                              p.top_k,
                              p.sorted_size,
                              p.n,
                              p.k,
                              p.k,
                              scale_stride,
                              p.k,
                              scale_stride,
                              d_strides,
                              p.n);
    }
};

} // namespace aiter_prebuilt
