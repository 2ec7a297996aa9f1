"""The questions of ``explain``: its options, and the batches that they stand for."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from aiter_prebuilt.call import ModuleKey, Shape
from aiter_prebuilt.choice import model, questions
from aiter_prebuilt.choice.questions import Question, ShapeError
from aiter_prebuilt.digits import NUMBER
from aiter_prebuilt.errors import UsageError
from aiter_prebuilt.kinds import ACTIVATIONS, QUANTISATIONS, dtypes
from aiter_prebuilt.wheel import store
from aiter_prebuilt.wheel.manifest import Deployment

_EXPERTS, _TOPK = 384, 8
_TOKENS = (1, 16384)
"""Smallest and largest batch that is asked about where nobody says."""
_OF_A_SHAPE = ("model_dim", "inter_dim", "experts", "topk")
_OF_A_KIND = (
    "quant", "a_dtype", "b_dtype", "c_dtype", "activation", "routed_weight_stage", "no_preshuffle",
    "splitk",
)  # fmt: skip
_SPREADS = ("tokens", "tp", "ep", "fuse_shared")
_KERNELS = ("block_m", "kernel_name1", "kernel_name2")
_TAKES = {
    "recipe": ("tokens", "tp", *_KERNELS),
    "config": (*_SPREADS, *_OF_A_KIND, *_KERNELS),
    "shapes": ("experts", "topk", *_OF_A_KIND),
    "model_dim": ("tokens", "tp", "ep", *_OF_A_SHAPE, *_OF_A_KIND, *_KERNELS),
}
"""Where batches come from -> the options that go with it."""

Asked = tuple[ModuleKey, list[Question]]


def options(command: argparse.ArgumentParser) -> None:
    """Declare where batches come from, and of what kind they are."""
    _sources(command.add_argument_group("the layer: one of --recipe, --config, --shapes, or sizes"))
    _spread(command.add_argument_group("batches and parallelism"))
    _kind(command.add_argument_group("kind of call", "for --config, --shapes and sizes"))


def _sources(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--recipe", help="a recipe that the installed wheel was made for")
    group.add_argument("--config", type=Path, metavar="FILE", help="a model's own config.json")
    group.add_argument("--shapes", type=Path, metavar="FILE", help="a CSV or JSON file of shapes")
    group.add_argument("--model-dim", type=count, metavar="N", help="hidden size")
    text = "intermediate size of one GPU; with --tp that of the whole expert"
    group.add_argument("--inter-dim", type=count, metavar="N", help=text)
    group.add_argument("--experts", type=count, metavar="N", help=f"default: {_EXPERTS}")
    group.add_argument("--topk", type=count, metavar="N", help=f"default: {_TOPK}")


def _spread(group: argparse._ArgumentGroup) -> None:
    low, high = _TOKENS
    text = f"default: a recipe's own, else the powers of two from {low} to {high}"
    group.add_argument("--tokens", type=count, nargs="+", metavar="N", help=text)
    text = "tensor-parallel sizes; default: all of a recipe, else 1"
    group.add_argument("--tp", type=count, nargs="+", metavar="N", help=text)
    group.add_argument("--ep", type=count, metavar="N", help="expert-parallel size; default: 1")
    text = "AITER runs a model's shared experts with the others"
    group.add_argument("--fuse-shared", action="store_true", default=None, help=text)
    group.add_argument("--block-m", type=count, metavar="N", help="default: as AITER chooses")
    for stage in (1, 2):
        text = f"kernel of stage {stage}; default: as AITER chooses"
        group.add_argument(f"--kernel-name{stage}", metavar="NAME", help=text)


def _kind(group: argparse._ArgumentGroup) -> None:
    words = (*model.QUANTS, *QUANTISATIONS)
    text = "of the experts: a name, or AITER's own word; default: what a config says, else mxfp4"
    group.add_argument("--quant", choices=words, help=text)
    for name, what in (("a", "activations"), ("b", "weights")):
        text = f"dtype of {what}; default: as --quant has it"
        group.add_argument(f"--{name}-dtype", choices=tuple(dtypes()), help=text)
    group.add_argument("--c-dtype", choices=("b16", "f16"), help="output's dtype; default: b16")
    text = "default: what a config says, else silu"
    group.add_argument("--activation", choices=tuple(ACTIVATIONS), help=text)
    text = "stage that multiplies by the routed weights; default: 2"
    group.add_argument("--routed-weight-stage", type=int, choices=(1, 2), help=text)
    text = "weights without AITER's mark of shuffled ones; default: with it (of a config: both)"
    group.add_argument("--no-preshuffle", action="store_true", default=None, help=text)
    text = "the split-K module, for a kernel that is given; default: as AITER decides"
    group.add_argument("--splitk", action="store_true", default=None, help=text)


def count(text: str) -> int:
    """Read a whole number of 1 or more, for :mod:`argparse`."""
    if not NUMBER.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of 1 or more")
    return int(text)


def names_1x128(parsed: argparse.Namespace) -> bool:
    """Whether the caller names block scales per_1x128 and not, as servers do, per_128x128."""
    return parsed.recipe is None and parsed.quant == "per_1x128"


def calls(parsed: argparse.Namespace, shelves: tuple[store.Shelf, ...]) -> list[Asked]:
    """Return the batches that are asked about, by the kind of module that they are for.

    Raises UsageError, ShapeError or ModelConfigError.
    """
    source = _source(parsed)
    if source == "recipe":
        return _of_recipe(parsed, shelves)
    if source == "config":
        return _of_config(parsed)
    if source == "shapes":
        found = questions.read_questions(parsed.shapes, _defaults(parsed))
        return [(_features(parsed), found)]
    return [(_features(parsed), list(_of_sizes(parsed)))]


def _source(parsed: argparse.Namespace) -> str:
    named = [name for name in ("recipe", "config", "shapes") if getattr(parsed, name) is not None]
    if len(named) > 1:
        raise UsageError(
            f"{' and '.join(map(_option, named))} are two sources of batches; give one"
        )
    source = named[0] if named else "model_dim"
    every = dict.fromkeys((*_SPREADS, *_OF_A_SHAPE, *_OF_A_KIND, *_KERNELS))
    wrong = [
        _option(name)
        for name in every
        if getattr(parsed, name) is not None and name not in _TAKES[source]
    ]
    if wrong:
        told = _option(source) if named else "sizes"
        raise UsageError(
            f"{', '.join(wrong)} {'does' if len(wrong) == 1 else 'do'} not go with {told}"
        )
    return source


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _defaults(parsed: argparse.Namespace) -> dict[str, int]:
    return {"experts": parsed.experts or _EXPERTS, "topk": parsed.topk or _TOPK}


def _of_sizes(parsed: argparse.Namespace) -> Iterator[Question]:
    missing = [name for name in ("model_dim", "inter_dim") if getattr(parsed, name) is None]
    if missing:
        text = ", ".join(f"{name} is missing" for name in missing)
        raise ShapeError(f"command line: {text}; or give --recipe, --config or --shapes")
    whole = model.Model(
        name="command line",
        hidden_size=parsed.model_dim,
        inter_size=parsed.inter_dim,
        shared=0,
        activation="silu",
        quant=None,
        **_defaults(parsed),
    )
    yield from _spread_out(parsed, whole)


def _of_config(parsed: argparse.Namespace) -> list[Asked]:
    whole = model.read_model(parsed.config)
    if parsed.quant is None and whole.quant is None:
        names = ", ".join(model.QUANTS)
        raise UsageError(
            f"{parsed.config} does not say how its experts are quantised: give --quant {names}"
        )
    features = _features(parsed, whole)
    quant = model.QUANTS.get(parsed.quant or whole.quant or "")
    marks = quant.marks if quant is not None and parsed.no_preshuffle is None else ()
    kinds = [dataclasses.replace(features, preshuffle=mark) for mark in marks] or [features]
    return [(kind, list(_spread_out(parsed, whole))) for kind in kinds]


def _spread_out(parsed: argparse.Namespace, whole: model.Model) -> Iterator[Question]:
    for tp in parsed.tp or (1,):
        shape = whole.shape(tp=tp, ep=parsed.ep or 1, fused=bool(parsed.fuse_shared))
        told = tp if parsed.tp or parsed.config is not None else None
        for tokens in parsed.tokens or _tiers(*_TOKENS):
            yield _question(parsed, shape, tokens, told)


def _question(parsed: argparse.Namespace, shape: Shape, tokens: int, tp: int | None) -> Question:
    return Question(
        shape=shape,
        tokens=tokens,
        tp=tp,
        ep=parsed.ep,
        block_m=parsed.block_m,
        kernel_1=parsed.kernel_name1 or "",
        kernel_2=parsed.kernel_name2 or "",
    )


def _features(parsed: argparse.Namespace, whole: model.Model | None = None) -> ModuleKey:
    """The kind of call: as the options say, else as the model's configuration does."""
    told = whole.quant if whole is not None else None
    name = parsed.quant or told or "mxfp4"
    same = (each for each in model.QUANTS.values() if each.quant == _module_quant(name))
    known = model.QUANTS.get(name) or next(same)
    return ModuleKey(
        a_dtype=parsed.a_dtype or known.a_dtype,
        b_dtype=parsed.b_dtype or known.b_dtype,
        c_dtype=parsed.c_dtype or "b16",
        preshuffle=not parsed.no_preshuffle,
        activation=parsed.activation or (whole.activation if whole is not None else "silu"),
        quant=known.quant if name in model.QUANTS else name,
        routed_weight_stage=parsed.routed_weight_stage or 2,
        splitk=bool(parsed.splitk),
    )


