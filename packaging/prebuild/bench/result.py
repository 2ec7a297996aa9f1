"""What the bench found, its ratios, and a stock figure kept for later runs."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from aiter_prebuilt.choice.dispatch import short_name
from prebuild.bench.bench import PLAIN, SPLIT, TORCH, Build
from prebuild.bench.measure import Sample, median
from prebuild.core.errors import PrebuildError

SCHEMA = 2
STOCK_SCHEMA = 1


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
        content = {"schema": STOCK_SCHEMA, **asdict(self), "recorded": None}
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
        if schema != STOCK_SCHEMA or found.compiler != compiler:
            msg = f"{file} was measured with {found.compiler}, here is {compiler}; use --stock"
            raise StockError(msg)
        return found


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """A figure of the project's against the one it replaces, and the limit it is to keep."""

    name: str
    value: float
    limit: float | None
    """None where nothing is promised."""
    how: str

    @property
    def kept(self) -> bool | None:
        """Whether it is within its limit."""
        return None if self.limit is None else self.value <= self.limit


@dataclass(frozen=True, kw_only=True)
class Result:
    """One run of the bench, as far as it has come."""

    compiler: str
    cores: int
    load: tuple[float, float]
    """Load averages of the last minute, when it began and now: on a busy machine seconds are too
    high."""
    runs: int
    """Rounds asked for; each figure holds as many samples as it has."""
    complete: bool
    samples: Mapping[str, Sequence[Sample]]
    """``way/name`` -> one sample a round."""
    builds: Mapping[str, Sequence[Build]]
    """A case's name -> one build a round."""
    stock: Stock | None

    def ratios(self) -> tuple[Ratio, ...]:
        """All ratios for which both sides were measured."""
        return (*self._instances(), *self._builds())

    def middle(self) -> dict[str, Sample]:
        """The medians of what was measured at least once."""
        return {key: median(samples) for key, samples in self.samples.items() if samples}

    def _instances(self) -> Iterator[Ratio]:
        """An instance's split kernels, the longest and all of them, by its four-in-one unit."""
        middle = self.middle()
        for key, four in middle.items():
            way, _, instance = key.partition("/")
            names = [other for other in self.samples if other.startswith(f"{SPLIT}/{instance}.")]
            split = [middle[name].cpu_seconds for name in names if name in middle]
            if way not in (TORCH, PLAIN) or not split or len(split) < len(names):
                continue
            for what, seconds in (("critical path", max(split)), ("all kernels", sum(split))):
                promised = way == TORCH and what == "critical path"
                yield Ratio(
                    name=f"{what}, {short_name(instance)}, against {way}",
                    value=seconds / four.cpu_seconds,
                    limit=0.25 if promised else None,
                    how=f"{seconds:.1f} / {four.cpu_seconds:.1f} CPU s",
                )

    def _builds(self) -> Iterator[Ratio]:
        for build in map(middle_build, filter(None, self.builds.values())):
            if self.stock:
                yield _against_stock(build, self.stock)
            for how, seconds in (
                ("in the same process", build.warm_seconds),
                ("as a whole process", build.again.seconds),
            ):
                yield Ratio(
                    name=f"second build {how}, {build.name}, against the first",
                    value=seconds / build.cold_seconds,
                    limit=0.02,
                    how=f"{seconds:.2f} / {build.cold_seconds:.1f} s",
                )


def middle_build(builds: Sequence[Build]) -> Build:
    """The median of each figure by itself."""

    middle = statistics.median
    return replace(
        builds[0],
        again=median([build.again for build in builds]),
        cold_seconds=middle(build.cold_seconds for build in builds),
        cpu_seconds=middle(build.cpu_seconds for build in builds),
        longest_cpu_seconds=middle(build.longest_cpu_seconds for build in builds),
        warm_seconds=middle(build.warm_seconds for build in builds),
    )


def _against_stock(build: Build, stock: Stock) -> Ratio:
    note = f", recorded in {stock.recorded}" if stock.recorded else ""
    return Ratio(
        name=f"CPU seconds, {build.name}, against the stock module",
        value=build.cpu_seconds / stock.cpu_seconds,
        limit=build.limit,
        how=f"{build.cpu_seconds:.1f} / {stock.cpu_seconds:.1f} CPU s"
        f" ({stock.units} {stock.way} units{note})",
    )


def as_json(result: Result) -> dict[str, Any]:
    """Return JSON values; ``schema`` rises when a reader would have to change."""
    return {
        "schema": SCHEMA,
        "complete": result.complete,
        "compiler": result.compiler,
        "cores": result.cores,
        "load": list(result.load),
        "runs": result.runs,
        "jobs": {
            key: {
                "median": asdict(middle),
                "runs": [asdict(item) for item in result.samples[key]],
            }
            for key, middle in result.middle().items()
        },
        "builds": {
            name: {"median": asdict(middle_build(found)), "runs": [asdict(item) for item in found]}
            for name, found in result.builds.items()
            if found
        },
        "stock": asdict(result.stock) if result.stock else None,
        "ratios": [{**asdict(ratio), "kept": ratio.kept} for ratio in result.ratios()],
    }


def as_text(result: Result) -> str:
    """Return tables for a terminal; ``n`` is the number of samples behind a median."""
    before, now = result.load
    rounds = f"medians of {result.runs} rounds{'' if result.complete else ', NOT COMPLETE'}"
    load = f"load {before:.1f} to {now:.1f}"
    lines = [f"{result.compiler}, {result.cores} cores, {load}, {rounds}"]
    lines += [
        f"  {middle.cpu_seconds:7.1f} CPU s  {middle.peak_bytes >> 20:5d} MiB  "
        f"n={len(result.samples[key])}  {_job(key)}"
        for key, middle in result.middle().items()
    ]
    lines += [
        f"  {build.cpu_seconds:7.1f} CPU s  longest {build.longest_cpu_seconds:.1f} CPU s, "
        f"{build.cold_seconds:.1f} s; again {build.warm_seconds:.2f} s, as a process "
        f"{build.again.seconds:.2f} s, {build.again.cpu_seconds:.2f} CPU s  n={count}  {build.name}"
        for build, count in (
            (middle_build(found), len(found)) for found in result.builds.values() if found
        )
    ]
    return "\n".join([*lines, *map(_ratio_line, result.ratios())])


def _ratio_line(ratio: Ratio) -> str:
    signs = {True: f"<= {ratio.limit}", False: f">  {ratio.limit}", None: "no limit"}
    return f"  {ratio.value:7.3f} {signs[ratio.kept]:<8} {ratio.name}: {ratio.how}"


def _job(key: str) -> str:
    """``way/gemm1_256x128x128x128_1x4_v3.main_even`` of a job's key."""
    way, slash, name = key.rpartition("/")
    return f"{way}{slash}{short_name(name)}"
