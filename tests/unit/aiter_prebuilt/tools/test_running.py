from __future__ import annotations

from pathlib import Path

import pytest

from aiter_prebuilt.tools import running

SITE = "/opt/venv/lib/python3.12/site-packages"
OURS = f"{SITE}/aiter_prebuilt/modules/module_moe_ck2stages_x__sound_1.abi3.so"
AITERS = f"{SITE}/aiter/jit/module_moe_ck2stages_y.so"


def fake(proc: Path, *files: str, env: bytes = b"") -> Path:
    folder = proc / "7"
    folder.mkdir()
    (folder / "environ").write_bytes(env)
    lines = (f"{n}-{n + 1} r-xp 0 00:01 {n}  {path}\n" for n, path in enumerate(files))
    (folder / "maps").write_text("".join(lines))
    package = Path(f"{folder}/root{SITE}/aiter")
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "_version.py").write_text("__version__ = '0.1.22'\n")
    return proc


def test_what_a_process_has(tmp_path: Path) -> None:
    env = b"AITER_PREBUILT=strict\0HIP_VISIBLE_DEVICES=3\0HOME=/root\0"
    found = running.look(7, fake(tmp_path, "/usr/lib/libc.so.6", OURS, AITERS, env=env))
    assert found.variables == {"AITER_PREBUILT": "strict", "HIP_VISIBLE_DEVICES": "3"}
    assert found.asked.mode == "strict"
    assert found.visible == (("HIP_VISIBLE_DEVICES", "3"),)
    assert (found.served, found.own) == ((OURS,), (AITERS,))
    assert (found.aiter, found.aiter_version) == (f"{SITE}/aiter", "0.1.22")


def test_its_aiter_lies_beside_its_torch(tmp_path: Path) -> None:
    found = running.look(7, fake(tmp_path, f"{SITE}/torch/lib/libtorch.so"))
    assert found.aiter == f"{SITE}/aiter"
    assert (found.served, found.own) == ((), ())


def test_nothing_tells_of_an_aiter(tmp_path: Path) -> None:
    assert running.look(7, fake(tmp_path, "/usr/lib/libc.so.6")).aiter is None


def test_a_module_that_was_replaced_since_counts_as_served(tmp_path: Path) -> None:
    assert running.look(7, fake(tmp_path, f"{OURS} (deleted)")).served == (f"{OURS} (deleted)",)


def test_no_such_process_or_no_right_to_look(tmp_path: Path) -> None:
    with pytest.raises(running.ProcessError, match="no process 8"):
        running.look(8, tmp_path)
    fake(tmp_path)
    (tmp_path / "7" / "environ").unlink()
    (tmp_path / "7" / "environ").mkdir()
    with pytest.raises(running.ProcessError, match="cannot be looked at"):
        running.look(7, tmp_path)
