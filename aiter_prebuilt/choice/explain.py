"""What a call takes of which module, and whether it is prebuilt, compiled or refused.

What a served module does with a call it does not cover is what :mod:`aiter_prebuilt.serve.guard`
does; ``tests/integration/test_refusals.py`` holds both against a real module.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from aiter_prebuilt.call import STAGES, Call, ModuleKey, Variant
from aiter_prebuilt.choice import lookup, routing, verdict
from aiter_prebuilt.choice.dispatch import (
    Choice,
    built_kernel,
    choose,
    short_name,
    wrong_kernel,
)
from aiter_prebuilt.choice.questions import Question
from aiter_prebuilt.choice.rules import Rules
from aiter_prebuilt.choice.verdict import Verdict
from aiter_prebuilt.generations import Generation
from aiter_prebuilt.values import value_class
from aiter_prebuilt.wheel.manifest import Instance, Kernel, Module

_TUNES = (
    "AITER_ONLINE_TUNE is 1 and no row answers: first AITER compiles and times what it has for the "
    "shape; what it takes then is not known"
)
_UNCHECKED = "this AITER was not checked with the wheel and gets what the module does not know"

TUNER = "AITER's tuner"


@value_class(frozen=True, kw_only=True)
class Supply:
    """What an AITER on a host gets when it asks for one module by its name."""

    verdict: Verdict
    """Before any call: whether a wheel's module is served, and if not what happens instead."""
    modules: tuple[Module, ...] = ()
    """Where it is prebuilt: those that get the calls, each what the one before has left out."""
    table: tuple[Instance, ...] = ()
    """AITER's whole module, as far as a wheel knows it; empty where none does."""
    beyond: Verdict | None = None
    """What becomes of calls that none of ``modules`` holds the kernel for."""


@value_class(frozen=True, kw_only=True)
class Answer:
    """What one stage of one batch takes."""

    verdict: Verdict
    call: Call
    """What AITER asks CK2stages for, or would ask where another back end takes it."""
    tp: int | None
    ep: int | None
    backend: routing.Backend
    stock_name: str
    """The name under which AITER asks for the module."""
    choice: str
    """``heuristic``, ``given`` or the tuned table's name."""
    coverage: str | None
    """Of the module that answers; None where none does."""
    instance: str | None
    kernel: str | None
    """The kernel's symbol."""
    variant: Variant | None


@value_class(frozen=True, kw_only=True)
class AiterAt:
    """The AITER that is asked about."""

    tables: tuple[Path, ...]
    """Its tuned tables, in the order in which it reads them; none: answer without them."""
    rules: Rules
    checked: bool = True
    """Whether its CK2stages sources were checked with the wheel: it then has no instance, and takes
    no shape, that the module refuses.  Of any other one the guard leaves such calls to it."""
    problem: str = ""
    """Why it raises in every call: a variable that is no number, for one."""


@value_class(frozen=True, kw_only=True)
class _Asked:
    """What AITER decides for a stage."""

    question: Question
    call: Call
    by: str
    backend: routing.Backend = "ck2stages"
    rule: str = ""
    fault: str = ""
    """Why AITER raises; empty where it does not."""
    tunes: bool = False
    """Whether AITER looks for the fastest kernel first (``AITER_ONLINE_TUNE``)."""


def explain(
    questions: Iterable[Question],
    features: ModuleKey,
    supply: Callable[[str], Supply],
    aiter_at: AiterAt,
) -> tuple[Answer, ...]:
    """Answer for both stages of every batch; ``supply`` says what the host has by AITER's name."""
    return tuple(
        _answer(asked, supply, aiter_at)
        for question in questions
        for asked in _asked(question, features, aiter_at)
    )


def _asked(question: Question, features: ModuleKey, at: AiterAt) -> Iterator[_Asked]:
    """What AITER asks for in each stage: as given, by a tuned row, or by its heuristic."""
    looked = _look(question, features, at)
    found = looked.found
    row = found.row if found is not None else None
    route = routing.route(features, question.shape, question.tokens, at.rules, row)
    for stage in STAGES:
        if question.block_m is not None or question.kernel(stage):
            yield _given(question, features, route.calls[stage - 1])
        else:
            yield _Asked(
                question=question,
                call=route.calls[stage - 1],
                by=found.table if found is not None and route.by_row else "heuristic",
                backend=route.backend(stage),
                rule=route.rule,
                fault=at.problem or looked.problem or route.fault,
                tunes=at.rules.online_tune and not question.given and not looked.hit,
            )


def _look(question: Question, features: ModuleKey, at: AiterAt) -> lookup.Looked:
    """The row that AITER takes, or why it can read none."""
    if question.given or not at.tables:
        return lookup.Looked(found=None, hit=False)
    tables = lookup.read(at.tables, at.rules.generation, at.rules.cu_count)
    return lookup.look(tables, features, question.shape, question.tokens, at.rules)


def _given(question: Question, features: ModuleKey, heuristic: Call) -> _Asked:
    call = dataclasses.replace(
        heuristic,
        features=features,
        block_m=question.block_m or heuristic.block_m,
        kernel_name=question.kernel(heuristic.stage),
    )
    return _Asked(question=question, call=call, by="given")


@value_class(frozen=True, kw_only=True)
class _Taken:
    """What becomes of a call, and what of a module takes it where one does."""

    verdict: Verdict
    module: Module | None = None
    choice: Choice | None = None
    """None where the module is AITER's own, packed: what it chooses is not known here."""


