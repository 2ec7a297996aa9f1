// The two GEMMs of a MoE layer.
#pragma once

namespace aiter_prebuilt {

enum class Stage
{
    kGateUp = 1,
    kDown   = 2
};

} // namespace aiter_prebuilt
