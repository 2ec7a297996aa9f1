// Which instance a call takes; AITER's order: a known kernelName first, then the heuristic.
#pragma once

#include <string_view>

#include "module_table.hpp"

namespace aiter_prebuilt {

struct Choice
{
    const Instance* instance; // null where nothing of the full module takes the call
    bool name_unknown;        // a kernelName was given that the full module does not have either
};

Choice choose(const ModuleTable& module, int stage, std::string_view kernel_name, int block_m,
              int inter_dim) noexcept;

} // namespace aiter_prebuilt
