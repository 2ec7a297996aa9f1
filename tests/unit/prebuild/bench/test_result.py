from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prebuild.bench.bench import Build
from prebuild.bench.measure import Sample
from prebuild.bench.result import Result, Stock, StockError, as_json, as_text, middle_build

NAME = "moe_ck2stages_gemm1_256x128x128x128_1x4_Op"
STOCK = Stock(cpu_seconds=1000.0, units=10, way="four-in-one+torch", compiler="clang 22")


def sample(cpu: float) -> Sample:
    return Sample(seconds=cpu, cpu_seconds=cpu, peak_bytes=1 << 30)


def result(**changes: Any) -> Result:
    build = Build(
        name="case",
        units=10,
        cold_seconds=50.0,
        warm_seconds=0.5,
        cpu_seconds=55.0,
        limit=0.06,
        longest_cpu_seconds=25.0,
        again=sample(0.4),
    )
    values = {
        "compiler": "clang 22",
        "cores": 2,
        "load": (0.1, 1.5),
        "complete": True,
        "runs": 2,
        "samples": {
            f"four-in-one+torch/{NAME}": [sample(100), sample(102)],
            f"four-in-one/{NAME}": [sample(60), sample(70)],
            f"split/{NAME}.main_even": [sample(20), sample(24)],
            f"split/{NAME}.main_odd": [sample(3), sample(3)],
            f"split/{NAME}_longer.main_odd": [sample(90), sample(90)],
            "split/moe_ck2stages_other.main_even": [sample(90), sample(90)],
        },
        "builds": {"case": [build]},
        "stock": STOCK,
    }
    return Result(**(values | changes))


def test_critical_path_is_the_longest_split_unit_of_the_same_instance() -> None:
    longest, all_of_them, plain, _, stock, warm, again = result().ratios()
    assert (longest.value, longest.kept) == (pytest.approx(22 / 101), True)
    assert (all_of_them.value, all_of_them.kept) == (pytest.approx(25 / 101), None)
    assert (plain.value, plain.kept) == (pytest.approx(22 / 65), None)
    assert (stock.value, stock.kept) == (pytest.approx(0.055), True)
    assert (warm.value, warm.kept) == (pytest.approx(0.01), True)
    assert (again.value, again.limit) == (pytest.approx(0.4 / 50), 0.02)


def test_a_critical_path_wants_every_kernel_measured() -> None:
    """The one that lacks after an interruption may be the longest."""
    samples = dict(result().samples) | {f"split/{NAME}.main_even": []}
    assert not [ratio for ratio in result(samples=samples).ratios() if "kernel" in ratio.name]
    text = as_text(result(samples=samples, complete=False))
    assert "NOT COMPLETE" in text
    assert "critical path" not in text


def test_builds_are_medians_of_their_rounds() -> None:
    (first,) = result().builds["case"]
    others = [replace(first, cold_seconds=seconds) for seconds in (70.0, 60.0)]
    assert middle_build([first, *others]).cold_seconds == 60.0


def test_a_limit_that_is_passed_shows() -> None:
    slow = replace(result().builds["case"][0], again=sample(5))
    text = as_text(result(builds={"case": [slow]}))
    (line,) = [line for line in text.splitlines() if "as a whole process" in line]
    assert line.split()[:3] == ["0.100", ">", "0.02"]


def test_without_a_stock_figure_there_is_no_ratio_to_it() -> None:
    assert not [r for r in result(stock=None).ratios() if "stock" in r.name]


def test_recorded_stock_says_so(tmp_path: Path) -> None:
    file = tmp_path / "stock.json"
    STOCK.write(file)
    found = Stock.read(file, "clang 22")
    assert found.cpu_seconds == 1000.0
    text = as_text(result(stock=found))
    assert f"recorded in {file}" in text
    assert "recorded" not in as_text(result())


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"schema": 1, "cpu": 1}'])
def test_files_that_are_no_stock_figure_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "stock.json"
    file.write_text(text)
    with pytest.raises(StockError, match="--stock"):
        Stock.read(file, "clang 22")


def test_stock_of_another_compiler_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "stock.json"
    STOCK.write(file)
    with pytest.raises(StockError, match="clang 23"):
        Stock.read(file, "clang 23")


def test_json_is_versioned() -> None:
    found = json.loads(json.dumps(as_json(result())))
    assert found["schema"] == 2
    assert found["jobs"][f"split/{NAME}.main_odd"]["median"]["cpu_seconds"] == 3
    assert found["builds"]["case"]["median"]["again"]["cpu_seconds"] == 0.4
    assert {ratio["kept"] for ratio in found["ratios"]} == {True, None}
