"""The instance and the kernel of a module that a call takes, or why CK2stages refuses it.

Pure: the planner, ``explain`` and the tests of a module's own (C++) choice ask this code.  A call
comes from :mod:`routing` or from a row of AITER's tuned tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from aiter_prebuilt.call import Call, Gemm, Variant
from aiter_prebuilt.values import value_class
from aiter_prebuilt.wheel.manifest import Instance, Instead, Kernel

_PART_STEPS = 2
"""K steps that a part of a split K has at least."""
PREFIX = "moe_ck2stages_"
"""How the names of AITER's instances begin; a kernel of another name is another back end's."""


@value_class(frozen=True, kw_only=True)
class Refusal:
    """Why CK2stages runs nothing for a call: AITER's own module raises for it as well."""

    what: Literal["block_m", "N", "K"]
    found: int
    multiple_of: int | None = None
    """What CK's tile asks N or K to be a multiple of; None for a block_m without instance."""
    where: str = ""
    """Stage and tile of the instance that refuses."""

    @property
    def text(self) -> str:
        """The reason in words, with the numbers."""
        if self.multiple_of is None:
            return f"AITER's module has no instance for block_m {self.found}"
        return f"{self.what} = {self.found} is not a multiple of {self.multiple_of} ({self.where})"


@value_class(frozen=True, kw_only=True)
class Replaced:
    """The instance that AITER's own module would run, and why another one answers."""

    instance: Instance
    reason: str
    """What is wrong with its kernel."""

    @property
    def text(self) -> str:
        """One line for people."""
        return f"instead of {short_name(self.instance.name)}: {self.reason}"


@value_class(frozen=True, kw_only=True)
class Choice:
    """What becomes of a call within AITER's whole module."""

    instance: Instance | None
    """None where no instance is for the call's block_m and inter_dim."""
    named: bool
    """Whether ``kernel_name`` chose the instance; else the heuristic did."""
    name_unknown: bool
    """Whether a ``kernel_name`` was given that the module has not: AITER warns, and the heuristic
    decides."""
    variant: Variant | None
    """Which of the instance's kernels; None where the call is refused."""
    refusal: Refusal | None
    fault: str = ""
    """Why AITER's own module gives wrong numbers for the call, which ours hands on."""
    replaced: Replaced | None = None
    """Which one ``instance`` answers for; None where it is AITER's own choice."""


