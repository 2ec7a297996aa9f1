"""Which module, instance and kernel a call would take, and whether AITER would compile for it."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from aiter_prebuilt.call import STAGES, Call, ModuleKey, Shape, Stage, Variant
from aiter_prebuilt.choice import lookup, routing
from aiter_prebuilt.choice.dispatch import Choice, built_kernel, choose
from aiter_prebuilt.choice.rules import Rules
from aiter_prebuilt.errors import PrebuiltError
from aiter_prebuilt.generations import Generation
from aiter_prebuilt.values import value_class
from aiter_prebuilt.wheel import store
from aiter_prebuilt.wheel.manifest import COVERAGES, Module

_NAME = 40
"""Characters of a kernel's name that a note shows."""
WITHOUT_SPLIT_K = (
    "split K needs a newer composable kernel than that of ROCm 7.2; AITER_KSPLIT=-1 goes without"
)
"""Why the usual wheel has no split-K module, and what makes a call stay within it."""


class ShapeError(PrebuiltError):
    """A question is incomplete or holds no number; the message says which."""


@value_class(frozen=True, kw_only=True)
class Question:
    """A batch of a server's MoE layer."""

    shape: Shape
    tokens: int
    block_m: int | None = None
    """None: as AITER chooses."""
    kernel_1: str = ""
    kernel_2: str = ""

    def kernel(self, stage: Stage) -> str:
        """The kernel name that is given for a stage, empty where none is."""
        return self.kernel_1 if stage == 1 else self.kernel_2


@value_class(frozen=True, kw_only=True)
class Answer:
    """What one stage of one batch takes."""

    call: Call
    """What AITER asks CK2stages for, or would ask where another back end takes it."""
    backend: routing.Backend
    stock_name: str
    """The name under which AITER asks for the module."""
    module: str | None
    """Own name of the module that takes the call, None where none does."""
    coverage: str | None
    choice: str
    """``heuristic``, ``given`` or the tuned table's name."""
    instance: str | None
    kernel: str | None
    """The kernel's symbol."""
    variant: Variant | None
    compiles: bool
    """Whether something is compiled for the call, if this host takes the wheel's modules."""
    refused: bool
    """Whether the call raises, here and in AITER; ``note`` says why."""
    seconds_saved: float | None
    """CPU seconds that AITER's own build of this module took where it was measured."""
    note: str


@value_class(frozen=True, kw_only=True)
class AiterAt:
    """The AITER that is asked about."""

    tables: tuple[Path, ...]
    """Its tuned tables, in the order in which it reads them; none: answer without them."""
    rules: Rules


@value_class(frozen=True, kw_only=True)
class _Asked:
    """What AITER decides for a stage."""

    call: Call
    by: str
    backend: routing.Backend = "ck2stages"
    rule: str = ""
    fault: str = ""
    """Why AITER raises; empty where it does not."""


def explain(
    questions: Iterable[Question],
    features: ModuleKey,
    entries: tuple[store.Entry, ...],
    aiter_at: AiterAt,
) -> tuple[Answer, ...]:
    """Answer for both stages of every batch; ``entries`` are the installed modules."""
    modules = sorted((e.module for e in entries), key=lambda m: COVERAGES.index(m.coverage))
    return tuple(
        _answer(asked, modules, aiter_at.rules.generation)
        for question in questions
        for asked in _asked(question, features, aiter_at)
    )


def _asked(question: Question, features: ModuleKey, at: AiterAt) -> Iterator[_Asked]:
    """What AITER asks for in each stage: as given, by a tuned row, or by its heuristic."""
    found, problem = _row(question, features, at)
    row = found.row if found is not None else None
    route = routing.route(features, question.shape, question.tokens, at.rules, row)
    for stage in STAGES:
        if question.block_m is not None or question.kernel(stage):
            yield _given(question, features, route.calls[stage - 1])
        else:
            yield _Asked(
                call=route.calls[stage - 1],
                by=found.table if found is not None and route.by_row else "heuristic",
                backend=route.backend(stage),
                rule=route.rule,
                fault=problem or route.fault,
            )


def _row(question: Question, features: ModuleKey, at: AiterAt) -> tuple[lookup.Found | None, str]:
    """The row that AITER takes, and why it can read none."""
    given = question.block_m is not None or question.kernel_1 or question.kernel_2
    if given or not at.tables:
        return None, ""
    tables = lookup.read(at.tables, at.rules.generation, at.rules.cu_count)
    return lookup.find(tables, features, question.shape, question.tokens, at.rules), tables.problem


def _given(question: Question, features: ModuleKey, heuristic: Call) -> _Asked:
    call = dataclasses.replace(
        heuristic,
        features=features,
        block_m=question.block_m or heuristic.block_m,
        kernel_name=question.kernel(heuristic.stage),
    )
    return _Asked(call=call, by="given")


