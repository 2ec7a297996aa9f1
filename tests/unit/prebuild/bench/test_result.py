from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from prebuild.bench.bench import Build
from prebuild.bench.measure import Sample, median
from prebuild.bench.result import Result, Stock, StockError, as_json, as_text

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
    )
    values = {
        "compiler": "clang 22",
        "cores": 2,
        "load": 0.1,
        "runs": 2,
        "samples": {
            f"four-in-one+torch/{NAME}": [sample(100), sample(102)],
            f"four-in-one/{NAME}": [sample(60), sample(70)],
            f"split/{NAME}.main_even": [sample(20), sample(24)],
            f"split/{NAME}": [sample(3), sample(3)],
            "split/moe_ck2stages_other.main_even": [sample(90), sample(90)],
        },
        "builds": [build],
        "stock": STOCK,
    }
    return Result(**(values | changes))


def test_critical_path_is_the_longest_split_unit_of_the_same_instance() -> None:
    with_torch, without, stock, warm = result().ratios()
    assert with_torch.value == pytest.approx(22 / 101)
    assert with_torch.kept
    assert without.value == pytest.approx(22 / 65)
    assert (stock.value, stock.kept) == (pytest.approx(0.055), True)
    assert (warm.value, warm.kept) == (pytest.approx(0.01), True)


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


def test_median_takes_each_figure_by_itself() -> None:
    assert median([sample(1), sample(5), sample(2)]).cpu_seconds == 2


def test_json_is_versioned() -> None:
    found = json.loads(json.dumps(as_json(result())))
    assert found["schema"] == 1
    assert found["jobs"][f"split/{NAME}"]["median"]["cpu_seconds"] == 3
    assert {ratio["kept"] for ratio in found["ratios"]} == {True}
