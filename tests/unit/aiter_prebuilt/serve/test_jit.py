"""The door to AITER's build; the stand-in's real build is tested in tests/integration/runtime."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from aiter_prebuilt.serve import jit
from tests.unit.aiter_prebuilt import samples


class Core(types.ModuleType):
    """AITER's core as far as the door uses it."""

    def __init__(self, folder: Path) -> None:
        super().__init__("aiter.jit.core")
        self.folder, self.calls = folder, []  # type: ignore[var-annotated]
        self.bd_dir = str(folder / "build")

    def get_user_jit_dir(self) -> str:
        return str(self.folder)

    def get_args_of_build(self, ops_name: str) -> dict[str, Any]:
        return {"md_name": ops_name, "srcs": ["a.cu"], "unused": 1}

    def build_module(self, md_name: str, srcs: list[str], hipify: bool = False) -> None:
        self.calls.append((md_name, srcs, hipify))


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Core:
    stubs = types.ModuleType("aiter.ops.moe_op")
    stubs.cmdGenFunc_ck_moe_stage = lambda *_: {"md_name": samples.STOCK}  # type: ignore[attr-defined]
    found = Core(tmp_path)
    monkeypatch.setitem(sys.modules, "aiter.jit.core", found)
    monkeypatch.setitem(sys.modules, "aiter.ops.moe_op", stubs)
    return found


def test_the_build_gets_the_arguments_that_it_knows(core: Core) -> None:
    with pytest.raises(jit.JitError, match="cannot be loaded"):  # nothing was really built
        jit.build(samples.STOCK, "ck_moe_stage1", ())
    assert core.calls == [(samples.STOCK, ["a.cu"], False)]


def test_a_finished_build_is_not_repeated(core: Core) -> None:
    (core.folder / f"{samples.STOCK}.so").write_text("no library")
    with pytest.raises(jit.JitError, match="cannot be loaded"):
        jit.build(samples.STOCK, "ck_moe_stage1", ())
    assert core.calls == []


def test_a_build_under_way_is_waited_for(core: Core) -> None:
    (core.folder / f"{samples.STOCK}.so").write_text("half a library")
    (core.folder / "build").mkdir()
    (core.folder / "build" / f"lock_{samples.STOCK}").touch()
    with pytest.raises(jit.JitError):
        jit.build(samples.STOCK, "ck_moe_stage1", ())
    assert len(core.calls) == 1


def test_a_build_for_another_gpu_is_repeated(core: Core) -> None:
    core._needs_arch_rebuild = lambda _: True
    (core.folder / f"{samples.STOCK}.so").write_text("another GPU's")
    with pytest.raises(jit.JitError):
        jit.build(samples.STOCK, "ck_moe_stage1", ())
    assert len(core.calls) == 1


def test_another_module_than_ours_is_refused(core: Core) -> None:
    with pytest.raises(jit.JitError, match="AITER names"):
        jit.build("module_moe_ck2stages_other", "ck_moe_stage1", ())
    assert core.calls == []


def test_an_aiter_that_changed_is_a_jit_error(core: Core) -> None:
    with pytest.raises(jit.JitError, match="cmdGenFunc_ck_moe_stage2"):
        jit.build(samples.STOCK, "ck_moe_stage2", ())
    assert core.calls == []
