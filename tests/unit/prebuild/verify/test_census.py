"""Which instructions occur: each kernel's own code alone, kernels counted, not occurrences."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from prebuild.gfx950.disassembly import Instruction, parse_line
from prebuild.verify import census as module
from prebuild.verify.subject import Subject

LINES = ("s_nop 0", "v_add_f32_e32 v0, v1, v2", "v_add_f32_e32 v0, v1, v2", "s_endpgm", "s_sleep 1")


@pytest.fixture
def disassembled(monkeypatch: pytest.MonkeyPatch) -> None:
    """One code object: its kernel is the first four of five instructions."""

    def parse(_text: str) -> Mapping[int, Instruction]:
        return {4 * at: parse_line(line, 4 * at, ["0"]) for at, line in enumerate(LINES)}

    kernel = SimpleNamespace(entry=0, size=16)
    code = SimpleNamespace(kernels={"kernel": kernel})
    monkeypatch.setattr(module.codeobject, "parse", lambda _data: code)
    monkeypatch.setattr(module.disassembly, "disassemble", lambda _data, _objdump: "")
    monkeypatch.setattr(module.disassembly, "parse", parse)


@pytest.mark.usefixtures("disassembled")
def test_kernels_are_counted_and_what_lies_behind_them_is_not(subject: Subject) -> None:
    counts = module.census([subject, subject], Path("objdump"))
    assert counts == {"s_nop": 2, "v_add_f32_e32": 2, "s_endpgm": 2}


def test_the_list_can_be_read_back() -> None:
    text = module.as_toml(Counter({"v_add_f32_e32": 1, "s_nop": 3}), 3)
    assert tomllib.loads(text) == {"of": 3, "kernels": {"s_nop": 3, "v_add_f32_e32": 1}}
    assert text.index("s_nop") < text.index("v_add")
