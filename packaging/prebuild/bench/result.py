"""What the bench found, its ratios, and a stock figure kept for later runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from prebuild.bench.bench import PLAIN, SPLIT, TORCH, Build
from prebuild.bench.measure import Sample, median
from prebuild.errors import PrebuildError

SCHEMA = 1


class StockError(PrebuildError):
    """A stock figure that cannot be used."""

    exit_code = 2


@dataclass(frozen=True, kw_only=True)
class Stock:
    """CPU seconds of AITER's module: all of its instances as four-in-one units."""

    cpu_seconds: float
    units: int
    way: str
    compiler: str
    recorded: str | None = None
    """The file it was read from; None where it was measured in this run."""

    def write(self, file: Path) -> None:
        """Keep it for later runs."""
        content = {"schema": SCHEMA, **asdict(self), "recorded": None}
        file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, file: Path, compiler: str) -> Stock:
        """Read a kept figure; raises :class:`StockError` where another compiler made it."""
        try:
            raw = json.loads(file.read_text(encoding="utf-8"))
            schema = raw.pop("schema")
            found = cls(**{**raw, "recorded": str(file)})
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            msg = f"{file} holds no stock figure ({error}); measure one with --stock"
            raise StockError(msg) from error
        if schema != SCHEMA or found.compiler != compiler:
            msg = f"{file} was measured with {found.compiler}, here is {compiler}; use --stock"
            raise StockError(msg)
        return found


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """A figure of the project's against the one it replaces, and the limit it is to keep."""

    name: str
    value: float
    limit: float
    how: str

    @property
    def kept(self) -> bool:
        """Whether it is within its limit."""
        return self.value <= self.limit


@dataclass(frozen=True, kw_only=True)
class Result:
    """One run of the bench."""

    compiler: str
    cores: int
    load: float
    """Load average of the last minute when it began: on a busy machine seconds are too high."""
    runs: int
    samples: Mapping[str, Sequence[Sample]]
    """``way/name`` -> one sample a run."""
    builds: Sequence[Build]
    stock: Stock | None

    def ratios(self) -> tuple[Ratio, ...]:
        """All ratios for which both sides were measured."""
        return (*self._critical(), *self._builds())

    def _critical(self) -> Iterator[Ratio]:
        """CPU seconds of an instance's longest split unit by those of its four-in-one unit."""
        middle = {key: median(samples) for key, samples in self.samples.items()}
        for key, four in middle.items():
            way, _, instance = key.partition("/")
            split = [
                sample.cpu_seconds
                for other, sample in middle.items()
                if other.startswith(f"{SPLIT}/{instance}")
            ]
            if way in (TORCH, PLAIN) and split:
                yield Ratio(
                    name=f"critical path, {_short(instance)}, against {way}",
                    value=max(split) / four.cpu_seconds,
                    limit=0.25 if way == TORCH else 1.0,
                    how=f"{max(split):.1f} / {four.cpu_seconds:.1f} CPU s",
                )

    def _builds(self) -> Iterator[Ratio]:
        for build in self.builds:
            if self.stock and build.limit:
                note = f", recorded in {self.stock.recorded}" if self.stock.recorded else ""
                yield Ratio(
                    name=f"CPU seconds, {build.name}, against the stock module",
                    value=build.cpu_seconds / self.stock.cpu_seconds,
                    limit=build.limit,
                    how=(
                        f"{build.cpu_seconds:.1f} / {self.stock.cpu_seconds:.1f} CPU s"
                        f" ({self.stock.units} {self.stock.way} units{note})"
                    ),
                )
            yield Ratio(
                name=f"second build, {build.name}, against the first",
                value=build.warm_seconds / build.cold_seconds,
                limit=0.02,
                how=f"{build.warm_seconds:.2f} / {build.cold_seconds:.1f} s",
            )


def as_json(result: Result) -> dict[str, Any]:
    """Return JSON values; ``schema`` rises when a reader would have to change."""
    return {
        "schema": SCHEMA,
        "compiler": result.compiler,
        "cores": result.cores,
        "load": result.load,
        "runs": result.runs,
        "jobs": {
            key: {"median": asdict(median(samples)), "runs": [asdict(item) for item in samples]}
            for key, samples in result.samples.items()
        },
        "builds": [asdict(build) for build in result.builds],
        "stock": asdict(result.stock) if result.stock else None,
        "ratios": [{**asdict(ratio), "kept": ratio.kept} for ratio in result.ratios()],
    }


def as_text(result: Result) -> str:
    """Return tables for a terminal."""
    lines = [f"{result.compiler}, {result.cores} cores, load {result.load:.1f}, {result.runs} runs"]
    lines += [
        f"  {middle.cpu_seconds:7.1f} CPU s  {middle.peak_bytes >> 20:5d} MiB  {_short(key)}"
        for key, middle in ((key, median(item)) for key, item in result.samples.items())
    ]
    lines += [
        f"  {build.cpu_seconds:7.1f} CPU s  longest {build.longest_cpu_seconds:.1f} CPU s, "
        f"{build.cold_seconds:.1f} s, again {build.warm_seconds:.2f} s  {build.name}"
        for build in result.builds
    ]
    lines += [
        f"  {ratio.value:7.3f} {'<=' if ratio.kept else '> '} {ratio.limit:<5} "
        f"{ratio.name}: {ratio.how}"
        for ratio in result.ratios()
    ]
    return "\n".join(lines)


def _short(key: str) -> str:
    """``way/gemm1_256x128x128x128_1x4.main_even`` of a job's key."""
    way, _, name = key.rpartition("/")
    stem, _, variant = name.removeprefix("moe_ck2stages_").partition(".")
    kept = "_".join(stem.split("_")[:3])
    return f"{f'{way}/' if way else ''}{kept}{f'.{variant}' if variant else ''}"
