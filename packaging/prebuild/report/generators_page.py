"""Two code generators beside each other as Markdown: a row a family, and a page of all kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prebuild.core.marked import between
from prebuild.report.generators import (
    Beside,
    Figures,
    Pair,
    by_family,
    timed,
    totals,
    verdicts,
)
from prebuild.report.table import label

MARK = "generators"
KERNELS_PAGE = "code-generators-kernels.md"


_SUMS = (
    *("family", "kernels", "better", "spilling", "spilled", "more waves", "VGPRs", "instructions"),
    *("code KiB", "right", "CPU s"),
)
_WORDS = """\
First figure: {one}; second: {other}.
*Better*: how many kernels the first is better at, and the second (fewer registers spilled, then
less scratch, then fewer VGPRs, then fewer instructions); the rest are alike. *Spilling*: kernels
that spill. *More waves*: kernels of which a SIMD holds more waves than of the other's, by registers
and LDS. The other figures are sums. *Right*: kernels whose numbers were executed and judged right
(`?`: no good verdict on this side).
"""
_TIMES = "*CPU s*: of the compiles that both builds made, in brackets how many.\n"


def summary(found: Beside) -> str:
    """Return the table of all families, and what its columns say."""
    times = timed(found.pairs) > 0
    head = _SUMS if times else _SUMS[:-1]
    rows = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    named = {**{f"`{name}`": of for name, of in by_family(found.pairs).items()}, "all": found.pairs}
    rows += [_row(name, pairs, times=times) for name, pairs in named.items()]
    sides = ((found.one, found.only_one), (found.other, found.only_other))
    missing = [f"{len(names)} kernels are only of {side}." for side, names in sides if names]
    words = _WORDS.format(one=found.one, other=found.other) + (_TIMES if times else "")
    last = f"Every kernel: [{KERNELS_PAGE}]({KERNELS_PAGE})."
    return "\n".join([words, *missing, *rows, "", last])


def _row(name: str, pairs: Sequence[Pair], *, times: bool) -> str:
    one, other = totals(pairs)
    better, known = verdicts(pairs), timed(pairs)
    cells = [
        name,
        str(len(pairs)),
        f"{better[-1]} / {better[1]}",
        f"{one.spilling} / {other.spilling}",
        f"{one.spilled} / {other.spilled}",
        f"{one.more_waves} / {other.more_waves}",
        f"{one.vgprs} / {other.vgprs}",
        f"{one.instructions} / {other.instructions}",
        f"{one.code_bytes >> 10} / {other.code_bytes >> 10}",
        f"{one.right or '?'} / {other.right or '?'}",
    ]
    if times:
        cells.append(f"{one.cpu_seconds:.0f} / {other.cpu_seconds:.0f} ({known})" if known else "")
    return f"| {' | '.join(cells)} |"


_COLUMNS: tuple[tuple[str, Callable[[Figures], str]], ...] = (
    ("VGPRs", lambda each: str(each.vgprs)),
    ("waves", lambda each: f"{each.waves:g}"),
    ("SGPRs", lambda each: str(each.sgprs)),
    ("spilled", lambda each: str(each.spilled)),
    ("scratch", lambda each: str(each.scratch_bytes)),
    ("LDS", lambda each: str(each.lds_bytes)),
    ("instructions", lambda each: str(each.instructions)),
    ("MFMA", lambda each: str(each.mfma)),
    ("code bytes", lambda each: str(each.code_bytes)),
    ("error", lambda each: "?" if each.error is None else f"{each.error:.3f}"),
    ("CPU s", lambda each: "?" if each.cpu_seconds is None else f"{each.cpu_seconds:.0f}"),
)


_HEAD = """\
# Every kernel with both code generators

Written by `prebuild generators`. Where a cell holds two figures, the first is of {one}, the
second of {other}; one figure: both have it.
Scratch in bytes a lane, LDS in bytes a workgroup, instructions of the whole code object, *error*:
the largest error as a share of what the executor allows (`?`: no good verdict).
[code-generators.md](code-generators.md) has the sums.
"""


def kernels(found: Beside) -> str:
    """Return the page of all kernels, a section that folds for each family."""
    lines = [_HEAD.format(one=found.one, other=found.other)]
    for name, pairs in by_family(found.pairs).items():
        lines += [f"<details><summary>{name}: {len(pairs)} kernels</summary>", ""]
        lines += [*_table(pairs, times=timed(found.pairs) > 0), "", "</details>", ""]
    return "\n".join(lines)


def _table(pairs: Sequence[Pair], *, times: bool) -> Iterator[str]:
    columns = _COLUMNS if times else _COLUMNS[:-1]
    yield f"| kernel | {' | '.join(name for name, _ in columns)} | better |"
    yield "|" + "---|" * (len(columns) + 2)
    for pair in pairs:
        cells = [_cell(of(pair.one), of(pair.other)) for _, of in columns]
        better = {-1: "first", 0: "", 1: "second"}[pair.better]
        yield f"| `{label(pair.kernel)}` | {' | '.join(cells)} | {better} |"


def _cell(one: str, other: str) -> str:
    return one if one == other else f"{one} / {other}"


def with_summary(page: str, found: Beside) -> str:
    """Return the page with the table of families between its marks."""
    return between(page, MARK, [summary(found)])
