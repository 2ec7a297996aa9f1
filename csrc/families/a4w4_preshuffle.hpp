// A4W4 with preshuffled weights, per_1x32: CK's DeviceMoeGemmMXBPreShuffle with the template
// arguments that AITER gives it (ROCm/aiter 9bab8388 and e4048607; aiter-contract, section 4).
#pragma once

#include "ck/ck.hpp"
#include "ck/tensor_operation/gpu/device/gemm_specialization.hpp"
#include "ck/tensor_operation/gpu/device/tensor_layout.hpp"
#include "ck/tensor_operation/gpu/element/element_wise_operation.hpp"
#include "ck/tensor_operation/gpu/device/impl/device_moe_mx_gemm_bpreshuffle.hpp"

#include "element_ops.hpp"
#include "stage.hpp"

struct MulABScaleShuffled : aiter_prebuilt::ConvertAccumulator
{
};
struct MulABScaleExpertWeightShuffled : aiter_prebuilt::ConvertAccumulator
{
};

namespace aiter_prebuilt {

template <Stage kStage, int kBlock, int kM, int kN, int kKBytes, int kMWaves, int kNWaves,
          ck::BlockGemmPipelineVersion kPipeline, typename AData, typename BData, typename EData,
          typename CDEOp, bool kMulRoutedWeight, int kActivation, bool kPerTensor>
struct A4W4Preshuffle
{
    template <ck::index_t... Is>
    using S = ck::Sequence<Is...>;

    using Row         = ck::tensor_layout::gemm::RowMajor;
    using Col         = ck::tensor_layout::gemm::ColumnMajor;
    using E8m0        = ck::e8m0_bexp_t;
    using PassThrough = ck::tensor_operation::element_wise::PassThrough;

    static constexpr bool kStage1      = kStage == Stage::kGateUp;
    static constexpr int kXdl          = 16;  // side of one MFMA tile
    static constexpr int kScaleBlock   = 32;  // values of K under one e8m0 scale
    static constexpr int kK1           = 16;  // bytes of one A or B vector
    static constexpr int kMXdlPerWave  = kM / (kXdl * kMWaves);
    static constexpr int kNXdlPerWave  = kN / (kXdl * kNWaves);
    static constexpr int kK0           = kKBytes / kK1;
    static constexpr int kOutVector    = kStage1 ? 16 / static_cast<int>(sizeof(EData)) : 2;
    static constexpr int kShuffleLanes = kBlock == 64
                                             ? (kStage1 ? kN / kNXdlPerWave : kN / 2)
                                             : kN / 2 / kNXdlPerWave;

    using Transfer = S<kK0, kBlock / kK0, 1>;
    using Cluster  = std::conditional_t<kStage1,
                                        S<1, kShuffleLanes, 1, kBlock / kShuffleLanes>,
                                        S<1, kBlock / kShuffleLanes, 1, kShuffleLanes>>;

    using DeviceOp = ck::tensor_operation::device::DeviceMoeGemmMXBPreShuffle<
        Row, Col, ck::Tuple<Row, Col, Row>, Row,
        AData, E8m0, BData, E8m0, ck::Tuple<float, float, float>, EData, float, float,
        PassThrough, PassThrough, CDEOp, ck::tensor_operation::device::GemmSpecialization::Default,
        kScaleBlock, kBlock, kM, kN, kKBytes, kK1, kK1, kXdl, kXdl, kMXdlPerWave, kNXdlPerWave,
        Transfer, S<1, 0, 2>, S<1, 0, 2>, 2, kK1, kK1, 1,
        Transfer, S<1, 0, 2>, S<1, 0, 2>, 2, kK1, kK1, 1,
        2, kNXdlPerWave, Cluster, S<kOutVector, 1, kOutVector>,
        ck::BlockGemmPipelineScheduler::Intrawave, kPipeline, kActivation, false, kStage1,
        kMulRoutedWeight, ck::index_t, AData>;

    using Gridwise = typename DeviceOp::GridwiseGemm64;
    using Argument = typename Gridwise::Argument;

    static constexpr int kBlockSize = kBlock;
    static constexpr int kNPerBlock = kN;
    static constexpr int kKPerBlock = kKBytes; // CK's K of packed fp4 counts bytes, too

    static constexpr auto kMemoryOp = kStage1 ? ck::InMemoryDataOperationEnum::Set
                                              : ck::InMemoryDataOperationEnum::AtomicAdd;
    // CK's own rule for the second launch bound (DeviceMoeGemmMXBPreShuffle::Invoker).
    static constexpr int kMinimumOccupancy =
        kPipeline == ck::BlockGemmPipelineVersion::v3 && kM * kN * kKBytes <= 128 * 128 * 64 * 2
            ? 2
            : 1;

    // A template, so that a kernel's translation unit does not depend on Problem's definition.
    template <typename Problem>
    static Argument make_argument(const Problem& p)
    {
        const ck::index_t scale_stride = (p.k + kScaleBlock - 1) / kScaleBlock;
        const void* routed_weights     = kMulRoutedWeight ? p.sorted_weights : nullptr;
        return DeviceOp::MakeArgument(p.sorted_token_ids,
                                      p.sorted_expert_ids,
                                      p.num_valid_ids,
                                      p.activations,
                                      p.activation_scales,
                                      p.weights,
                                      p.weight_scales,
                                      {nullptr, nullptr, routed_weights},
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
                                      {kScaleStrideD, kScaleStrideD, 0},
                                      p.n,
                                      1,
                                      PassThrough{},
                                      PassThrough{},
                                      CDEOp{});
    }

private:
    // Per-tensor scales would have stride 0; block scales have 1 (AITER's DStride).
    static constexpr ck::index_t kScaleStrideD = 1;
};

} // namespace aiter_prebuilt
