// a8w8 with one scale for 1 x 128 of the activations and 128 x 128 of the weights: CK's
// DeviceMoeGemmBlockScale with the template arguments that AITER gives it (ROCm/aiter 9bab8388 and
// e4048607, csrc/ck_gemm_moe_2stages_codegen), as CK of ROCm 7.2 declares them: no IsSplitK, no NT.
#pragma once

#include "ck/ck.hpp"
#include "ck/tensor_operation/gpu/device/gemm_specialization.hpp"
#include "ck/tensor_operation/gpu/device/tensor_layout.hpp"
#include "ck/tensor_operation/gpu/element/element_wise_operation.hpp"
#include "ck/tensor_operation/gpu/device/impl/device_moe_gemm_blockscale.hpp"

#include "element_ops.hpp"
#include "stage.hpp"

struct MulABScaleExpertWeightA8W8blkscale : aiter_prebuilt::ConvertAccumulator
{
};

namespace aiter_prebuilt {

template <Stage kStage, int kBlock, int kM, int kN, int kK, int kMWaves, int kNWaves,
          ck::BlockGemmPipelineVersion kPipeline, typename AData, typename BData, typename EData,
          typename CDEOp, bool kMulRoutedWeight, int kActivation, bool kPerTensor>
struct A8W8Blockscale
{
    template <ck::index_t... Is>
    using S = ck::Sequence<Is...>;

    using Row         = ck::tensor_layout::gemm::RowMajor;
    using Col         = ck::tensor_layout::gemm::ColumnMajor;
    using PassThrough = ck::tensor_operation::element_wise::PassThrough;

    static constexpr bool kStage1     = kStage == Stage::kGateUp;
    static constexpr int kXdl         = 16;  // side of one MFMA tile
    static constexpr int kScaleM      = 1;   // rows under one activation scale
    static constexpr int kScaleSide   = 128; // values of N and of K under one weight scale
    static constexpr int kK1          = 16;  // bytes of one A or B vector
    static constexpr int kK0          = kK / kK1;
    static constexpr int kMXdlPerWave = kM / (kXdl * kMWaves);
    static constexpr int kNXdlPerWave = kN / (kXdl * kNWaves);
    static constexpr int kLanesN      = kStage1 ? 16 : 64;

    using Transfer = S<kK0, kBlock / kK0, 1>;

    using DeviceOp = ck::tensor_operation::device::DeviceMoeGemmBlockScale<
        Row, Col, ck::Tuple<Row>, Row,
        AData, float, BData, float, ck::Tuple<float>, EData, float, float,
        PassThrough, PassThrough, CDEOp, ck::tensor_operation::device::GemmSpecialization::Default,
        kBlock, kScaleM, kScaleSide, kScaleSide, kM, kN, kK, kK1, kK1, kXdl, kXdl,
        kMXdlPerWave, kNXdlPerWave,
        Transfer, S<1, 0, 2>, S<1, 0, 2>, 2, kK1, kK1, 0,
        Transfer, S<1, 0, 2>, S<1, 0, 2>, 2, kK1, kK1, 0,
        kMXdlPerWave, kNXdlPerWave, S<1, kBlock / kLanesN, 1, kLanesN>, S<2, 1, 1, 1>,
        ck::BlockGemmPipelineScheduler::Intrawave, kPipeline, kActivation, false, kStage1,
        kMulRoutedWeight, int32_t, AData, AData, AData, AData>;

    using Gridwise = typename DeviceOp::GridwiseGemm64;
    using Argument = typename Gridwise::Argument;

    static constexpr int kBlockSize = kBlock;
    static constexpr int kNPerBlock = kN;
    static constexpr int kKPerBlock = kK;

    static constexpr auto kMemoryOp = kStage1 ? ck::InMemoryDataOperationEnum::Set
                                              : ck::InMemoryDataOperationEnum::AtomicAdd;

    // CK's own rule for the second launch bound (DeviceMoeGemmBlockScale::Invoker): an estimate of
    // registers.
    static constexpr int kGemms     = kStage1 ? 2 : 1; // gate and up
    static constexpr int kRegisters = kM * kK * sizeof(AData) / kBlock / 4 * (1 + Gridwise::NWave) +
                                      kN * kK * sizeof(BData) / kBlock / 4 * 2 * kGemms +
                                      kM * kN * sizeof(float) / kBlock / 4 * kGemms;
    static constexpr int kMinimumOccupancy = kRegisters >= 256 ? 1 : 2;

    // A template, so that a kernel's translation unit does not depend on Problem's definition.
    template <typename Problem>
    static Argument make_argument(const Problem& p)
    {
        return DeviceOp::MakeArgument(p.sorted_token_ids,
                                      p.sorted_expert_ids,
                                      p.num_valid_ids,
                                      p.activations,
                                      p.weights,
                                      {kMulRoutedWeight ? p.sorted_weights : nullptr},
                                      p.out,
                                      p.tokens,
                                      p.top_k,
                                      p.sorted_size,
                                      p.n,
                                      p.k,
                                      p.k,
                                      p.k,
                                      {0},
                                      p.n,
                                      p.activation_scales,
                                      p.weight_scales,
                                      1,
                                      PassThrough{},
                                      PassThrough{},
                                      CDEOp{});
    }
};

} // namespace aiter_prebuilt
