// What a module is: its call features and its instances, written by the generator as constants.
#pragma once

#include <cstddef>
#include <string_view>

#include "dtype.hpp"
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
    std::string_view name; // AITER's kernelName; ends in a zero
    int stage;
    LaunchFunction launch; // null: known to the full module, left out of this one
    const Reach* reaches;
    std::size_t reach_count;
};

struct ModuleTable
{
    Dtypes a_dtypes;
    Dtypes b_dtypes;
    Dtypes c_dtypes;
    int values_per_element; // of K in one element of the activations: 2 for packed fp4, else 1
    int quant;              // AITER's QuantType
    int quant_too;          // another one that AITER takes the same module for; else the same
    int activation;         // AITER's ActivationType
    int routed_weight_stage;
    bool preshuffled;
    bool scales; // both operands carry scales that the kernel reads
    bool split_k;
    const Instance* instances;
    std::size_t instance_count;
};

// The generator defines these, once a module.
extern const char kModuleName[];
extern const ModuleTable kModule;

} // namespace aiter_prebuilt
