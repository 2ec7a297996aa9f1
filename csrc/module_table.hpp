// What a module is: its call features and its instances, written by the generator as constants.
#pragma once

#include <cstddef>

#include "problem.hpp"

namespace aiter_prebuilt {

// One way by which AITER's heuristic reaches an instance; inter_dim bounds are inclusive.
struct Reach
{
    int block_m;
    int inter_dim_min;
    int inter_dim_max;
    int inter_dim_multiple_of;
    int inter_dim_not_multiple_of; // 0: whatever it is
};

struct Instance
{
    const char* name; // AITER's kernelName
    int stage;
    LaunchFunction launch; // null: known to the full module, left out of this one
    const Reach* reaches;
    std::size_t reach_count;
};

struct ModuleTable
{
    const char* name;
    // dtype names as torch prints them without "torch."; alternatives separated by '|'.
    const char* a_dtype;
    const char* b_dtype;
    const char* c_dtype;
    int values_per_element; // of K in one element of the activations: 2 for packed fp4, else 1
    int quant;              // AITER's QuantType
    int activation;         // AITER's ActivationType
    int routed_weight_stage;
    bool preshuffled;
    bool scales; // both operands carry scales that the kernel reads
    bool split_k;
    const Instance* instances;
    std::size_t instance_count;
};

// The generator defines it, once a module.
extern const ModuleTable kModule;

} // namespace aiter_prebuilt
