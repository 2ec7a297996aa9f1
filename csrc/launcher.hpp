// Launches one instance: which of its four kernels, with which grid and arguments, as CK's own
// invoker decides it - but naming kernels by handle, so that this translation unit instantiates
// none of them and is compiled for the host alone.
#pragma once

#include "problem.hpp"

namespace aiter_prebuilt {

template <typename Instance>
LaunchResult launch(const Problem& problem, const KernelTable& kernels)
{
    using Gridwise                       = typename Instance::Gridwise;
    typename Instance::Argument argument = Instance::make_argument(problem);
    if(problem.n % Instance::kNPerBlock != 0 || argument.K % Instance::kKPerBlock != 0 ||
       !Gridwise::CheckValidity(argument))
    {
        return {Outcome::kNotDivisible, hipSuccess};
    }
    const bool main_loop = Gridwise::CalculateHasMainKBlockLoop(argument.K);
    const bool odd       = Gridwise::CalculateKBlockLoopTailNum(argument.K) == ck::TailNumber::Odd;
    const void* kernel   = kernels.pick(main_loop, odd);
    if(kernel == nullptr)
    {
        return {Outcome::kNoKernel, hipSuccess};
    }
    const auto grid   = Gridwise::CalculateGridSize(argument.M, argument.N);
    const dim3 blocks = {static_cast<unsigned>(std::get<0>(grid)),
                         static_cast<unsigned>(std::get<1>(grid)),
                         static_cast<unsigned>(std::get<2>(grid))};
    void* arguments[] = {&argument};
    const hipError_t error =
        hipLaunchKernel(kernel, blocks, dim3(Instance::kBlockSize), arguments, 0, problem.stream);
    return {error == hipSuccess ? Outcome::kLaunched : Outcome::kHipError, error};
}

} // namespace aiter_prebuilt
