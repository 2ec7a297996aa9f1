// A4W4 with weights as they are, per_1x32: CK's DeviceMoeGemmMXBNS with the template arguments that
// AITER gives it (ROCm/aiter 9bab8388 and e4048607, csrc/ck_gemm_moe_2stages_codegen).
#pragma once

#include "families/a4w4.hpp"

#include "ck/tensor_operation/gpu/device/impl/device_moe_mx_gemm_bns.hpp"

struct MulABScale : aiter_prebuilt::ConvertAccumulator
{
};
struct MulABScaleExpertWeight : aiter_prebuilt::ConvertAccumulator
{
};

namespace aiter_prebuilt {

// clang-format off: template arguments stand in CK's groups.
template <typename Spec>
struct A4W4PlainOp : A4W4Tiling<Spec>
{
    using T     = A4W4Tiling<Spec>;
    using AData = typename Spec::AData;
    using BData = typename Spec::BData;
    using EData = typename Spec::EData;

    static constexpr int kLanesN = Spec::kBlock == 64 ? Spec::kN / 2 : T::kHalfLanes; // stage 2

    using Cluster = std::conditional_t<T::kStage1, S<1, 32, 1, 8>,
                                       S<1, Spec::kBlock / kLanesN, 1, kLanesN>>;

    using Type = ck::tensor_operation::device::DeviceMoeGemmMXBNS<
        Row, Col, ck::Tuple<Row, Col, Row>, Row,
        AData, E8m0, BData, E8m0, ck::Tuple<float, float, float>, EData, float, float,
        PassThrough, PassThrough, typename Spec::ElementOp, kGemmDefault,
        kMxScaleBlock, Spec::kBlock, Spec::kM, Spec::kN, Spec::kK, kMxVector, kMxVector,
        kXdl, kXdl, T::kMXdlPerWave, T::kNXdlPerWave,
        typename T::Transfer, S<1, 0, 2>, S<1, 0, 2>, 2, kMxVector, kMxVector, 0,
        typename T::Transfer, S<1, 0, 2>, S<1, 0, 2>, 2, kMxVector, kMxVector, 0,
        2, T::kNXdlPerWave, Cluster, S<T::kOutVector, 1, T::kOutVector>,
        kIntrawave, Spec::kPipeline, Spec::kActivation, kNSwizzle, T::kStage1,
        Spec::kMulRoutedWeight, ck::index_t, AData>;
};
// clang-format on

template <typename Spec>
using A4W4Plain = A4W4<Spec, typename A4W4PlainOp<Spec>::Type>;

} // namespace aiter_prebuilt
