from __future__ import annotations

import os
from pathlib import Path
from typing import cast

import pytest

from prebuild.inspect import known
from prebuild.inspect.codeobject import KernelFacts
from prebuild.toolchain import Toolchain

FACTS = KernelFacts(
    symbol="k",
    target="amdgcn-amd-amdhsa--gfx950",
    vgprs=1,
    agprs=0,
    sgprs=2,
    lds_bytes=3,
    scratch_bytes=0,
    vgpr_spills=0,
    sgpr_spills=0,
    kernarg_bytes=8,
    code_bytes=4,
    opcodes={"s_endpgm": 1},
)
TOOLCHAIN = cast("Toolchain", None)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Which objects were disassembled."""
    seen: list[Path] = []

    def facts(path: Path, _toolchain: Toolchain) -> KernelFacts:
        seen.append(path)
        return FACTS

    monkeypatch.setattr(known, "kernel_facts", facts)
    return seen


def test_an_unchanged_object_is_read_once(tmp_path: Path, read: list[Path]) -> None:
    path = tmp_path / "k.co"
    path.write_bytes(b"ELF")
    assert known.known_facts(path, TOOLCHAIN) == known.known_facts(path, TOOLCHAIN) == FACTS
    assert read == [path]


def test_a_changed_object_is_read_again(tmp_path: Path, read: list[Path]) -> None:
    path = tmp_path / "k.co"
    path.write_bytes(b"ELF")
    known.known_facts(path, TOOLCHAIN)
    path.write_bytes(b"EL2")
    os.utime(path, ns=(1, 1))
    known.known_facts(path, TOOLCHAIN)
    assert read == [path, path]


@pytest.mark.parametrize("text", ["", "[]", '{"stamp": []}', '{"facts": {}}'])
def test_a_kept_file_that_does_not_fit_is_made_again(
    tmp_path: Path, read: list[Path], text: str
) -> None:
    path = tmp_path / "k.co"
    path.write_bytes(b"ELF")
    (tmp_path / "k.facts.json").write_text(text)
    assert known.known_facts(path, TOOLCHAIN) == FACTS
    assert known.known_facts(path, TOOLCHAIN) == FACTS
    assert read == [path]
