from __future__ import annotations

import sys
from pathlib import Path

import pytest

from prebuild.core.elffile import DamagedFileError, read_elf
from prebuild.inspect.elf import elf_facts


@pytest.mark.parametrize("size", [0, 3, 40, 5000])
def test_a_cut_file_is_named_and_what_to_do(size: int, tmp_path: Path) -> None:
    path = tmp_path / "cut.so"
    path.write_bytes(Path(sys.executable).resolve().read_bytes()[:size])
    with pytest.raises(DamagedFileError, match=r"cut\.so is cut short or damaged .*, remove it"):
        elf_facts(path)


def test_a_whole_one_is_read() -> None:
    assert read_elf(Path(sys.executable).resolve(), lambda elf: elf["e_machine"]) == "EM_X86_64"