def _answer(asked: _Asked, supply: Callable[[str], Supply], at: AiterAt) -> Answer:
    name = at.rules.generation.stock_name(asked.call.features)
    told = _elsewhere(asked, supply)
    taken = _Taken(verdict=told) if told else _by_modules(asked.call, name, supply(name), at)
    choice = taken.choice
    instance = choice.instance if choice is not None else None
    kernel = _kernel(choice) if choice is not None else None
    return Answer(
        verdict=taken.verdict,
        call=asked.call,
        tp=asked.question.tp,
        ep=asked.question.ep,
        backend=asked.backend,
        stock_name=name,
        choice=asked.by,
        coverage=taken.module.coverage if taken.module is not None else None,
        instance=instance.name if instance is not None else None,
        kernel=kernel.symbol if kernel is not None else None,
        variant=choice.variant if choice is not None else None,
    )


def _elsewhere(asked: _Asked, supply: Callable[[str], Supply]) -> Verdict | None:
    """The verdict where the call does not come to CK2stages, None where it does."""
    by, backend = verdict.builder(asked.backend, asked.call.features), asked.backend
    if asked.fault:
        why = f"AITER takes {by} and fails: {asked.fault}"
        return verdict.refused("AITER", None, why)
    if asked.tunes:
        return verdict.compiles(TUNER, None, _TUNES)
    if backend == "ck2stages":
        return None
    why = f"rule {asked.rule}"
    if backend not in routing.COMPILED:
        return verdict.prebuilt(by, None, why)
    module = verdict.MODULES.get(backend)
    if module is None:
        return verdict.compiles(by, None, why)
    known = supply(module).verdict
    return dataclasses.replace(known, why="; ".join(filter(None, (why, known.why))))


def _by_modules(call: Call, name: str, supply: Supply, at: AiterAt) -> _Taken:
    """What CK2stages does with the call: a module of the wheel, AITER's own, or nobody."""
    generation = at.rules.generation
    if supply.verdict.state == "refused":
        return _Taken(verdict=supply.verdict)
    told = _refusal(call, name, supply, at)
    if told is not None:
        return _Taken(verdict=told)
    if not supply.modules:
        return _Taken(verdict=_generated(supply.verdict, call, generation))
    left_out = ""
    for module in supply.modules:
        if module.harvest is not None:
            why = "packed from an AITER: which of its kernels runs is not known here"
            return _Taken(verdict=verdict.prebuilt(module.name, name, why), module=module)
        choice = choose(_known(module.instances, generation), call)
        if _kernel(choice) is not None:
            told = verdict.prebuilt(module.name, name, _warned(choice, call))
            told = verdict.instead(told, choice.replaced)
            return _Taken(verdict=told, module=module, choice=choice)
        left_out = left_out or _left_out(choice)
    beyond = supply.beyond or supply.verdict
    why = "; ".join(filter(None, (left_out, beyond.why)))
    return _Taken(verdict=dataclasses.replace(beyond, why=why))


def _refusal(call: Call, name: str, supply: Supply, at: AiterAt) -> Verdict | None:
    """What becomes of a call that AITER's whole module, as a wheel knows it, does not take.

    None where it takes it; a kernelName that it has not it takes with a warning.  An AITER that
    nobody checked gets both to do itself, where one of our modules is served.
    """
    if not supply.table:
        return None
    choice = choose(_known(supply.table, at.rules.generation), call)
    if not at.checked:
        unsure = _unknown_name(call) if choice.name_unknown else _text(choice)
        ours = bool(supply.modules) and supply.modules[0].harvest is None
        if not (unsure and ours):
            return None
        beyond = supply.beyond or supply.verdict
        return dataclasses.replace(beyond, why=f"{_UNCHECKED}: {unsure}")
    return None if choice.refusal is None else verdict.refused_for(choice.refusal, name)


def _generated(kept: Verdict, call: Call, generation: Generation) -> Verdict:
    """The verdict on a module that AITER has to generate, which does not know every activation."""
    knows = call.features.activation in generation.activations
    if knows or kept.state != "compiles" or kept.compiled_already:
        return kept
    known = ", ".join(generation.activations)
    why = f"AITER {generation.name} generates kernels for {known} alone"
    return verdict.refused("AITER's generator", kept.module, why)


def _text(choice: Choice) -> str:
    return choice.refusal.text if choice.refusal is not None else ""


def _unknown_name(call: Call) -> str:
    return f"AITER's module has no {call.kernel_name}"


def _warned(choice: Choice, call: Call) -> str:
    if not choice.name_unknown:
        return ""
    return f"{_unknown_name(call)}; it warns and takes block_m {call.block_m}"


def _left_out(choice: Choice) -> str:
    """Why a module hands on a call that AITER's whole module takes."""
    if choice.instance is None or choice.variant is None:
        return choice.fault
    main_loop, tail = choice.variant
    kernel = f"{choice.instance.name}.{'main' if main_loop else 'nomain'}_{tail}"
    rule = wrong_kernel(choice.instance, choice.variant)
    return f"{short_name(kernel)} is left out{f' ({rule.reason})' if rule else ''}"


def _known(table: tuple[Instance, ...], generation: Generation) -> tuple[Instance, ...]:
    """The instances that these releases of AITER's have, too."""
    missing = generation.unknown_instances
    return tuple(each for each in table if not each.is_named(missing))


def _kernel(choice: Choice) -> Kernel | None:
    if choice.instance is None or choice.variant is None:
        return None
    return built_kernel(choice.instance, choice.variant)
