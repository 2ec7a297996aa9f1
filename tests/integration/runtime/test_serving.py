"""How modules are served beyond the fault matrix: order, crowds, uncovered calls, real site."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aiter_prebuilt.wheel import manifest as m
from tests.integration.runtime import sitemaker as make
from tests.integration.runtime.conftest import DRIVER, command
from tests.integration.runtime.faults import Stage

Run = Callable[..., dict[str, Any]]


def _put_own_build(stage: Stage) -> Path:
    return Path(shutil.copy(stage.parts.builds / f"{make.STOCK}.so", stage.site / "aiter" / "jit"))


def test_prefer_goes_before_aiters_own_build(stage: Stage, run: Run) -> None:
    _put_own_build(stage)
    assert run()["answer"].startswith("jit:")
    assert run(AITER_PREBUILT="prefer")["answer"].startswith("prebuilt:")


def test_prefer_and_a_failing_start_takes_aiters_own_build_without_compiling(
    stage: Stage, run: Run
) -> None:
    stage.rebuild(extra=("-DFAIL_EXEC",))
    _put_own_build(stage)
    result = run(AITER_PREBUILT="prefer", STANDIN_BUILDS="")
    assert result["answer"].startswith("jit:"), result
    assert result["events"] == ["load"]


def test_rebuild_wins_over_prefer(run: Run) -> None:
    result = run(AITER_PREBUILT="prefer", AITER_REBUILD="1")
    assert result["answer"].startswith("jit:")


def test_top_level_name_is_served_only_with_a_jit_dir(stage: Stage) -> None:
    code = (
        f"import site, sys; site.addsitedir({str(stage.site)!r});"
        f"sys.path.insert(0, {str(stage.site)!r}); import importlib.util as u;"
        f"print(u.find_spec({make.STOCK!r}) is not None)"
    )

    def found(**env: str) -> str:
        return subprocess.run(
            [sys.executable, "-S", "-c", code],
            env={**stage.env, **env},
            cwd=stage.site,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    assert found() == "False"
    assert found(AITER_JIT_DIR=str(stage.site.parent / "jit")) == "True"


def test_64_processes_at_once(stage: Stage) -> None:
    processes = [
        subprocess.Popen(
            command(stage), env=stage.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(64)
    ]
    results = []
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        results.append(json.loads(out))
    assert len(results) == 64
    assert all(result["answer"].startswith("prebuilt:") for result in results)
    assert not (stage.site / "aiter" / "jit" / "build").exists()


def test_uncovered_call_goes_to_aiters_build_and_covered_ones_stay(stage: Stage, run: Run) -> None:
    result = run(topk=99)
    assert result["answer"].startswith(f"jit:{make.STOCK}:")
    assert result["again"] == result["answer"]
    assert result["covered"].startswith(f"prebuilt:{make.REDUCED}:")
    assert result["events"].count("uncovered") == 1
    log = (stage.site / "aiter" / "jit" / "build" / "builds.log").read_text()
    assert log == f"{make.STOCK} generate {make.STOCK}\n"
    assert "topk=99" in result["stderr"]
    assert "fp4x2[4, 3584]" in result["stderr"]


def test_uncovered_call_takes_a_build_that_is_there_already(stage: Stage, run: Run) -> None:
    _put_own_build(stage)
    result = run(topk=99, AITER_PREBUILT="prefer", STANDIN_BUILDS="")
    assert result["answer"].startswith("jit:")
    assert result["covered"].startswith("prebuilt:")


def test_uncovered_call_with_a_jit_dir(stage: Stage, run: Run) -> None:
    folder = stage.site.parent / "jit"
    result = run(topk=99, AITER_JIT_DIR=str(folder))
    assert result["answer"].startswith("jit:")
    assert result["covered"].startswith("prebuilt:")
    assert (folder / f"{make.STOCK}.so").exists()


def test_uncovered_call_goes_to_the_full_module_of_a_wheel(stage: Stage, run: Run) -> None:
    _add_full(stage)
    result = run(topk=99, STANDIN_BUILDS="")
    assert result["answer"].startswith(f"prebuilt:{make.STOCK}:"), result
    assert result["covered"].startswith(f"prebuilt:{make.REDUCED}:")
    assert not (stage.site / "aiter" / "jit" / "build").exists()


def test_a_damaged_full_module_of_the_wheel_leaves_aiters_build(stage: Stage, run: Run) -> None:
    full = _add_full(stage)
    full.write_bytes(full.read_bytes()[:-1])
    result = run(topk=99)
    assert result["answer"].startswith("jit:"), result


@pytest.mark.parametrize(
    ("policy", "full", "expected"),
    [
        ("jit", True, "jit:"),
        ("full", True, f"prebuilt:{make.STOCK}:"),
        ("full", False, None),
        ("error", True, None),
    ],
)
def test_policy_for_uncovered_calls(
    policy: str, *, full: bool, expected: str | None, stage: Stage, run: Run
) -> None:
    if full:
        _add_full(stage)
    result = run(topk=99, AITER_PREBUILT_UNCOVERED=policy)
    if expected is None:
        assert result["error"] == "UncoveredShapeError"
        assert "topk is 99 or more" in result["message"]
        assert f"AITER_PREBUILT_UNCOVERED={policy}" in result["message"]
    else:
        assert result["answer"].startswith(expected)


def test_uncovered_call_that_nobody_can_take_is_a_clear_error(run: Run) -> None:
    result = run(topk=99, STANDIN_BUILDS="")
    assert result["error"] == "UncoveredShapeError"
    for part in ("topk is 99 or more", make.REDUCED, "topk=99", "no compiler", "full coverage"):
        assert part in result["message"]


def test_a_full_module_serves_where_the_reduced_one_is_damaged(stage: Stage, run: Run) -> None:
    _add_full(stage)
    stage.module.write_bytes(b"")
    result = run()
    assert result["answer"].startswith(f"prebuilt:{make.STOCK}:"), result


def test_a_harvested_folder_beside_the_package_is_served(stage: Stage, run: Run) -> None:
    other = stage.site / "aiter_prebuilt_harvest_1"
    shutil.move(stage.package / "modules", other / "modules")
    shutil.move(stage.package / "manifest.json", other / "manifest.json")
    assert run()["answer"].startswith("prebuilt:")


def test_in_a_real_environment_the_pth_file_alone_is_enough(stage: Stage, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    packages = next((tmp_path / "env" / "lib").glob("python3*")) / "site-packages"
    shutil.copytree(stage.site, packages, dirs_exist_ok=True)
    done = subprocess.run(
        [str(tmp_path / "env" / "bin" / "python"), str(DRIVER), str(tmp_path), "8"],
        env=stage.env,
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout)["answer"].startswith("prebuilt:")


def test_nothing_is_printed_on_stdout_and_two_lines_tell_of_the_load(
    stage: Stage,
) -> None:
    stage.statements.append("import logging; logging.basicConfig(level=logging.INFO)")
    done = subprocess.run(command(stage), env=stage.env, check=True, capture_output=True, text=True)
    json.loads(done.stdout)
    lines = [line for line in done.stderr.splitlines() if line.startswith("INFO:aiter.prebuilt:")]
    served, at_exit = lines
    assert f"prebuilt {make.STOCK}: served from wheel 0.1.0 in " in served
    assert "1 module served" in at_exit
    assert at_exit.endswith("0 handed on, 0 declined; AITER compiled nothing")


def _add_full(stage: Stage) -> Path:
    copy = Path(shutil.copy(stage.parts.full, stage.package / "modules"))
    make.write_manifest(
        stage.package,
        make.describe(copy, stage.package, make.STOCK),
        make.describe(stage.module, stage.package, make.REDUCED),
    )
    return copy


def test_the_provider_gives_what_the_finder_gives(stage: Stage) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(stage.site)!r});"
        "from aiter_prebuilt.serve.provider import provide;"
        f"one = provide({make.STOCK!r}); two = provide({make.STOCK!r});"
        "print(one is two, getattr(one, '__name__', None), provide('module_other'))"
    )

    def provided(**env: str) -> str:
        return subprocess.run(
            [sys.executable, "-S", "-c", code],
            env={**stage.env, **env},
            cwd=stage.site,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    assert provided() == f"True {make.REDUCED} None"
    stage.rebuild(extra=("-DFAIL_EXEC",))
    assert provided() == "True None None"  # nothing is provided: AITER would build


def _add_a_second_contract(stage: Stage) -> None:
    """A second module, for an AITER whose block_m has another default."""
    copy = Path(shutil.copy(stage.parts.full, stage.package / "modules"))
    path = stage.package / m.MANIFEST_NAME
    whole = m.parse(path.read_text())
    lines = whole.contracts["one"].signatures
    later = dataclasses.replace(
        whole.contracts["one"],
        signatures={name: line.replace("= 32", "= 64") for name, line in lines.items()},
    )
    second = make.describe(copy, stage.package, make.STOCK, contracts=("two",))
    both = dataclasses.replace(
        whole, contracts={**whole.contracts, "two": later}, modules=(*whole.modules, second)
    )
    path.write_text(m.dump(both))


@pytest.mark.parametrize(("default", "module"), [(32, make.REDUCED), (64, make.STOCK)])
def test_of_two_contracts_in_a_wheel_aiters_own_is_served(
    stage: Stage, run: Run, default: int, module: str
) -> None:
    _add_a_second_contract(stage)
    parameter = "block_m: Optional[int] = "
    stage.edit("aiter/ops/moe_op.py", f"{parameter}32", f"{parameter}{default}")
    assert run()["answer"].startswith(f"prebuilt:{module}:")


def test_of_two_contracts_none_is_aiters_and_both_say_why(stage: Stage, run: Run) -> None:
    _add_a_second_contract(stage)
    stage.edit("aiter/ops/moe_op.py", "block_m: Optional[int] = 32", "block_m: Optional[int] = 128")
    result = run()
    assert result["answer"].startswith("jit:")
    for default in (32, 64):
        assert f"the module has block_m: Optional[int] = {default}" in result["stderr"]


def test_an_image_is_judged_without_a_gpu(stage: Stage, tmp_path: Path) -> None:
    """``doctor --image`` looks at AITER, HIP and the files; without it the missing GPU counts."""

    def doctor(*options: str) -> subprocess.CompletedProcess[str]:
        path = f"import site, sys; site.addsitedir({str(stage.site)!r})"
        start = f"sys.path.insert(0, {str(stage.site)!r}); from aiter_prebuilt.tools import cli"
        run = f"sys.exit(cli.main(['doctor', *{list(options)!r}]))"
        return subprocess.run(
            [sys.executable, "-S", "-c", f"{path}; {start}; {run}"],
            env={**stage.env, "AITER_PREBUILT_SYSFS_ROOT": str(tmp_path / "no-gpu")},
            cwd=stage.site,
            capture_output=True,
            text=True,
            check=False,
        )

    without = doctor()
    assert without.returncode == 1
    assert "no AMD GPU was found" in without.stdout
    judged = doctor("--image")
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert "gfx950 (source: image)" in judged.stdout
    (stage.site / "aiter" / "ops" / "moe_op.py").write_text("def ck_moe_stage1(): ...\n")
    changed = doctor("--image")
    assert changed.returncode == 1
    assert "compiles:" in changed.stdout
