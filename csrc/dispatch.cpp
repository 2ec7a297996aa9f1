#include "dispatch.hpp"

namespace aiter_prebuilt {

namespace {

bool reaches(const Instance& instance, int block_m, int inter_dim) noexcept
{
    for(std::size_t i = 0; i < instance.reach_count; ++i)
    {
        const Reach& reach = instance.reaches[i];
        if(reach.block_m == block_m && reach.inter_dim_min <= inter_dim &&
           inter_dim <= reach.inter_dim_max && inter_dim % reach.inter_dim_multiple_of == 0 &&
           (reach.inter_dim_not_multiple_of == 0 ||
            inter_dim % reach.inter_dim_not_multiple_of != 0))
        {
            return true;
        }
    }
    return false;
}

template <typename Condition>
const Instance* first(const ModuleTable& module, Condition condition) noexcept
{
    for(std::size_t i = 0; i < module.instance_count; ++i)
    {
        if(condition(module.instances[i]))
        {
            return &module.instances[i];
        }
    }
    return nullptr;
}

} // namespace

Choice choose(const ModuleTable& module, int stage, std::string_view kernel_name, int block_m,
              int inter_dim) noexcept
{
    const bool named = !kernel_name.empty();
    if(named)
    {
        const auto bears  = [&](const Instance& each) { return each.name == kernel_name; };
        const auto* found = first(module, bears);
        if(found != nullptr)
        {
            return {found, false};
        }
    }
    const auto takes = [&](const Instance& each) {
        return each.stage == stage && reaches(each, block_m, inter_dim);
    };
    return {first(module, takes), named};
}

} // namespace aiter_prebuilt
