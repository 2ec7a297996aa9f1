"""How AITER names a module: by what a call is for."""

_SHORT = {"torch.float4_e2m1fn_x2": "fp4x2", "torch.bfloat16": "b16", "torch.float16": "f16"}
_QUANTS = ("no", "per_tensor", "per_token", "per_1x32", "per_1x128", "per_1x128")
_ACTIVATIONS = ("silu", "gelu", "swiglu")


def _short(tensor):
    return _SHORT.get(str(tensor.dtype), str(tensor.dtype))


def name_of(stage, given, *, ending=""):
    """Return the name for a call's arguments; ``ending`` where K is not split."""
    activations, weights = list(given.values())[:2]
    parts = [
        "module_moe_ck2stages",
        _short(activations),
        _short(weights),
        "preshuffle_on" if given["is_shuffled"] else "preshuffle_off",
        _short(given["out"]),
        _ACTIVATIONS[given["activation"]],
        _QUANTS[given["quant_type"]],
        f"mulWeightStage{3 - stage if given['sorted_weights'] is None else stage}",
    ]
    return "_".join([*parts, "splitk"]) if given["splitk"] > 1 else "_".join(parts) + ending