def choose(table: Sequence[Instance], call: Call) -> Choice:
    """Return what a call takes of AITER's module, whose instances are ``table``.

    As in AITER (``gemm_moe_ck2stages.cu``, moe_dispatch) a name that the module has wins, whatever
    its stage; else the heuristic's conditions decide.  No two of them meet for one call.
    """
    name = call.kernel_name
    instance = next((each for each in table if name and each.name == name), None)
    named = instance is not None
    if instance is None:
        instance = next((each for each in table if _is_reached(each, call)), None)
    fault = _short_parts(instance, call)
    refusal = None if fault else _refusal(instance, call)
    runs = not fault and refusal is None
    gemm, taken, replaced = call.gemm, instance, None
    if instance is not None and runs:
        taken, replaced = _right(table, instance, gemm)
    return Choice(
        instance=taken,
        named=named,
        name_unknown=bool(name) and not named,
        variant=variant_of(taken, gemm.k // _parts(call)) if taken and runs else None,
        refusal=refusal,
        fault=fault,
        replaced=replaced,
    )


def variant_of(instance: Instance, k: int) -> Variant:
    """Return (has main loop, tail) of the kernel that CK launches for ``k`` values of K.

    The main loop runs where there are more K steps than the pipeline prefetches.  Raises ValueError
    where ``k`` is not a whole number of steps: CK runs no kernel for it.
    """
    steps, rest = divmod(k, instance.k_per_block)
    if steps < 1 or rest:
        raise ValueError(f"K is {k}, expected a multiple of {instance.k_per_block}")
    main_loop = steps > instance.prefetch_stages
    if instance.tails == "full":
        return main_loop, "full"
    return main_loop, "odd" if steps % 2 else "even"


def built_kernel(instance: Instance, variant: Variant) -> Kernel | None:
    """Return one kernel of an instance, None where the module does not hold it."""
    found = (each for each in instance.kernels if (each.main_loop, each.tail) == variant)
    return next(found, None)


def tile_of(name: str) -> str:
    """Return the tile in an instance's name: ``256x128x128x128_1x4``."""
    return "_".join(name.removeprefix(PREFIX).split("_")[1:3])


def short_name(name: str) -> str:
    """Return an instance's name, or a kernel's, without what all of a module share.

    ``gemm1_256x128x128x128_1x4_v3`` of an instance, with ``.main_even`` behind it for a kernel; any
    other text stays as it is.
    """
    stem, dot, variant = name.partition(".")
    if not stem.startswith(PREFIX):
        return name
    parts = stem.removeprefix(PREFIX).split("_")  # gemm1, tile, waves, element operation, v3, ...
    return f"{'_'.join([*parts[:3], *parts[4:5]])}{dot}{variant}"


def _right(
    table: Sequence[Instance], instance: Instance, gemm: Gemm
) -> tuple[Instance, Replaced | None]:
    """Return who answers a call: a kernel with wrong numbers is replaced, where a tile divides."""
    rule = _rule(instance, gemm.k)
    if rule is None:
        return instance, None
    other = next(each for each in table if each.name == rule.instance)
    if gemm.n % other.n_per_block or gemm.k % other.k_per_block:
        return instance, None
    return other, Replaced(instance=instance, reason=rule.reason)


def _rule(instance: Instance, k: int) -> Instead | None:
    return wrong_kernel(instance, variant_of(instance, k)) if instance.instead else None


def wrong_kernel(instance: Instance, variant: Variant) -> Instead | None:
    """Return what is wrong with one kernel of an instance and who answers for it, None if right."""
    return next((r for r in instance.instead if (r.main_loop, r.tail) == variant), None)


def _is_reached(instance: Instance, call: Call) -> bool:
    return instance.stage == call.stage and any(
        reach.covers(call.block_m, call.shape.inter_dim) for reach in instance.reached_by
    )


def _parts(call: Call) -> int:
    return call.parts if call.features.splitk and call.stage == 1 else 1


def _short_parts(instance: Instance | None, call: Call) -> str:
    """Why K cannot be split so, empty where it can or is not.

    A part of one K step is not split to CK: it adds to memory that nobody has cleared, and gate and
    up lie elsewhere than AITER reads them.  No module launches it (csrc/launcher.hpp).
    """
    if instance is None or not call.features.splitk or call.stage != 1:
        return ""
    steps, tile = call.gemm.k // instance.k_per_block, tile_of(instance.name)
    if call.parts <= 1:
        return f"split K: a row names a kernel that splits K, yet gives {call.parts} parts"
    if steps >= _PART_STEPS * call.parts:
        return ""
    return (
        f"split K: {steps} K steps of {tile} in {call.parts} parts leave less than two to each: "
        "AITER's own kernel gives wrong numbers; AITER_KSPLIT=-1 switches the split off"
    )


def _refusal(instance: Instance | None, call: Call) -> Refusal | None:
    """Why CK refuses a call (CK's IsSupportedArgument), None where it takes it."""
    if instance is None:
        return Refusal(what="block_m", found=call.block_m)
    where = f"stage {instance.stage}, {tile_of(instance.name)}"
    gemm: Gemm = call.gemm
    parts = _parts(call)
    if gemm.k % (instance.k_per_block * parts):
        where += f", {parts} parts" if parts > 1 else ""
        multiple = instance.k_per_block * parts
        return Refusal(what="K", found=gemm.k, multiple_of=multiple, where=where)
    if gemm.n % instance.n_per_block:
        return Refusal(what="N", found=gemm.n, multiple_of=instance.n_per_block, where=where)
    return None
