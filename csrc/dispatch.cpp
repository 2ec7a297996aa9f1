#include "dispatch.hpp"

#include <cstring>

namespace aiter_prebuilt {

namespace {

bool reaches(const Instance& instance, int block_m, int inter_dim)
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

} // namespace

Choice choose(const ModuleTable& module, int stage, const char* kernel_name, int block_m,
              int inter_dim)
{
    const bool named          = kernel_name[0] != '\0';
    const Instance* heuristic = nullptr;
    for(std::size_t i = 0; i < module.instance_count; ++i)
    {
        const Instance& instance = module.instances[i];
        if(named && std::strcmp(instance.name, kernel_name) == 0)
        {
            return {&instance, false};
        }
        if(heuristic == nullptr && instance.stage == stage && reaches(instance, block_m, inter_dim))
        {
            heuristic = &instance;
        }
    }
    return {heuristic, named};
}

} // namespace aiter_prebuilt
