"""The command: what it asks for, what it prints, how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from aiter_prebuilt.selftest import session
from aiter_prebuilt.selftest.device import DeviceFacts
from aiter_prebuilt.selftest.judge import Finding
from aiter_prebuilt.selftest.problems import Case
from aiter_prebuilt.selftest.report import KernelResult, LaunchResult, Timing
from aiter_prebuilt.selftest.worker import Task
from aiter_prebuilt.tools import cli, selftest
from aiter_prebuilt.wheel import store
from tests.unit.aiter_prebuilt import samples

DEVICE = DeviceFacts(
    index=0, name="MI350X", arch="gfx950", memory_bytes=1, library="/l", runtime_version=7,
    driver_version=7, emulator=None,
)  # fmt: skip


class World:
    """What the workers would say."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.codes: tuple[str, ...] = ()
        self.missing: dict[str, str] = {}

    def probe(self, kind: str, timeout: float) -> DeviceFacts:
        assert timeout > 0
        if kind in self.missing:
            raise session.MissingError(self.missing[kind])
        return DEVICE

    def run_all(
        self,
        cases: Sequence[Case],
        task: Task,
        *,
        jobs: int,
        timeout: float,
        on_done: Callable[[session.Done], None],
    ) -> list[session.Done]:
        assert jobs >= 1
        assert timeout > 0
        self.tasks.append(task)
        if task.kind in self.missing:
            raise session.MissingError(self.missing[task.kind])
        found = [self._done(case, task) for case in cases]
        for done in found:
            on_done(done)
        return found

    def _done(self, case: Case, task: Task) -> session.Done:
        findings = tuple(Finding(code=code, message=f"a {code}") for code in self.codes)
        launches = tuple(
            LaunchResult(way=way, elements=8, max_error=0.5, seconds=0.1, findings=findings)
            for way in task.ways
        )
        timing = Timing(
            module=case.module.name, kernel=case.name, shape="s", recipe="r",
            microseconds=10.0, repeats=9, aiter_microseconds=None,
        )  # fmt: skip
        result = KernelResult(
            module=case.module.name, kernel=case.name, symbol="s", stage=1, problem="p",
            launches=launches, seconds=0.2,
        )  # fmt: skip
        return session.Done(result=result, timings=(timing,) if task.timed else ())


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    shelf = store.Shelf(folder=Path("site"), manifest=samples.manifest(), reason=None)
    monkeypatch.setattr(store, "read_all", lambda *_: (shelf,))
    monkeypatch.setattr(session, "probe", made.probe)
    monkeypatch.setattr(session, "run_all", made.run_all)
    monkeypatch.setattr(selftest.hip, "is_installed", lambda _name: False)
    monkeypatch.setattr(selftest.contract, "locate", lambda: None)
    return made


def start(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, Any]]:
    code = cli.main(["selftest", "--json", *options])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["schema"] == cli.JSON_SCHEMA
    return code, found


def test_all_right(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = start(capsys)
    assert code == cli.OK
    assert found["proven"] is True
    assert found["package"]["modules"] == {samples.STOCK: "0" * 64}
    (task,) = world.tasks
    assert task.ways == ("null stream", "own stream", "graph", "graph replay")
    assert [one["state"] for one in found["passes"]] == ["run", "skipped", "skipped"]
    assert {"python", "kernel", "amdgpu", "machine"} == set(found["host"])


def test_quick(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    _, found = start(capsys, "--quick", "--seed=5")
    assert world.tasks[0].ways == ("null stream",)
    assert world.tasks[0].seed == found["seed"] == 5
    assert len(found["passes"]) == 1


@pytest.mark.parametrize(
    ("codes", "code"), [(("value",), cli.WRONG), (("hip",), cli.FOUND), (("hip", "nan"), cli.WRONG)]
)
def test_exit_codes(
    world: World, capsys: pytest.CaptureFixture[str], codes: tuple[str, ...], code: int
) -> None:
    world.codes = codes
    assert start(capsys)[0] == code


@pytest.mark.parametrize(
    "option", ["--jobs=0", "--jobs=-1", "--jobs=x", "--timeout=0", "--timeout=-1", "--timeout=nan"]
)
def test_options_that_would_run_nothing_are_refused(
    option: str, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = start(capsys, option)
    assert code == 2
    assert option.partition("=")[0] in found["error"]["message"]
    assert world.tasks == []


def test_no_device(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.missing["plain"] = "nothing was run: HIP finds gfx942, but no gfx950"
    assert cli.main(["selftest"]) == session.MissingError.exit_code == 6
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "aiter-prebuilt: nothing was run: HIP finds gfx942, but no gfx950\n"
    code, found = start(capsys)
    assert (code, found["error"]["kind"]) == (6, "MissingError")


def test_nothing_of_that_name(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["selftest", "--kernel=none"]) == cli.FAILED
    assert "no kernel of the 1 installed modules has 'none'" in capsys.readouterr().err
    assert world.tasks == []


def test_torch_and_aiter_each_add_a_launch(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selftest.hip, "is_installed", lambda _name: True)
    monkeypatch.setattr(selftest.contract, "locate", lambda: Path("aiter"))
    world.missing["aiter"] = "aiter cannot be imported"
    code, found = start(capsys)
    assert code == cli.OK
    assert [one["state"] for one in found["passes"]] == ["run", "run", "skipped"]
    assert found["passes"][2]["detail"] == "aiter cannot be imported"
    assert len(found["kernels"][0]["launches"]) == 5
    assert start(capsys, "--passes=aiter")[0] == cli.FOUND


def test_times_are_beside_those_of_aiters_builds(
    world: World,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("AITER_JIT_DIR", str(tmp_path))
    build = tmp_path / f"{samples.STOCK}.so"
    build.write_bytes(b"")
    start(capsys, "--time")
    assert (world.tasks[-1].kind, world.tasks[-1].own_builds) == ("plain", {})
    monkeypatch.setattr(selftest.hip, "is_installed", lambda _name: True)
    _, found = start(capsys, "--time")
    assert (world.tasks[-1].kind, world.tasks[-1].timed) == ("torch", True)
    assert world.tasks[-1].own_builds == {samples.STOCK: str(build)}
    assert found["timings"][0]["microseconds"] == 10.0


def test_text(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.codes = ("guard",)
    assert cli.main(["selftest", "--time", "--quick"]) == cli.WRONG
    captured = capsys.readouterr()
    assert "wrong: one.main_even of module_moe" in captured.out
    assert "null stream: a guard (guard)" in captured.out
    assert "10.0" in captured.out
    assert captured.out.splitlines()[-1].startswith("1 kernels: 1 wrong, largest error 0.500")
    assert "[1/1] plain: one.main_even wrong" in captured.err