def _module_quant(name: str) -> str:
    known = QUANTISATIONS.get(name)
    return known.module if known is not None else name


def _of_recipe(parsed: argparse.Namespace, shelves: tuple[store.Shelf, ...]) -> list[Asked]:
    known = [
        deployment
        for shelf in shelves
        if shelf.manifest is not None
        for deployment in shelf.manifest.deployments
    ]
    mine = [deployment for deployment in known if deployment.recipe == parsed.recipe]
    if not mine:
        names = ", ".join(sorted({deployment.recipe for deployment in known})) or "none"
        broken = [f"; {shelf.reason.message}" for shelf in shelves if shelf.reason is not None]
        raise ShapeError(
            f"no installed wheel was made for recipe {parsed.recipe!r}; known are: {names}"
            + "".join(broken)
        )
    chosen = [each for each in mine if parsed.tp is None or each.tp in parsed.tp]
    absent = sorted(set(parsed.tp or ()) - {each.tp for each in chosen})
    if absent:
        sizes = ", ".join(str(tp) for tp in sorted({each.tp for each in mine}))
        raise ShapeError(f"recipe {parsed.recipe} has TP {sizes}, not {_listed(absent)}")
    return [
        (each.features, [_question(parsed, each.shape, n, each.tp) for n in _batches(parsed, each)])
        for each in chosen
    ]


def _batches(parsed: argparse.Namespace, deployment: Deployment) -> Sequence[int]:
    return parsed.tokens or _tiers(deployment.tokens_min, deployment.tokens_max)


def _tiers(low: int, high: int) -> list[int]:
    """The powers of two in a range, and its ends: AITER's choice changes only there."""
    powers = {1 << bits for bits in range(high.bit_length()) if low <= 1 << bits <= high}
    return sorted({low, high} | powers)


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))
