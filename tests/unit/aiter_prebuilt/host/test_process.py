from __future__ import annotations

import os
from pathlib import Path

import pytest

from aiter_prebuilt.host import process


def fake_proc(folder: Path, *, boot: int = 1000, starts: dict[int, int] | None = None) -> Path:
    """A /proc whose machine started at ``boot``, processes so many seconds later."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stat").write_text(f"cpu  1 2 3\nbtime {boot}\n")
    for pid, seconds in (starts or {}).items():
        (folder / str(pid)).mkdir(exist_ok=True)
        ticks = seconds * os.sysconf("SC_CLK_TCK")
        fields = ["S", *["0"] * 18, str(ticks), "0"]
        (folder / str(pid) / "stat").write_text(f"{pid} (a (strange) name) {' '.join(fields)}\n")
    return folder


def test_when_a_process_and_the_machine_began(tmp_path: Path) -> None:
    proc = fake_proc(tmp_path, starts={7: 50})
    assert process.booted(proc) == 1000
    assert process.started(7, proc) == 1050
    assert process.started(8, proc) is None


def test_this_process_is_younger_than_the_machine() -> None:
    began, boot = process.started(os.getpid()), process.booted()
    assert began is not None
    assert boot is not None
    assert began >= boot


@pytest.mark.parametrize("text", ["", "7 (x) S 1", "no brackets"])
def test_a_proc_that_says_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "stat").write_text(text)
    assert process.booted(tmp_path) is None
    assert process.started(7, tmp_path) is None


def test_environment_and_mapped_files(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "environ").write_bytes(b"A=1\0B=x=y\0broken\0")
    (tmp_path / "7" / "maps").write_text(
        "1-2 r--p 0 00:01 5  /a/lib one.so\n2-3 r-xp 0 00:01 5  /a/lib one.so\n"
        "3-4 rw-p 0 00:00 0\n4-5 rw-p 0 00:00 0  [heap]\n5-6 r--p 0 00:01 6  /b.so (deleted)\n"
    )
    assert process.environment(7, tmp_path) == {"A": "1", "B": "x=y"}
    assert process.mapped_files(7, tmp_path) == ("/a/lib one.so", "/b.so (deleted)")
    with pytest.raises(FileNotFoundError):
        process.environment(8, tmp_path)
