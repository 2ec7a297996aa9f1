"""A launcher's real server, two checkouts in different folders: the second one only hits."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from prebuild.compile.build import compile_units
from prebuild.compile.costs import CostBook
from prebuild.compile.units import Unit, closure
from prebuild.core.project import Project
from prebuild.core.settings import Settings
from prebuild.pipeline import build as pipeline
from prebuild.plan.make import make_plan
from prebuild.recipe.recipes import find_recipes, load_recipes, narrow

pytestmark = pytest.mark.toolchain

KERNEL = """\
#include <hip/hip_runtime.h>
__global__ void tiny(float* p)
{
#if defined(__HIP_DEVICE_COMPILE__)
    p[threadIdx.x] = __sinf(p[threadIdx.x]) + %d;
#endif
}
"""


@dataclass(frozen=True, kw_only=True)
class Checkout:
    work: Path
    units: tuple[Unit, ...]
    prepared: pipeline.Prepared


def checkout(root: Path, addend: int = 1) -> Checkout:
    """A copy of what a build reads; its object cache is empty and its own.

    The units are all host units of Kimi's smallest module (one launcher of CK's among them) and
    one small kernel, compiled for the device alone as the real ones are.
    """
    here = Project.here()
    for part in ("csrc", "recipes"):
        shutil.copytree(getattr(here, part), root / part)
    project, work = Project(root=root), root / "build"
    (recipe,) = load_recipes(find_recipes(["kimi-k2.5-mxfp4"], project.recipes))
    plan = make_plan([narrow(recipe, tp=[2], block_m=[128])])
    settings = Settings.from_environ(os.environ)
    prepared = pipeline.prepare(plan, project=project, settings=settings, work=work)
    hosts = [unit for unit in prepared.units if unit.kind == "host"]
    launcher = next(unit for unit in prepared.units if unit.kind == "launcher")
    kernel = next(unit for unit in prepared.units if unit.kind == "kernel")
    tiny = kernel.source.with_name("tiny.cu")
    tiny.write_text(KERNEL % addend)
    texts = closure(tiny, kernel.include)
    small = replace(kernel, id="tiny", source=tiny, sources=texts, key="0" * 64)
    units = (*hosts, launcher, small)
    moved = tuple(replace(u, object=work / "objects" / f"{u.id}.o") for u in units)
    (work / "objects").mkdir()
    return Checkout(work=work, units=moved, prepared=prepared)


def compile_with(found: Checkout, launcher: str) -> dict[str, bytes]:
    compile_units(
        found.units,
        toolchain=found.prepared.toolchain,
        work=found.work,
        book=CostBook(found.work / "costs.json"),
        launcher=launcher,
    )
    return {unit.id: unit.object.read_bytes() for unit in found.units}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        assert isinstance(port, int)
        return port


def program(name: str) -> str:
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture
def sccache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    found = program("sccache")
    monkeypatch.setenv("SCCACHE_DIR", str(tmp_path / "sccache"))
    monkeypatch.setenv("SCCACHE_SERVER_PORT", str(free_port()))
    subprocess.run([found, "--start-server"], check=True, capture_output=True)
    yield found
    subprocess.run([found, "--stop-server"], check=True, capture_output=True)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    port = free_port()
    command = [program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with subprocess.Popen([*command, "--dir", str(tmp_path)], stdout=subprocess.DEVNULL) as server:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}"
        server.terminate()


def sccache_counts(found: str) -> tuple[int, int]:
    done = subprocess.run(
        [found, "--show-stats", "--stats-format=json"], check=True, capture_output=True
    )
    stats = json.loads(done.stdout)["stats"]
    assert stats["not_cached"] == {}
    assert stats["requests_not_cacheable"] == 0
    hits, misses = (sum(stats[key]["counts"].values()) for key in ("cache_hits", "cache_misses"))
    return hits, misses


def ccache_counts(found: str) -> dict[str, int]:
    done = subprocess.run([found, "--print-stats"], check=True, capture_output=True, text=True)
    pairs = (line.split("\t") for line in done.stdout.splitlines())
    return {name: int(value) for name, value in pairs}


def test_second_checkout_hits_every_unit_in_sccache(tmp_path: Path, sccache: str) -> None:
    first = checkout(tmp_path / "one")
    objects = compile_with(first, sccache)
    count = len(first.units)
    assert sccache_counts(sccache) == (0, count)
    second = checkout(tmp_path / "elsewhere" / "deeper" / "two")
    assert compile_with(second, sccache) == objects
    assert sccache_counts(sccache) == (count, count)


def test_changed_device_code_misses_in_sccache(tmp_path: Path, sccache: str) -> None:
    first, second = checkout(tmp_path / "one"), checkout(tmp_path / "two", addend=2)
    tiny = [replace(found, units=found.units[-1:]) for found in (first, second)]
    assert compile_with(tiny[0], sccache) != compile_with(tiny[1], sccache)
    assert sccache_counts(sccache) == (0, 2)


def test_second_machine_hits_every_unit_through_ccache_and_redis(
    tmp_path: Path, redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ccache = program("ccache")
    monkeypatch.setenv("CCACHE_REMOTE_STORAGE", redis)
    monkeypatch.setenv("CCACHE_DIR", str(tmp_path / "cache-of-one"))
    first = checkout(tmp_path / "one")
    objects = compile_with(first, ccache)
    monkeypatch.setenv("CCACHE_DIR", str(tmp_path / "cache-of-two"))
    second = checkout(tmp_path / "elsewhere" / "deeper" / "two")
    assert compile_with(second, ccache) == objects
    counts = ccache_counts(ccache)
    assert counts["direct_cache_hit"] + counts["preprocessed_cache_hit"] == len(second.units)
    assert counts["remote_storage_hit"] >= len(second.units)
    assert counts["cache_miss"] == 0


def test_objects_are_those_of_a_build_without_launcher(tmp_path: Path, sccache: str) -> None:
    found = checkout(tmp_path / "one")
    through = compile_with(found, sccache)
    for unit in found.units:
        unit.object.unlink()
    compile_units(
        found.units,
        toolchain=found.prepared.toolchain,
        work=found.work,
        book=CostBook(found.work / "costs.json"),
    )
    assert {unit.id: unit.object.read_bytes() for unit in found.units} == through


def test_our_own_cache_has_the_same_keys_in_both_checkouts(tmp_path: Path) -> None:
    one, two = checkout(tmp_path / "one"), checkout(tmp_path / "elsewhere" / "two")
    keys = [{unit.id: unit.key for unit in found.prepared.units} for found in (one, two)]
    assert keys[0] == keys[1]
