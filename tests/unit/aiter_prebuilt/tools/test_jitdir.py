from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from aiter_prebuilt.tools import jitdir
from tests.unit.aiter_prebuilt.host.test_process import fake_proc

HERE = socket.gethostname()


@pytest.mark.parametrize(
    ("text", "made", "state", "told"),
    [
        (f"1\n{HERE}\n", 1500, "held", "process 1 builds"),
        (f"1\n{HERE}\n", 1050, "stale", "younger than the lock"),
        (f"1\n{HERE}\n", 900, "stale", "older than this machine's start"),
        (f"2\n{HERE}\n", 1500, "stale", "process 2 is gone"),
        ("1\nelsewhere\n", 900, "unknown", "host elsewhere"),
        ("", 900, "stale", "older than this machine's start"),
        ("", 1500, "stale", "no owner noted"),
    ],
)
def test_whether_a_locks_owner_can_be_alive(
    text: str, made: int, state: str, told: str, tmp_path: Path
) -> None:
    """The machine started at 1000, process 1 at 1100: in a container it is always there."""
    proc = fake_proc(tmp_path / "proc", starts={1: 100})
    lock = tmp_path / "lock_m"
    lock.write_text(text)
    os.utime(lock, (made, made))
    found = jitdir._lock(lock, proc)
    assert found.state == state
    assert told in found.detail
    assert ("remove the file" in found.detail) == (state == "stale" and "owner noted" not in told)


def test_an_aiter_that_rejects_other_gpus_is_known_by_its_source(tmp_path: Path) -> None:
    assert not jitdir._rejects_other_gpus(tmp_path)
    (tmp_path / "jit").mkdir()
    core = tmp_path / "jit" / "core.py"
    core.write_text("def get_module(name): ...\n")
    assert not jitdir._rejects_other_gpus(tmp_path)
    core.write_text("def _needs_arch_rebuild(md_name): ...\n")
    assert jitdir._rejects_other_gpus(tmp_path)


def test_a_file_that_is_no_module_names_no_target(tmp_path: Path) -> None:
    assert jitdir.targets_of(tmp_path / "gone.so") == frozenset()
    (tmp_path / "text.so").write_text("no ELF")
    assert jitdir.targets_of(tmp_path / "text.so") == frozenset()
