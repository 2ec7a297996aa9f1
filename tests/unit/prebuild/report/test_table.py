from __future__ import annotations

import io

import pytest
from rich.console import Console, RenderableType

from prebuild.plan.make import make_plan
from prebuild.recipe.recipes import find_recipes, load_recipes, narrow
from prebuild.report.compare import compare
from prebuild.report.model import make_report
from prebuild.report.record import UnitRecord
from prebuild.report.table import as_comparison, as_kernels, as_table, label, two_lines
from tests.unit.prebuild.report.samples import COSTS, EDGES, LONG, REGISTERS, SHORT, record, report
from tests.unit.prebuild.samples import PROJECT


def shown(what: RenderableType, width: int = 120) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(what)
    return console.export_text()


def test_table_has_the_slowest_first_and_says_what_is_left_out() -> None:
    text = shown(as_table(report(), top=2))
    assert "critical path 30.5 s: gemm1_256x128x128x128_1x4_v3.main_even 30.0 s" in text
    assert "4 units: 3 compiled, 1 from the object cache" in text
    first = text.rindex("gemm1_256x128x128x128_1x4_v3.main_even")
    assert first < text.index("gemm2_256x32x128")
    assert "launch" not in text
    assert "... and 2 more" in text


@pytest.mark.parametrize("width", [80, 120])
def test_a_narrow_terminal_cuts_nothing(width: int) -> None:
    lines = shown(as_table(report(), top=9), width=width).splitlines()
    head = next(line for line in lines if line.startswith("wall s"))
    assert " ".join(head.split()) == "wall s CPU s peak MiB VGPRs spilled LDS KiB unit"
    (row,) = [line for line in lines if line.lstrip().startswith("30.0")]
    assert row.split()[:6] == ["30.0", "29.0", "900", "256", "42", "32"]
    folded = "".join(line[head.index("unit") :].strip() for line in lines)
    assert "gemm1_256x128x128x128_1x4_v3.main_even" in folded


def test_modules_stand_before_the_compiles() -> None:
    text = shown(as_table(report(), top=2))
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if "module_x__deployed_0" in line)
    assert lines[at - 1].split() == ["deployed", "2", "of", "10", "2", "123,456", "50", "1"]
    assert lines[at].split() == ["module_x__deployed_0"]
    assert lines[at + 1].split() == ["one,", "two"]
    assert text.index("module_x") < text.index("peak MiB")
    no_modules = make_report(record(modules=()), EDGES, COSTS, {})
    assert "coverage" not in shown(as_table(no_modules, top=2))


def test_every_kernel_is_listed_with_all_of_its_resources() -> None:
    lines = shown(as_kernels(report())).splitlines()
    long, small = (lines.index(name.partition(".")[0]) for name in (LONG, SHORT))
    assert lines[long + 2].split() == [
        "main_even", "30.0", "256", "0", "100", "42", "0", "32", "0", "20",
    ]  # fmt: skip
    assert lines[small + 2].split() == ["main_even", "20.0"]  # its code object was not read
    assert not any("launch" in line for line in lines)


@pytest.mark.parametrize("width", [80, 140])
def test_the_list_of_a_whole_wheel_has_a_line_a_kernel(width: int) -> None:
    recipes = load_recipes(find_recipes([], PROJECT.recipes))
    plan = make_plan([narrow(recipe, coverage="full") for recipe in recipes])
    names = {k.id for module in plan.modules for i in module.built for k in i.kernels}
    units = tuple(
        UnitRecord(id=name, kind="kernel", key=name, object=name, cached=True) for name in names
    )
    found = make_report(record(units=units), (), {}, dict.fromkeys(names, REGISTERS))
    assert len({label(name) for name in names}) == len(names) > 300
    text = shown(as_kernels(found), width=width)
    lines = [line.split() for line in text.splitlines() if line.startswith(("main_", "nomain_"))]
    assert len(lines) == len(names)
    assert all(line[1:] == ["256", "0", "100", "42", "0", "32", "0", "20"] for line in lines)
    assert len(shown(as_table(found, top=12)).splitlines()) < 30


def test_comparison_of_a_build_with_itself_moves_nothing() -> None:
    text = shown(as_comparison(compare(report(), report()), top=5))
    assert "CPU 51.5 s -> 51.5 s" in text
    assert "1.00" in text
    assert "moved" not in text


def test_a_kernels_label_breaks_behind_its_tile() -> None:
    label = "gemm1_256x128x128x128_1x4_v3_q3_mul0_silu_FP4X2_FP4X2_B16.main_even"
    first, rest = two_lines(label)
    assert f"{first}_{rest}" == label
    assert max(len(first), len(rest)) < 45
    assert two_lines("launchers") == ("launchers", "")