def _answer(asked: _Asked, installed: list[Module], generation: Generation) -> Answer:
    call = asked.call
    blank = Answer(
        call=call,
        backend=asked.backend,
        stock_name=generation.stock_name(call.features),
        module=None,
        coverage=None,
        choice=asked.by,
        instance=None,
        kernel=None,
        variant=None,
        compiles=False,
        refused=False,
        seconds_saved=None,
        note="",
    )
    if asked.fault:
        note = f"AITER takes {asked.backend} and fails: {asked.fault}"
        return dataclasses.replace(blank, refused=True, note=note)
    if asked.backend != "ck2stages":
        compiles = asked.backend in routing.COMPILED
        return dataclasses.replace(blank, compiles=compiles, note=_elsewhere(asked))
    return _by_modules(blank, installed, generation)


def _elsewhere(asked: _Asked) -> str:
    name = asked.call.kernel_name[:_NAME]
    kernel = f", the table's {name}" if name else ""
    how = ", which is compiled on its first call" if asked.backend in routing.COMPILED else ""
    return f"AITER takes {asked.backend} ({asked.rule}){kernel}{how}"


def _by_modules(blank: Answer, installed: list[Module], generation: Generation) -> Answer:
    call = blank.call
    wanted = call.features.stock_name
    modules = [each for each in installed if each.stock_name == wanted]
    for module in modules:
        choice = choose(module.instances, call)
        if choice.refusal is not None and module.instances:
            return dataclasses.replace(blank, refused=True, note=choice.refusal.text)
        if choice.fault:
            return dataclasses.replace(blank, compiles=True, note=choice.fault)
        answer = _covered(blank, module, choice)
        if answer is not None:
            return answer
    if call.features.activation not in generation.activations:
        known = ", ".join(generation.activations)
        note = f"AITER {generation.name} generates kernels for {known} alone"
        return dataclasses.replace(blank, refused=True, note=note)
    note = "no installed module covers this call" if modules else "no wheel has this module"
    if call.features.splitk and not modules:
        note += f": {WITHOUT_SPLIT_K}"
    return dataclasses.replace(blank, compiles=True, note=note)


def _covered(blank: Answer, module: Module, choice: Choice) -> Answer | None:
    """The answer of a module that holds the call's kernel, None where it hands the call on."""
    if choice.instance is None or choice.variant is None:
        return None
    kernel = built_kernel(choice.instance, choice.variant)
    if kernel is None:
        return None
    name = blank.call.kernel_name
    notes = []
    if choice.name_unknown:
        block_m = blank.call.block_m
        notes.append(f"AITER's module has no {name}; it warns and takes block_m {block_m}")
    if choice.replaced is not None:
        notes.append(choice.replaced.text)
    return dataclasses.replace(
        blank,
        module=module.name,
        coverage=module.coverage,
        instance=choice.instance.name,
        kernel=kernel.symbol,
        variant=choice.variant,
        seconds_saved=module.aiter_seconds,
        note="; ".join(notes),
    )


def read_questions(path: Path, defaults: Mapping[str, int]) -> list[Question]:
    """Read a file of batches: CSV with a header, or JSON (a list of objects, or one a line).

    Raises ShapeError that names the row and the field.
    """
    try:
        text = path.read_text(encoding="utf-8")
        rows = _json_rows(text) if text.lstrip()[:1] in ("[", "{") else _csv_rows(text)
    except (OSError, ValueError) as error:
        raise ShapeError(f"{path}: {error}") from error
    if not rows:
        raise ShapeError(f"{path} holds no shapes")
    return [
        question_of({**defaults, **row}, f"{path}, shape {i + 1}") for i, row in enumerate(rows)
    ]


_SIZES = tuple(field.name for field in dataclasses.fields(Shape))
_OTHERS = tuple(field.name for field in dataclasses.fields(Question) if field.name != "shape")
_OPTIONAL = ("block_m", "kernel_1", "kernel_2")


def question_of(raw: Mapping[str, Any], where: str) -> Question:
    """Build a question from loosely typed values; unknown fields are an error."""
    known = (*_OTHERS[:1], *_SIZES, *_OTHERS[1:])
    wrong = [
        f"{name} is missing"
        for name in known
        if name not in _OPTIONAL and raw.get(name) in (None, "")
    ]
    wrong += [f"{name} is no field of a shape" for name in sorted(set(raw) - set(known))]
    if wrong:
        raise ShapeError(f"{where}: {', '.join(wrong)}")
    values: dict[str, Any] = {
        name: value if name.startswith("kernel_") else _number(value, name, where)
        for name, value in raw.items()
        if value not in (None, "")
    }
    shape = Shape(**{name: values.pop(name) for name in _SIZES})
    return Question(shape=shape, **values)


def _number(value: Any, name: str, where: str) -> int:  # noqa: ANN401  from a file
    text = str(value).strip()
    if not text.isdigit() or int(text) < 1:
        raise ShapeError(f"{where}: {name} is {value!r}, expected a whole number of 1 or more")
    return int(text)


def _json_rows(text: str) -> list[dict[str, Any]]:
    try:
        raw = json.loads(text)
    except ValueError:
        raw = [json.loads(line) for line in text.splitlines() if line.strip()]
    rows = raw if isinstance(raw, list) else [raw]
    if not all(isinstance(row, dict) for row in rows):
        raise ShapeError("expected objects with the fields of a shape")
    return rows


def _csv_rows(text: str) -> list[dict[str, Any]]:
    return list(csv.DictReader(text.splitlines()))
