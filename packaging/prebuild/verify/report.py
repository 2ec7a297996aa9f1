"""What a person reads: progress, a table, and a file for each kernel that is wrong."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from prebuild.core.identity import short_hash
from prebuild.verify.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Figures over all kernels."""

    kernels: int
    wrong: int
    cached: int
    instructions: int
    opcodes: int
    elements: int
    max_error: float
    """Largest error over its bound among the good kernels."""


def summarise(verdicts: Sequence[Verdict]) -> Summary:
    """Return the figures of a run."""
    opcodes: Counter[str] = Counter()
    for verdict in verdicts:
        opcodes.update(verdict.opcodes)
    return Summary(
        kernels=len(verdicts),
        wrong=sum(not verdict.ok for verdict in verdicts),
        cached=sum(verdict.cached for verdict in verdicts),
        instructions=sum(verdict.instructions for verdict in verdicts),
        opcodes=len(opcodes),
        elements=sum(verdict.elements for verdict in verdicts),
        max_error=max((verdict.max_error for verdict in verdicts if verdict.ok), default=0.0),
    )


def table(verdicts: Sequence[Verdict]) -> Table:
    """Return one row a kernel."""
    drawn = Table(title="kernels run on the executor")
    for name, justify in (
        ("kernel", "left"),
        ("verdict", "left"),
        ("error / bound", "right"),
        ("elements", "right"),
        ("instructions", "right"),
        ("unreached", "right"),
        ("seconds", "right"),
    ):
        drawn.add_column(name, justify="right" if justify == "right" else "left")
    for verdict in verdicts:
        state = "[green]ok[/]" if verdict.ok else "[red]wrong[/]"
        drawn.add_row(
            verdict.kernel,
            f"{state} (cached)" if verdict.cached else state,
            f"{verdict.max_error:.3f}",
            f"{verdict.elements:,}",
            f"{verdict.instructions:,}",
            str(verdict.unreached),
            f"{verdict.seconds:.1f}",
        )
    return drawn


def write_failures(verdicts: Sequence[Verdict], directory: Path) -> list[Path]:
    """Write what is wrong with each wrong kernel to a file of its own and return the paths."""
    written = []
    for verdict in verdicts:
        if verdict.ok:
            continue
        directory.mkdir(parents=True, exist_ok=True)
        # Short names are those of several kernels: silu and gelu, routed weight in either stage.
        name = re.sub(r"[^A-Za-z0-9_.-]+", "_", verdict.kernel)
        path = directory / f"{name}.{short_hash(verdict.symbol + verdict.code_object)}.txt"
        path.write_text(
            f"kernel {verdict.kernel}\nsymbol {verdict.symbol}\ncode object {verdict.code_object}\n"
            f"executor {verdict.executor}\n\n{verdict.failure}\n"
        )
        written.append(path)
    return written
