// What the families have in common: CK's names that all of them write, the numbers that follow from
// an instance's tile, and what a kernel and a launcher ask of an instance.
//
// An instance's numbers and types are one type of static members, written by the generator
// (templates/instance.hpp.j2); here it is the parameter Spec.
#pragma once

#include <array>

#include "ck/ck.hpp"
#include "ck/tensor_operation/gpu/device/gemm_specialization.hpp"
#include "ck/tensor_operation/gpu/device/tensor_layout.hpp"
#include "ck/tensor_operation/gpu/element/element_wise_operation.hpp"
#include "ck/utility/blkgemmpipe_scheduler.hpp"

#include "element_ops.hpp"
#include "stage.hpp"

namespace aiter_prebuilt {

template <ck::index_t... Is>
using S = ck::Sequence<Is...>;

using Row         = ck::tensor_layout::gemm::RowMajor;
using Col         = ck::tensor_layout::gemm::ColumnMajor;
using PassThrough = ck::tensor_operation::element_wise::PassThrough;

// What AITER gives every device operation.
inline constexpr auto kGemmDefault = ck::tensor_operation::device::GemmSpecialization::Default;
inline constexpr auto kIntrawave   = ck::BlockGemmPipelineScheduler::Intrawave;
inline constexpr bool kNSwizzle    = false;

inline constexpr int kXdl = 16; // side of one MFMA tile

template <typename Spec>
struct Tiling
{
    static constexpr bool kStage1     = Spec::kStage == Stage::kGateUp;
    static constexpr int kMXdlPerWave = Spec::kM / (kXdl * Spec::kMWaves);
    static constexpr int kNXdlPerWave = Spec::kN / (kXdl * Spec::kNWaves);

    // Lanes over N that store a tile, where each wave stores half of its columns.
    static constexpr int kHalfLanes = Spec::kN / 2 / kNXdlPerWave;
};

// The base of every family: ``Op`` is CK's device operation with an instance's arguments.
template <typename Spec, typename Op>
struct Family
{
    using DeviceOp = Op;
    using Gridwise = typename Op::GridwiseGemm64;
    using Argument = typename Gridwise::Argument;

    static constexpr int kBlockSize = Spec::kBlock;
    static constexpr int kNPerBlock = Spec::kN;
    static constexpr int kKPerBlock = Spec::kK;

    static constexpr bool kStage1 = Tiling<Spec>::kStage1;
    // The second GEMM adds the experts of a token; so do the parts of a split K.
    static constexpr auto kMemoryOp = kStage1 && !Spec::kSplitK
                                          ? ck::InMemoryDataOperationEnum::Set
                                          : ck::InMemoryDataOperationEnum::AtomicAdd;
    // Where K is split, gate and up are stored side by side: the activation needs their sums.
    static constexpr int kOutputs = Spec::kSplitK ? 2 : 1;

    // CK's KBatch for a problem; 0 where the family cannot take it.
    template <typename Problem>
    static ck::index_t k_batch(const Problem&)
    {
        return 1;
    }

protected:
    // CK's own rule for the second launch bound of DeviceMoeGemm and DeviceMoeGemmBlockScale (their
    // Invoker): an estimate of registers.
    template <typename Accumulator>
    static constexpr int register_occupancy()
    {
        constexpr int gemms = kStage1 ? 2 : 1; // gate and up
        constexpr int a     = Spec::kM * Spec::kK * sizeof(typename Spec::AData) / Spec::kBlock / 4 *
                          (1 + Gridwise::NWave);
        constexpr int b =
            Spec::kN * Spec::kK * sizeof(typename Spec::BData) / Spec::kBlock / 4 * 2 * gemms;
        constexpr int c = Spec::kM * Spec::kN * sizeof(Accumulator) / Spec::kBlock / 4 * gemms;
        return a + b + c >= 256 ? 1 : 2;
    }

    // CK's MakeArgument: what all operations take first and last, and a family's own between.
    // A template, so that a kernel's translation unit does not depend on Problem's definition.
    template <typename Problem, typename... Operands>
    static Argument argument(const Problem& p, ck::index_t k_batch, const Operands&... operands)
    {
        return Op::MakeArgument(p.sorted_token_ids,
                                p.sorted_expert_ids,
                                p.num_valid_ids,
                                operands...,
                                k_batch,
                                PassThrough{},
                                PassThrough{},
                                typename Spec::ElementOp{});
    }

    template <typename Problem>
    static const void* routed_weights(const Problem& p)
    {
        return Spec::kMulRoutedWeight ? p.sorted_weights : nullptr;
    }
};

} // namespace aiter_prebuilt
