// Launches one instance: which of its four kernels, with which grid and arguments, as CK's own
// invoker decides it - but naming kernels by handle, so that this translation unit instantiates
// none of them and is compiled for the host alone.
#pragma once

#include <tuple>
#include <type_traits>

#include "problem.hpp"

namespace aiter_prebuilt {

// An operation that can split K asks for K and KBatch, too.
template <typename Gridwise, typename Argument, typename = void>
struct Grid
{
    static auto size(const Argument& argument, int n)
    {
        return Gridwise::CalculateGridSize(argument.M, n);
    }
};

template <typename Gridwise, typename Argument>
struct Grid<Gridwise, Argument, std::void_t<decltype(Gridwise::CalculateGridSize(1, 1, 1, 1))>>
{
    static auto size(const Argument& argument, int n)
    {
        return Gridwise::CalculateGridSize(argument.M, n, argument.K, argument.KBatch);
    }
};

template <typename Instance>
LaunchResult launch(const Problem& problem, const KernelTable& kernels)
{
    using Gridwise = typename Instance::Gridwise;
    using Argument = typename Instance::Argument;
    if(Instance::k_batch(problem) == 0)
    {
        return {Outcome::kNotDivisible, hipSuccess};
    }
    Argument argument = Instance::make_argument(problem);
    if(problem.n % Instance::kNPerBlock != 0 || argument.K % Instance::kKPerBlock != 0 ||
       !Gridwise::CheckValidity(argument))
    {
        return {Outcome::kNotDivisible, hipSuccess};
    }
    // What one part of a split K loops over.
    const int k = argument.KBatch == 1 ? argument.K : argument.KBatch * Instance::kKPerBlock;
    const bool main_loop = Gridwise::CalculateHasMainKBlockLoop(k);
    const bool odd       = Gridwise::CalculateKBlockLoopTailNum(k) == ck::TailNumber::Odd;
    const void* kernel   = kernels.pick(main_loop, odd);
    if(kernel == nullptr)
    {
        return {Outcome::kNoKernel, hipSuccess};
    }
    const auto grid   = Grid<Gridwise, Argument>::size(argument, argument.N * Instance::kOutputs);
    const dim3 blocks = {static_cast<unsigned>(std::get<0>(grid)),
                         static_cast<unsigned>(std::get<1>(grid)),
                         static_cast<unsigned>(std::get<2>(grid))};
    void* arguments[] = {&argument};
    const hipError_t error =
        hipLaunchKernel(kernel, blocks, dim3(Instance::kBlockSize), arguments, 0, problem.stream);
    return {error == hipSuccess ? Outcome::kLaunched : Outcome::kHipError, error};
}

} // namespace aiter_prebuilt
