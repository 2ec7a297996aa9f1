from __future__ import annotations

import _ctypes
import shutil
from pathlib import Path

import pytest

from prebuild.harvest import read as reading
from prebuild.harvest.read import HarvestError, Source, harvest


@pytest.fixture
def source(tmp_path: Path) -> Source:
    jit, csrc = tmp_path / "jit", tmp_path / "csrc"
    jit.mkdir()
    csrc.mkdir()
    (csrc / "a.cu").write_text("// source")
    return Source(jit_dir=jit, aiter=tmp_path / "aiter", csrc=csrc)


def test_without_sources_nothing_can_be_bound(source: Source) -> None:
    shutil.rmtree(source.csrc)
    with pytest.raises(HarvestError, match="AITER's sources"):
        harvest(source)


def test_a_library_that_is_no_module_of_that_name(source: Source) -> None:
    shutil.copy(_ctypes.__file__, source.jit_dir / "module_x.so")
    with pytest.raises(HarvestError, match="PyInit_module_x"):
        harvest(source)


def test_only_aiters_names_are_taken_unless_asked(source: Source) -> None:
    shutil.copy(_ctypes.__file__, source.jit_dir / "_ctypes.so")
    with pytest.raises(HarvestError, match="holds no modules"):
        harvest(source)


def test_the_python_that_the_file_tells(source: Source) -> None:
    path = source.jit_dir / "module_x.so"
    path.write_bytes(b"..\0003.12\0..3.9..")
    assert reading._python(path, source) == "3.12"
    path.write_bytes(b"\0003.12\0 \0003.13\0")  # two: neither is believed
    assert reading._python(path, source) is None


def test_the_python_that_aiters_build_file_tells(source: Source) -> None:
    path = source.jit_dir / "module_x.so"
    path.write_bytes(b"")
    ninja = source.jit_dir / "build" / "module_x" / "build" / "build.ninja"
    ninja.parent.mkdir(parents=True)
    ninja.write_text("cflags = -isystem /usr/include/python3.11 -I/opt/include/python3.11/x\n")
    assert reading._python(path, source) == "3.11"
