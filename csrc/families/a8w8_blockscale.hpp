// a8w8 with one scale for 1 x 128 of the activations and 128 x 128 of the weights: CK's
// DeviceMoeGemmBlockScale with the template arguments that AITER gives it (ROCm/aiter 9bab8388 and
// e4048607, csrc/ck_gemm_moe_2stages_codegen).
#pragma once

#include "families/family.hpp"

#include "ck/tensor_operation/gpu/device/impl/device_moe_gemm_blockscale.hpp"

struct MulABScaleExpertWeightA8W8blkscale : aiter_prebuilt::ConvertAccumulator
{
};
// The parts of a split K are rounded to half before they are added up in fp32.
struct MulABScaleExpertWeightA8W8blkscaleSplitk
{
    template <typename E, typename C, typename... Ds>
    __host__ __device__ constexpr void operator()(E& e, const C& c, const Ds&...) const
    {
        e = ck::type_convert<ck::half_t>(c);
    }
};

namespace aiter_prebuilt {

// clang-format off: template arguments stand in CK's groups.
template <typename Spec>
struct A8W8BlockscaleArguments : Tiling<Spec>
{
    using T     = Tiling<Spec>;
    using AData = typename Spec::AData;
    using BData = typename Spec::BData;
    using EData = typename Spec::EData;

    static constexpr int kScaleM    = 1;   // rows under one activation scale
    static constexpr int kScaleSide = 128; // values of N and of K under one weight scale
    static constexpr int kK1        = 16;  // bytes of one A or B vector
    static constexpr int kK0        = Spec::kK / kK1;
    static constexpr int kLanesN    = T::kStage1 ? 16 : 64;

    using Transfer = S<kK0, Spec::kBlock / kK0, 1>;
    using Cluster  = S<1, Spec::kBlock / kLanesN, 1, kLanesN>;

    // kFlags: what CK declares between IsInputGemm and IndexType.
    template <bool... kFlags>
    using Op = ck::tensor_operation::device::DeviceMoeGemmBlockScale<
        Row, Col, ck::Tuple<Row>, Row,
        AData, float, BData, float, ck::Tuple<float>, EData, float, float,
        PassThrough, PassThrough, typename Spec::ElementOp, kGemmDefault,
        Spec::kBlock, kScaleM, kScaleSide, kScaleSide, Spec::kM, Spec::kN, Spec::kK, kK1, kK1,
        kXdl, kXdl, T::kMXdlPerWave, T::kNXdlPerWave,
        Transfer, S<1, 0, 2>, S<1, 0, 2>, 2, kK1, kK1, 0,
        Transfer, S<1, 0, 2>, S<1, 0, 2>, 2, kK1, kK1, 0,
        T::kMXdlPerWave, T::kNXdlPerWave, Cluster, S<2, 1, 1, 1>,
        kIntrawave, Spec::kPipeline, Spec::kActivation, kNSwizzle, T::kStage1,
        kFlags..., int32_t, AData, AData, AData, AData>;
};
// clang-format on

// The CK of ROCm 7.2 has MulRoutedWeight alone; a newer one has IsSplitK before it.
template <typename Spec, typename = void>
struct A8W8BlockscaleOp
{
    static_assert(!Spec::kSplitK, "this composable kernel's DeviceMoeGemmBlockScale has no IsSplitK");
    using Type = typename A8W8BlockscaleArguments<Spec>::template Op<Spec::kMulRoutedWeight>;
};

template <typename Spec>
struct A8W8BlockscaleOp<Spec,
                        std::void_t<typename A8W8BlockscaleArguments<
                            Spec>::template Op<Spec::kSplitK, Spec::kMulRoutedWeight>>>
{
    using Type = typename A8W8BlockscaleArguments<Spec>::template Op<Spec::kSplitK,
                                                                     Spec::kMulRoutedWeight>;
};

template <typename Spec>
struct A8W8Blockscale : Family<Spec, typename A8W8BlockscaleOp<Spec>::Type>
{
    using Base     = Family<Spec, typename A8W8BlockscaleOp<Spec>::Type>;
    using Argument = typename Base::Argument;

    static constexpr int kMinimumOccupancy = Base::template register_occupancy<float>();

    // AITER's splitk is the number of parts of K, CK's KBatch that of the tiles in a part.  A part
    // of one tile would be "not split" to CK, whose columns then do not fit the output's.
    template <typename Problem>
    static ck::index_t k_batch(const Problem& p)
    {
        if constexpr(Spec::kSplitK)
        {
            const int tiles = p.split_k > 0 ? p.k / Spec::kK / p.split_k : 0;
            return tiles > 1 && tiles * p.split_k * Spec::kK == p.k ? tiles : 0;
        }
        return 1;
    }

    template <typename Problem>
    static Argument make_argument(const Problem& p)
    {
        const std::array<const void*, 1> ds{Base::routed_weights(p)};
        constexpr std::array<ck::index_t, 1> d_strides{0};
        return Base::argument(p,
                              k_batch(p),
                              p.activations,
                              p.weights,
                              ds,
                              p.out,
                              p.tokens,
                              p.top_k,
                              p.sorted_size,
                              p.n,
                              p.k,
                              p.k,
                              p.k,
                              d_strides,
                              p.n * Base::kOutputs,
                              p.activation_scales,
                              p.weight_scales);
    }
};

} // namespace aiter_prebuilt
