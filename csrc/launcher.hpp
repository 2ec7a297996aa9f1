// Launches one instance: which of its four kernels, with which grid and arguments, as CK's own
// invoker decides it - but naming kernels by handle, so that this translation unit instantiates
// none of them and is compiled for the host alone.
#pragma once

#include <cstddef>
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

// Why K cannot be split so.  AITER refuses parts of unequal size; parts of less than two tiles it
// does not look at, and what then happens is for its own build to show.
template <typename Instance>
Outcome refusal(const Problem& problem)
{
    return problem.k / Instance::kKPerBlock < 2 * problem.split_k || problem.split_k < 1
               ? Outcome::kNoKernel
               : Outcome::kNotDivisible;
}

// The parts of a split K are added to the output.  Since v0.1.12 AITER leaves it to the callee to
// clear it (CK's invoker does); before, the caller gave zeros, in a tensor of these rows alone.
template <typename Instance>
hipError_t clear(const Problem& problem)
{
    if constexpr(Instance::kOutputs > 1)
    {
        const std::size_t rows  = static_cast<std::size_t>(problem.tokens) * problem.top_k;
        const std::size_t width = static_cast<std::size_t>(problem.n) * Instance::kOutputs;
        return hipMemsetAsync(problem.out, 0, rows * width * sizeof(float), problem.stream);
    }
    return hipSuccess;
}

template <typename Instance>
LaunchResult launch(const Problem& problem, const KernelTable& kernels)
{
    using Gridwise = typename Instance::Gridwise;
    using Argument = typename Instance::Argument;
    if(Instance::k_batch(problem) == 0)
    {
        return {refusal<Instance>(problem), hipSuccess};
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
    const auto grid = Grid<Gridwise, Argument>::size(argument, argument.N * Instance::kOutputs);
    if(const hipError_t error = clear<Instance>(problem); error != hipSuccess)
    {
        return {Outcome::kHipError, error};
    }
    const dim3 blocks = {static_cast<unsigned>(std::get<0>(grid)),
                         static_cast<unsigned>(std::get<1>(grid)),
                         static_cast<unsigned>(std::get<2>(grid))};
    void* arguments[] = {&argument};
    const hipError_t error =
        hipLaunchKernel(kernel, blocks, dim3(Instance::kBlockSize), arguments, 0, problem.stream);
    return {error == hipSuccess ? Outcome::kLaunched : Outcome::kHipError, error};
}

} // namespace aiter_prebuilt
