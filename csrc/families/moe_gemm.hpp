// a16w16, a8w8 (per_token, per_tensor) and a8w4: CK's DeviceMoeGemm with the template arguments
// that AITER gives it (ROCm/aiter 9bab8388 and e4048607, csrc/ck_gemm_moe_2stages_codegen).
#pragma once

#include "ck/ck.hpp"
#include "ck/tensor_operation/gpu/device/gemm_specialization.hpp"
#include "ck/tensor_operation/gpu/device/tensor_layout.hpp"
#include "ck/tensor_operation/gpu/element/element_wise_operation.hpp"
#include "ck/tensor_operation/gpu/device/impl/device_gemm_multiple_d_xdl_cshuffle_v3.hpp"
#include "ck/tensor_operation/gpu/device/impl/device_moe_gemm.hpp"

#include "element_ops.hpp"
#include "stage.hpp"

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

template <Stage kStage, int kBlock, int kM, int kN, int kK, int kMWaves, int kNWaves,
          ck::BlockGemmPipelineVersion kPipeline, typename AData, typename BData, typename EData,
          typename CDEOp, bool kMulRoutedWeight, int kActivation, bool kPerTensor>
struct MoeGemm
{
    template <ck::index_t... Is>
    using S = ck::Sequence<Is...>;

    using Row         = ck::tensor_layout::gemm::RowMajor;
    using Col         = ck::tensor_layout::gemm::ColumnMajor;
    using PassThrough = ck::tensor_operation::element_wise::PassThrough;

    static constexpr bool kStage1   = kStage == Stage::kGateUp;
    static constexpr bool kInt4     = std::is_same_v<BData, ck::pk_i4_t>;
    static constexpr bool kAllBytes = sizeof(AData) == 1 && sizeof(BData) == 1;

    static constexpr int kXdl         = 16; // side of one MFMA tile
    static constexpr int kMXdlPerWave = kM / (kXdl * kMWaves);
    static constexpr int kNXdlPerWave = kN / (kXdl * kNWaves);

    // Bytes of one A or B vector: 8 where the tile is too small for 16.
    static constexpr bool kNarrow = kAllBytes && (kStage1 ? kPipeline == ck::BlockGemmPipelineVersion::v3 && kN == 64
                                                          : kBlock == 256 && kK == 64);
    static constexpr int kVectorBytes = kNarrow ? 8 : 16;
    static constexpr int kAK1         = kVectorBytes / static_cast<int>(sizeof(AData));
    static constexpr int kBK1         = kInt4 ? 32 : kVectorBytes / static_cast<int>(sizeof(BData));
    static constexpr int kAK0         = kK / kAK1;
    static constexpr int kBK0         = kK / kBK1;

    static constexpr int kShuffleM = kMXdlPerWave > 2 ? 2 : kMXdlPerWave;
    static constexpr int kShuffleN = kInt4 ? (kStage1 ? 1 : 2) : kNXdlPerWave;
    static constexpr int kLanesM   = kM == 16 ? 16 : kN / 2 / kNXdlPerWave; // stage 1
    static constexpr int kLanesN   = kInt4 ? 32 : kN / 2 / kNXdlPerWave;    // stage 2
    static constexpr int kOutVector =
        kStage1 ? (kM == 16 ? 4 : 16 / static_cast<int>(sizeof(EData))) : 2;
    static constexpr int kScaleVector = kPerTensor ? 1 : kOutVector;

    using Cluster = std::conditional_t<kStage1, S<1, kLanesM, 1, kBlock / kLanesM>,
                                       S<1, kBlock / kLanesN, 1, kLanesN>>;
    using Vectors = std::conditional_t<kStage1, S<kOutVector, 1, kScaleVector>,
                                       S<kOutVector, 1, kScaleVector, 1>>;
    using Accumulator = std::conditional_t<std::is_same_v<AData, int8_t>, int, float>;

    using DeviceOp = ck::tensor_operation::device::DeviceMoeGemm<
        Row, Col, ck::Tuple<Row, Col, Row>, Row,
        AData, BData, ck::Tuple<float, float, float>, EData, Accumulator, float,
        PassThrough, PassThrough, CDEOp, ck::tensor_operation::device::GemmSpecialization::Default,
        kBlock, kM, kN, kK, kAK1, kBK1, kXdl, kXdl, kMXdlPerWave, kNXdlPerWave,
        S<kAK0, kBlock / kAK0, 1>, S<1, 0, 2>, S<1, 0, 2>, 2, kAK1, kAK1, 0,
        S<kBK0, kBlock / kBK0, 1>, S<1, 0, 2>, S<1, 0, 2>, 2, kBK1, kBK1, 0,
        kShuffleM, kShuffleN, Cluster, Vectors,
        ck::BlockGemmPipelineScheduler::Intrawave, kPipeline, kActivation, false, kStage1,
        kMulRoutedWeight, !kPerTensor, ck::index_t, AData>;

    using Gridwise = typename DeviceOp::GridwiseGemm64;
    using Argument = typename Gridwise::Argument;

    static constexpr int kBlockSize = kBlock;
    static constexpr int kNPerBlock = kN;
    static constexpr int kKPerBlock = kK;

    static constexpr auto kMemoryOp = kStage1 ? ck::InMemoryDataOperationEnum::Set
                                              : ck::InMemoryDataOperationEnum::AtomicAdd;

    // CK's own rule for the second launch bound (DeviceMoeGemm::Invoker): an estimate of registers.
    static constexpr int kGemms     = kStage1 ? 2 : 1; // gate and up
    static constexpr int kRegisters = kM * kK * sizeof(AData) / kBlock / 4 * (1 + Gridwise::NWave) +
                                      kN * kK * sizeof(BData) / kBlock / 4 * 2 * kGemms +
                                      kM * kN * sizeof(Accumulator) / kBlock / 4 * kGemms;
    static constexpr int kMinimumOccupancy = kRegisters >= 256 ? 1 : 2;

    // A template, so that a kernel's translation unit does not depend on Problem's definition.
    template <typename Problem>
    static Argument make_argument(const Problem& p)
    {
        // One scale for a tensor: stride 0.  One a row: stride 1.
        constexpr ck::index_t stride = kPerTensor ? 0 : 1;
        const void* routed_weights   = kMulRoutedWeight ? p.sorted_weights : nullptr;
        return DeviceOp::MakeArgument(p.sorted_token_ids,
                                      p.sorted_expert_ids,
                                      p.num_valid_ids,
                                      p.activations,
                                      p.weights,
                                      {p.activation_scales, p.weight_scales, routed_weights},
                                      p.out,
                                      p.tokens,
                                      p.top_k,
                                      p.sorted_size,
                                      p.n,
                                      p.k,
                                      p.k,
                                      p.k,
                                      {stride, stride, 0},
                                      p.n,
                                      1,
                                      PassThrough{},
                                      PassThrough{},
                                      CDEOp{});
    }
};

} // namespace aiter_prebuilt
