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

// A kernel whose numbers are wrong, so that no module holds it, and who answers the calls for it.
struct Instead
{
    bool main_loop;
    bool odd;             // number of K steps
    std::size_t instance; // who answers where its tile divides n and k: a place in the table
    const char* reason;   // what is wrong with the kernel
};

struct Instance
{
    std::string_view name; // AITER's kernelName; ends in a zero
    int stage;
    int n_per_block;
    int k_per_block;       // values of K in one step
    int prefetch_stages;   // it has a main loop where there are more steps
    LaunchFunction launch; // null: known to the full module, left out of this one
    const Reach* reaches;
    std::size_t reach_count;
    const Instead* instead;
    std::size_t instead_count;
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
