"""Seeding a JIT directory with the console script, in processes that may be killed."""

from __future__ import annotations

import hashlib
import json
import random
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.runtime import sitemaker as make
from tests.integration.runtime.faults import Stage

FILE = f"{make.STOCK}.so"
NOTE = ".aiter_prebuilt_seed.json"
KILLS = 200


@pytest.fixture
def full(stage: Stage) -> Stage:
    """A site with a full module."""
    copy = Path(shutil.copy(stage.parts.full, stage.package / "modules"))
    reduced = make.describe(stage.module, stage.package, make.REDUCED)
    make.write_manifest(stage.package, make.describe(copy, stage.package, make.STOCK), reduced)
    stage.know_aiter()
    return stage


def _command(stage: Stage, folder: Path, *more: str) -> list[str]:
    code = f"import sys; sys.path.insert(0, {str(stage.site)!r})"
    start = "from aiter_prebuilt.tools.cli import main"
    run = (
        f"{code}; {start}; sys.exit(main({['seed', '--json', '--jit-dir', str(folder), *more]!r}))"
    )
    return [sys.executable, "-S", "-c", run]


def _seed(stage: Stage, folder: Path, *more: str, code: int | None = None) -> dict[str, str]:
    done = subprocess.run(
        _command(stage, folder, *more), env=stage.env, capture_output=True, text=True, check=False
    )
    if code is not None:
        assert done.returncode == code, done.stderr
    steps: list[dict[str, Any]] = json.loads(done.stdout)["steps"] if done.stdout else []
    return {step["file"]: step["action"] for step in steps if step["action"] != "skip"}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_place_again_and_remove(full: Stage, tmp_path: Path) -> None:
    folder = tmp_path / "jit"
    assert _seed(full, folder) == {FILE: "place"}
    assert _digest(folder / FILE) == _digest(full.parts.full)
    assert (folder / FILE).stat().st_mode & 0o777 == 0o644
    assert sorted(path.name for path in folder.iterdir()) == sorted([NOTE, FILE])
    assert _seed(full, folder) == {FILE: "present"}
    assert _seed(full, folder, "--remove", code=0) == {FILE: "remove"}
    assert list(folder.iterdir()) == []


def test_the_placed_module_is_what_aiter_imports(
    full: Stage, run: Callable[..., dict[str, Any]]
) -> None:
    folder = full.site.parent / "jit"
    _seed(full, folder)
    result = run(AITER_JIT_DIR=str(folder), AITER_PREBUILT="0", STANDIN_BUILDS="")
    assert result["answer"].startswith(f"prebuilt:{make.STOCK}:")


def test_dry_run_changes_nothing(full: Stage, tmp_path: Path) -> None:
    folder = tmp_path / "jit"
    folder.mkdir()
    assert _seed(full, folder, "--dry-run") == {FILE: "place"}
    assert list(folder.iterdir()) == []


def test_aiters_own_file_is_kept_unless_told_otherwise(full: Stage, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"built by AITER")
    assert _seed(full, tmp_path, code=1) == {FILE: "keep"}
    assert (tmp_path / FILE).read_bytes() == b"built by AITER"
    assert _seed(full, tmp_path, "--force") == {FILE: "replace"}
    assert _digest(tmp_path / FILE) == _digest(full.parts.full)


def test_remove_keeps_a_file_that_aiter_built_since(full: Stage, tmp_path: Path) -> None:
    _seed(full, tmp_path)
    (tmp_path / FILE).write_bytes(b"built by AITER")
    assert _seed(full, tmp_path, "--remove", code=1) == {FILE: "keep"}
    assert (tmp_path / FILE).exists()


def test_an_older_module_of_ours_is_replaced(full: Stage, tmp_path: Path) -> None:
    _seed(full, tmp_path)
    module = full.package / "modules" / f"{make.STOCK}.abi3.so"
    make.extension(module, make.STOCK, full.parts.hip, extra=("-O3",))
    make.write_manifest(full.package, make.describe(module, full.package, make.STOCK))
    assert _seed(full, tmp_path) == {FILE: "replace"}
    assert _digest(tmp_path / FILE) == _digest(module)


def test_reduced_modules_are_never_placed(stage: Stage, tmp_path: Path) -> None:
    folder = tmp_path / "jit"
    assert _seed(stage, folder) == {}
    assert not folder.exists()


def test_a_module_that_aiter_is_building_is_left_alone(full: Stage, tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / f"lock_{make.STOCK}").touch()
    assert _seed(full, tmp_path, code=1) == {FILE: "keep"}
    assert not (tmp_path / FILE).exists()


