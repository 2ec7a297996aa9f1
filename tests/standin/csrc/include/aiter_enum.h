// Stand-in: the values that modules are built with.
#pragma once
enum class QuantType : int { No, per_Tensor, per_Token, per_1x32, per_1x128, per_128x128 };
enum class ActivationType : int { No = -1, Silu = 0, Gelu = 1, Swiglu = 2 };
