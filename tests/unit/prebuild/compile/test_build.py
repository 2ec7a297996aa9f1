from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from prebuild.compile import build
from prebuild.compile.build import CompileError, command, compiler_command, ninja_file, read_costs
from prebuild.compile.compiler_cache import Launcher
from prebuild.compile.costs import Cost, CostBook
from tests.unit.prebuild.samples import kimi_plan, toolchain, units


def test_edges_stand_in_the_order_given(tmp_path: Path) -> None:
    found = units(tmp_path, kimi_plan(tp=[2], block_m=[128]))
    text = ninja_file(found, toolchain=toolchain(tmp_path), costs=tmp_path, launcher=None)
    unfolded = text.replace("$\n", "")
    named = [line.split()[-1] for line in unfolded.splitlines() if line.startswith("  unit = ")]
    assert named == [unit.id for unit in found]


def test_a_launcher_stands_right_before_the_compiler(tmp_path: Path) -> None:
    (unit, *_) = units(tmp_path, kimi_plan(tp=[2], block_m=[128]))
    tools = toolchain(tmp_path / "t")
    tools.root.mkdir()
    (tools.root / "clang.cfg").write_text("--sysroot=<CFGDIR>/sysroot\n")
    launcher = Launcher(
        program="sccache",
        folder=tmp_path / "launcher",
        roots={"toolchain": tools.root},
        env={"BUSTER": "one"},
    )
    parts = command(unit, tools, tmp_path, launcher)
    at = parts.index("sccache")
    assert parts[at + 1 : at + 3] == ["toolchain/clang++", "--sysroot=toolchain/sysroot"]
    assert parts[-2:] == ["-o", str(unit.object)]
    assert parts[:3] == ["env", "-C", str(launcher.folder)]
    assert "BUSTER=one" in parts[:at]


def test_an_object_of_a_source_that_changed_meanwhile_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited, same, *_ = units(tmp_path, kimi_plan(tp=[2], block_m=[128]))

    def ninja(*_: object) -> None:
        for unit in (edited, same):
            unit.object.parent.mkdir(parents=True, exist_ok=True)
            unit.object.write_bytes(b"object")
        edited.source.write_text(edited.source.read_text() + "int another;\n")

    monkeypatch.setattr(build, "_run_ninja", ninja)
    with pytest.raises(CompileError, match="changed while they were compiled") as caught:
        build.compile_units(
            [edited, same],
            toolchain=toolchain(tmp_path),
            work=tmp_path / "work",
            book=CostBook(tmp_path / "costs.json"),
        )
    assert caught.value.problems == (f"{edited.id} ({edited.source})",)
    assert (edited.object.exists(), same.object.exists()) == (False, True)


def test_each_kind_gets_its_own_pass(tmp_path: Path) -> None:
    found = {unit.kind: unit for unit in units(tmp_path, kimi_plan(tp=[2], block_m=[128]))}
    tools = toolchain(tmp_path)
    assert "--cuda-device-only" in compiler_command(found["kernel"], tools)
    assert "--cuda-host-only" in compiler_command(found["launcher"], tools)
    assert "hip" not in compiler_command(found["host"], tools)


def test_costs_are_read_by_unit(tmp_path: Path) -> None:
    cost = {"began": 1.0, "seconds": 2.0, "cpu_seconds": 1.5, "peak_bytes": 7}
    (tmp_path / "unit.main_even.json").write_text(json.dumps(cost))
    assert read_costs(tmp_path) == {"unit.main_even": cost}


@pytest.mark.parametrize("ending", [None, CompileError("one failed:", []), KeyboardInterrupt()])
def test_what_was_compiled_is_in_the_book_however_a_build_ends(
    ending: BaseException | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, left, *_ = units(tmp_path, kimi_plan(tp=[2], block_m=[128]))
    cost = {"began": 1.0, "seconds": 2.0, "cpu_seconds": 1.5, "peak_bytes": 7}

    def ninja(work: Path, *_: object) -> None:
        made.object.parent.mkdir(parents=True, exist_ok=True)
        made.object.write_bytes(b"object")
        (work / "costs" / f"{made.id}.json").write_text(json.dumps(cost))
        if ending is not None:
            raise ending

    monkeypatch.setattr(build, "_run_ninja", ninja)
    book = CostBook(tmp_path / "costs.json")
    expected: AbstractContextManager[object] = (
        nullcontext() if ending is None else pytest.raises(type(ending))
    )
    with expected:
        build.compile_units(
            [made, left], toolchain=toolchain(tmp_path), work=tmp_path / "work", book=book
        )
    assert CostBook(tmp_path / "costs.json").recorded == {made.id: Cost(seconds=2.0, peak_bytes=7)}
