// One call of a stage, from its arguments to a launch.
#pragma once

#include "arguments.hpp"
#include "contract.hpp"
#include "python.hpp"
#include "state.hpp"

namespace aiter_prebuilt {

// None, or what the handler of uncovered calls returned; null with a Python exception.
PyObject* run_stage(State& state, const Signature& signature, const Given& given) noexcept;

} // namespace aiter_prebuilt
