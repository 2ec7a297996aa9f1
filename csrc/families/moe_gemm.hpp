// a16w16, a8w8 (per_token, per_tensor) and a8w4: CK's DeviceMoeGemm with the template arguments
// that AITER gives it (ROCm/aiter 9bab8388 and e4048607, csrc/ck_gemm_moe_2stages_codegen).
#pragma once

#include "families/family.hpp"

#include "ck/tensor_operation/gpu/device/impl/device_gemm_multiple_d_xdl_cshuffle_v3.hpp"
#include "ck/tensor_operation/gpu/device/impl/device_moe_gemm.hpp"

struct TypeCast : aiter_prebuilt::ConvertAccumulator
{
};
struct MulABScaleWint4 : aiter_prebuilt::ConvertAccumulator
{
};
// The second GEMM on int4 weights scales by 16.
struct MulABScaleExpertWeightWin4
{
    template <typename E, typename C, typename... Ds>
    __host__ __device__ constexpr void operator()(E& e, const C& c, const Ds&...) const
    {
        e = ck::type_convert<E>(ck::type_convert<float>(c) * 16.f);
    }
};

namespace aiter_prebuilt {

// clang-format off: template arguments stand in CK's groups.
template <typename Spec>
struct MoeGemmOp : Tiling<Spec>
{
    using T     = Tiling<Spec>;
    using AData = typename Spec::AData;
    using BData = typename Spec::BData;
    using EData = typename Spec::EData;

    static constexpr bool kInt4     = std::is_same_v<BData, ck::pk_i4_t>;
    static constexpr bool kAllBytes = sizeof(AData) == 1 && sizeof(BData) == 1;

    // Bytes of one A or B vector: 8 where the tile is too small for 16.
    static constexpr bool kNarrow =
        kAllBytes &&
        (T::kStage1 ? Spec::kPipeline == ck::BlockGemmPipelineVersion::v3 && Spec::kN == 64
                    : Spec::kBlock == 256 && Spec::kK == 64);
    static constexpr int kVectorBytes = kNarrow ? 8 : 16;
    static constexpr int kAK1         = kVectorBytes / static_cast<int>(sizeof(AData));
    static constexpr int kBK1         = kInt4 ? 32 : kVectorBytes / static_cast<int>(sizeof(BData));
    static constexpr int kAK0         = Spec::kK / kAK1;
    static constexpr int kBK0         = Spec::kK / kBK1;

    static constexpr int kShuffleM = T::kMXdlPerWave > 2 ? 2 : T::kMXdlPerWave;
    static constexpr int kShuffleN = kInt4 ? (T::kStage1 ? 1 : 2) : T::kNXdlPerWave;
    static constexpr int kLanesM   = Spec::kM == 16 ? 16 : T::kHalfLanes; // stage 1
    static constexpr int kLanesN   = kInt4 ? 32 : T::kHalfLanes;          // stage 2
    static constexpr int kOutVector =
        T::kStage1 ? (Spec::kM == 16 ? 4 : 16 / static_cast<int>(sizeof(EData))) : 2;
    static constexpr int kScaleVector = Spec::kPerTensor ? 1 : kOutVector;

    using Cluster = std::conditional_t<T::kStage1, S<1, kLanesM, 1, Spec::kBlock / kLanesM>,
                                       S<1, Spec::kBlock / kLanesN, 1, kLanesN>>;
    using Vectors = std::conditional_t<T::kStage1, S<kOutVector, 1, kScaleVector>,
                                       S<kOutVector, 1, kScaleVector, 1>>;
    using Accumulator = std::conditional_t<std::is_same_v<AData, int8_t>, int, float>;

    using Type = ck::tensor_operation::device::DeviceMoeGemm<
        Row, Col, ck::Tuple<Row, Col, Row>, Row,
        AData, BData, ck::Tuple<float, float, float>, EData, Accumulator, float,
        PassThrough, PassThrough, typename Spec::ElementOp, kGemmDefault,
        Spec::kBlock, Spec::kM, Spec::kN, Spec::kK, kAK1, kBK1,
        kXdl, kXdl, T::kMXdlPerWave, T::kNXdlPerWave,
        S<kAK0, Spec::kBlock / kAK0, 1>, S<1, 0, 2>, S<1, 0, 2>, 2, kAK1, kAK1, 0,
        S<kBK0, Spec::kBlock / kBK0, 1>, S<1, 0, 2>, S<1, 0, 2>, 2, kBK1, kBK1, 0,
        kShuffleM, kShuffleN, Cluster, Vectors,
        kIntrawave, Spec::kPipeline, Spec::kActivation, kNSwizzle, T::kStage1,
        Spec::kMulRoutedWeight, !Spec::kPerTensor, ck::index_t, AData>;
};
// clang-format on

template <typename Spec>
struct MoeGemm : Family<Spec, typename MoeGemmOp<Spec>::Type>
{
    static_assert(!Spec::kSplitK, "AITER splits K of block-scaled FP8 alone");
    using Base     = Family<Spec, typename MoeGemmOp<Spec>::Type>;
    using Argument = typename Base::Argument;

    static constexpr int kMinimumOccupancy =
        Base::template register_occupancy<typename MoeGemmOp<Spec>::Accumulator>();

    template <typename Problem>
    static Argument make_argument(const Problem& p)
    {
        const std::array<const void*, 3> ds{
            p.activation_scales, p.weight_scales, Base::routed_weights(p)};
        // One scale for a tensor: stride 0.  One a row: stride 1.
        constexpr ck::index_t stride = Spec::kPerTensor ? 0 : 1;
        const std::array<ck::index_t, 3> d_strides{stride, stride, 0};
        return Base::argument(p,
                              Base::k_batch(p),
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
                              p.n);
    }
};

} // namespace aiter_prebuilt
