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

bool divides(const Instance& instance, int n, int k) noexcept
{
    return n % instance.n_per_block == 0 && k % instance.k_per_block == 0;
}

// The rule about the kernel that a call takes of an instance, null where its numbers are right.
const Instead* rule(const Instance& instance, int n, int k) noexcept
{
    if(instance.instead_count == 0 || !divides(instance, n, k))
    {
        return nullptr;
    }
    const int steps      = k / instance.k_per_block;
    const bool main_loop = steps > instance.prefetch_stages;
    const bool odd       = steps % 2 != 0;
    for(std::size_t i = 0; i < instance.instead_count; ++i)
    {
        const Instead& found = instance.instead[i];
        if(found.main_loop == main_loop && found.odd == odd)
        {
            return &found;
        }
    }
    return nullptr;
}

Choice answer(const ModuleTable& module, const Instance* asked, bool name_unknown, int n,
              int k) noexcept
{
    const Instead* wrong = asked == nullptr ? nullptr : rule(*asked, n, k);
    if(wrong != nullptr)
    {
        const Instance& other = module.instances[wrong->instance];
        if(divides(other, n, k))
        {
            return {&other, name_unknown, asked, wrong};
        }
    }
    return {asked, name_unknown, nullptr, wrong};
}

} // namespace

Choice choose(const ModuleTable& module, int stage, std::string_view kernel_name, int block_m,
              int n, int k) noexcept
{
    const bool named    = !kernel_name.empty();
    const int inter_dim = stage == 1 ? n : k;
    if(named)
    {
        const auto bears  = [&](const Instance& each) { return each.name == kernel_name; };
        const auto* found = first(module, bears);
        if(found != nullptr)
        {
            return answer(module, found, false, n, k);
        }
    }
    const auto takes = [&](const Instance& each) {
        return each.stage == stage && reaches(each, block_m, inter_dim);
    };
    return answer(module, first(module, takes), named, n, k);
}

} // namespace aiter_prebuilt
