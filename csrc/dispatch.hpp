// Which instance a call takes; AITER's order: a known kernelName first, then the heuristic.  Where
// that one's kernel has wrong numbers, the one that the table names in its place answers.
#pragma once

#include <string_view>

#include "module_table.hpp"

namespace aiter_prebuilt {

struct Choice
{
    const Instance* instance; // null where nothing of the full module takes the call
    bool name_unknown;        // a kernelName was given that the full module does not have either
    const Instance* replaced; // the one that `instance` answers for; null where AITER runs it, too
    const Instead* wrong;     // why; also where nothing can answer for it.  Null: nothing is wrong
};

Choice choose(const ModuleTable& module, int stage, std::string_view kernel_name, int block_m,
              int n, int k) noexcept;

} // namespace aiter_prebuilt
