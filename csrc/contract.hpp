// What AITER calls in a module: the functions and their parameters, in its order.  The values are
// generated into the module from the contract of one generation of AITER's.
#pragma once

namespace aiter_prebuilt {

// What the binding does with a parameter.
enum class Argument
{
    kActivations,
    kW1,
    kW2,
    kSortedTokenIds,
    kSortedExpertIds,
    kNumValidIds,
    kOut,
    kTopK,
    kKernelName,
    kWeightScale,
    kActivationScale,
    kBlockM,
    kSortedWeights,
    kQuantType,
    kActivation,
    kSplitK,
    kIsShuffled,
    kIgnored, // taken and not read; the only one that several parameters can have
};
inline constexpr int kArgumentCount = static_cast<int>(Argument::kIgnored);

struct Parameter
{
    const char* name;
    const char* alias; // another keyword for it; null: none
    Argument argument;
    bool required;
    int fallback; // of a number that is not given or None
};

inline constexpr int kMaxParameters = 32;

struct Signature
{
    const char* function;
    int stage;
    const Parameter* parameters;
    int count;
    int at[kArgumentCount]; // the position of each argument
};

// For the generated tables: a parameter list with the positions worked out, once, at compile time.
template <int kCount>
constexpr Signature make_signature(const char* function, int stage,
                                   const Parameter (&parameters)[kCount])
{
    static_assert(kCount <= kMaxParameters);
    Signature made = {function, stage, parameters, kCount, {}};
    for(int i = 0; i < kCount; ++i)
    {
        if(parameters[i].argument != Argument::kIgnored)
        {
            made.at[static_cast<int>(parameters[i].argument)] = i;
        }
    }
    return made;
}

// The generator defines these, once a module.  AITER parses the first line of a function's
// docstring as a Python signature; the "--" marker of CPython's own convention would take it out of
// __doc__.
extern const Signature kStage1;
extern const Signature kStage2;
extern const char kStage1Name[];
extern const char kStage2Name[];
extern const char kStage1Doc[];
extern const char kStage2Doc[];

} // namespace aiter_prebuilt