def test_a_damaged_module_is_not_placed(full: Stage, tmp_path: Path) -> None:
    module = full.package / "modules" / f"{make.STOCK}.abi3.so"
    data = bytearray(module.read_bytes())
    data[-1] ^= 1
    module.write_bytes(data)
    assert _seed(full, tmp_path, code=1) == {FILE: "fail"}
    assert not (tmp_path / FILE).exists()


def test_full_disk(full: Stage, tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: the write fails half way."""
    limit = full.parts.full.stat().st_size // 2
    done = subprocess.run(
        _command(full, tmp_path / "jit"),
        env=full.env,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 3, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.endswith("File too large")
    assert {path.name for path in (tmp_path / "jit").iterdir()} <= {NOTE}


def test_read_only_folder(full: Stage, tmp_path: Path) -> None:
    folder = tmp_path / "jit"
    folder.mkdir(mode=0o555)
    drop = (
        "import ctypes; ctypes.CDLL(None).capset("
        "(ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()); "
    )
    python, flag, option, code = _command(full, folder)
    done = subprocess.run(
        [python, flag, option, drop + code],
        env=full.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert "Permission denied" in line
    assert list(folder.iterdir()) == []


def test_a_link_to_nowhere_is_kept(full: Stage, tmp_path: Path) -> None:
    (tmp_path / FILE).symlink_to(tmp_path / "nowhere")
    assert _seed(full, tmp_path, code=1) == {FILE: "keep"}
    assert (tmp_path / FILE).is_symlink()


def test_many_at_once(full: Stage, tmp_path: Path) -> None:
    folder = tmp_path / "jit"
    processes = [
        subprocess.Popen(_command(full, folder), env=full.env, stdout=subprocess.PIPE, text=True)
        for _ in range(16)
    ]
    actions = []
    for process in processes:
        out, _ = process.communicate(timeout=120)
        steps = json.loads(out)["steps"]
        actions += [step["action"] for step in steps if step["action"] != "skip"]
    assert sorted(actions) == ["place"] + ["present"] * 15
    assert sorted(path.name for path in folder.iterdir()) == sorted([NOTE, FILE])


def test_killed_at_random_points(full: Stage, tmp_path: Path) -> None:
    """After each kill the file is whole or not there, and the next run puts all right.

    The victims are forks of one warm process, so that most kills fall into the work itself.
    """
    chance = random.Random(20261122)  # noqa: S311  a repeatable spread, no secret
    helper = subprocess.Popen(
        [sys.executable, "-S", "-c", _FORKER, str(full.site), str(tmp_path / "jit")],
        env=full.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert helper.stdin is not None
    assert helper.stdout is not None
    seen = {"nothing": 0, "whole": 0}
    expected = _digest(full.parts.full)
    span = 0.012  # seconds; follows the speed of the machine, so that both outcomes stay frequent
    for _ in range(KILLS):
        helper.stdin.write(f"{chance.uniform(0, span)}\n")
        helper.stdin.flush()
        assert helper.stdout.readline().strip() in ("killed", "done")
        target = tmp_path / "jit" / FILE
        if target.exists():
            seen["whole"] += 1
            span *= 0.9
            assert _digest(target) == expected, "a part of a file was left under AITER's name"
            target.unlink()
        else:
            seen["nothing"] += 1
            span *= 1.1
    helper.communicate(timeout=30)
    assert min(seen.values()) > 10, f"the kills were not spread over the work: {seen}"
    assert _seed(full, tmp_path / "jit") == {FILE: "place"}
    assert sorted(path.name for path in (tmp_path / "jit").iterdir()) == sorted([NOTE, FILE])


_FORKER = """
import os, signal, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from aiter_prebuilt.tools import seed
from aiter_prebuilt.wheel import store
shelves = store.read_all()
for line in sys.stdin:
    child = os.fork()
    if not child:
        seed.seed(seed.Wish(jit_dir=Path(sys.argv[2])), shelves)
        os._exit(0)
    time.sleep(float(line))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    print("killed" if os.WIFSIGNALED(status) else "done", flush=True)
"""


def test_nothing_is_placed_for_an_aiter_that_nobody_checked(full: Stage, tmp_path: Path) -> None:
    """In the JIT directory nobody would take what the module refuses and that AITER can do."""
    full.edit("csrc/ck_gemm_moe_2stages_codegen/standin.cuh", "// Stand-in", "// Another stand-in")
    folder = tmp_path / "jit"
    assert _seed(full, folder, code=0) == {}
    assert not (folder / FILE).exists()
