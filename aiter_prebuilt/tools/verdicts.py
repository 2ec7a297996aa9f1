"""The words and tables of verdicts: what ``explain`` and ``doctor`` say of calls and modules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from aiter_prebuilt.choice import explain, verdict
from aiter_prebuilt.choice.dispatch import short_name
from aiter_prebuilt.choice.verdict import Verdict
from aiter_prebuilt.tools import doctor, installed
from aiter_prebuilt.tools.tables import table, wrapped

_FLYDSL = ", kernel by kernel at the first call, unless its own cache has it"
_HEAD = ("tokens", "stage", "block_m", "verdict", "what")


def whose_rules(found: installed.Aiter) -> list[str]:
    """Return the lines that say for which AITER, host and settings the answers hold."""
    same = found.release or f"assumed as {found.generation}"
    version = f"AITER {found.version or 'without a version'}" if found.root else "no AITER"
    flydsl = "with FlyDSL" if found.flydsl else "without FlyDSL"
    head = f"{version} (rules: {same}), {flydsl}, {found.cu_count} compute units"
    texts = (", ".join([head, *found.environment]), *(f"note: {note}" for note in found.notes))
    return [line for text in texts for line in _hanging(text)] + [""]


def _hanging(text: str) -> list[str]:
    first, *more = wrapped(text, 2)
    return [first, *(f"  {line}" for line in more)]


def answers(found: Sequence[explain.Answer], modules: Sequence[doctor.ModuleState]) -> str:
    """Return a table for each module that AITER may ask for, and each size of a layer's part.

    Then what becomes of ``modules`` on the host, which a call that shares a verdict refers to.
    """
    below = [state.verdict for state in modules if state.reasons]
    lines: list[str] = []
    for name in dict.fromkeys(map(_asked_for, found)):
        mine = [answer for answer in found if _asked_for(answer) == name]
        lines.append(f"{name}:")
        for part in dict.fromkeys(map(_part, mine)):
            rows = [_answer_row(answer, below) for answer in mine if _part(answer) == part]
            lines += [f"  {part}", table(_HEAD, _merged(_both(rows)), indent="  ")]
    told = [answer.verdict for answer in found]
    lines += [*([""] if lines else []), summary(told, "call"), *_compiles(told)]
    return "\n".join([*lines, *(["", "its modules:", *states(modules)] if modules else [])])


def _compiles(found: Sequence[Verdict]) -> Iterator[str]:
    """What is compiled, once each, and for how long."""
    pending = [each for each in found if each.state == "compiles" and not each.compiled_already]
    known = {(each.by, each.module): each.seconds for each in pending}
    if known:
        yield from ("", "compiled, and how long that takes:")
    for (by, module), seconds in known.items():
        what = f"{by}, {module}" if module else by
        what += _FLYDSL if by == verdict.BUILDERS["flydsl"] else ""
        yield from listed(f"{what}: {seconds.text if seconds else 'not known'}")


def summary(found: Sequence[Verdict], what: str) -> str:
    """Return how many of each state there are, in one line."""
    counts = Counter(each.state for each in found)
    states = ", ".join(f"{counts[state]} {state}" for state in verdict.STATES)
    return f"{len(found)} {what}{'' if len(found) == 1 else 's'}: {states}"


def _asked_for(answer: explain.Answer) -> str:
    """The module of a call's features; few tokens of block scales take its split-K twin."""
    return answer.stock_name.removesuffix("_splitk")


def _part(answer: explain.Answer) -> str:
    shape = answer.call.shape
    sizes = [("TP", answer.tp), ("EP", answer.ep), ("model_dim", shape.model_dim)]
    sizes += [("inter_dim", shape.inter_dim), ("experts", shape.experts), ("top", shape.topk)]
    return ", ".join(f"{name} {size}" for name, size in sizes if size is not None)


def _both(rows: Sequence[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Join the two stages of a batch that differ in nothing else."""
    joined: list[tuple[object, ...]] = []
    for row in rows:
        if joined and joined[-1][:1] + joined[-1][2:] == row[:1] + row[2:]:
            joined[-1] = (row[0], "1, 2", *row[2:])
        else:
            joined.append(row)
    return joined


def _merged(rows: Sequence[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Join rows of one stage that differ in nothing but growing tokens."""
    joined: list[tuple[object, ...]] = []
    last: dict[object, int] = {}
    for row in rows:
        place = last.get(row[1])
        if place is not None and joined[place][1:] == row[1:]:
            first = str(joined[place][0]).partition("-")[0]
            joined[place] = (f"{first}-{row[0]}", *row[1:])
        else:
            last[row[1]] = len(joined)
            joined.append(row)
    return joined


def _answer_row(answer: explain.Answer, below: Sequence[Verdict]) -> tuple[object, ...]:
    call, told = answer.call, answer.verdict
    what = f"by {told.by}: see below" if told in below else _short(told)
    if answer.instance is not None and answer.variant is not None:
        main_loop, tail = answer.variant
        kernel = short_name(f"{answer.instance}.{'main' if main_loop else 'nomain'}_{tail}")
        what = f"{answer.coverage} {kernel}{f': {told.note}' if told.note else ''}"
    chosen = "" if answer.choice == "heuristic" else f" ({answer.choice})"
    return call.tokens, call.stage, call.block_m, told.state, f"{what}{chosen}"


def _short(told: Verdict) -> str:
    """The verdict without the seconds, which are said once for all calls."""
    how = f"by {told.by}{', already done' if told.compiled_already else ''}"
    return f"{how}: {told.note}" if told.note else how


def states(found: Sequence[doctor.ModuleState]) -> list[str]:
    """Return what becomes of modules and why, once for all that share it."""
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for state in found:
        groups.setdefault((state.verdict.state, tuple(_whys(state))), []).append(state.stock_name)
    return [
        line
        for (state_name, whys), names in groups.items()
        for line in (
            f"{state_name}:",
            *(f"  {name}" for name in names),
            *(line for text in whys for line in listed(text)),
        )
    ]


def _whys(state: doctor.ModuleState) -> Iterator[str]:
    told = state.verdict
    if told.state == "prebuilt" or not state.reasons:
        yield told.why if told.state == "prebuilt" else told.text
        return
    yield told.how
    yield from dict.fromkeys(reason.message for reason in state.reasons)


def listed(text: str) -> Iterator[str]:
    """Yield a point of a list in lines that fit."""
    first, *more = wrapped(text, 6) or [""]
    yield f"    - {first}"
    yield from (f"      {line}" for line in more)
