"""Every fault of the matrix, with a real shared object in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aiter_prebuilt.reason import CODES
from aiter_prebuilt.wheel.elf import _EHDR, _SHDR
from tests.integration.runtime import sitemaker as make
from tests.integration.runtime.faults import FAULTS, Fault, Stage, updated

Run = Callable[..., dict[str, Any]]


def _listing(site: Path) -> set[str]:
    return {
        str(path.relative_to(site))
        for path in site.rglob("*")
        if not path.relative_to(site).as_posix().startswith(("aiter/jit/",))
    }


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_auto_takes_the_right_path(fault: Fault, stage: Stage, run: Run) -> None:
    fault.breaks(stage)
    before = _listing(stage.site)
    result = run()
    assert result["answer"] is not None, result
    assert result["answer"].partition(":")[0] == fault.takes, result
    assert fault.code in ("", *result["events"]), result
    served = fault.takes == "prebuilt" or fault.code == "uncovered"
    assert ("served" in result["events"]) == served, result
    assert _listing(stage.site) == before, "something was left behind"
    assert len(result["runtimes"]) <= (2 if fault.code == "hip-two" else 1)


@pytest.mark.parametrize(
    "fault",
    [fault for fault in FAULTS if fault.name not in ("off", "setting")],
    ids=lambda fault: fault.name,
)
def test_strict_gives_an_error_instead_of_a_compile(fault: Fault, stage: Stage, run: Run) -> None:
    stage.env["AITER_PREBUILT"] = "strict"
    fault.breaks(stage)
    result = run()
    if fault.strict == "same":
        assert result["answer"].partition(":")[0] == fault.takes, result
    elif fault.code == "uncovered":
        assert result["error"] == "UncoveredShapeError", result
        assert "AITER_PREBUILT=strict" in result["message"]
    else:
        assert result["error"] == "StrictMissError", result
        assert make.STOCK in result["message"]
        assert f"({fault.code})" in result["message"], result


def test_every_code_of_the_matrix_is_a_documented_one() -> None:
    notes = {"", "served", "setting", "uncovered"}
    assert {fault.code for fault in FAULTS} - notes <= set(CODES)


def test_truncated_at_many_lengths(stage: Stage, run: Run) -> None:
    whole = stage.module.read_bytes()
    pages = range(0, len(whole), 4096)
    lengths = {0, 1, 63, 64, len(whole) - 1, len(whole) - 100, *pages}
    for length in sorted(lengths):
        stage.module.write_bytes(whole[:length])
        result = run(STANDIN_BUILDS="")
        assert result["events"] == ["size"], (length, result)
        assert result["error"] == "RuntimeError", "the stand-in's JIT was not asked"


def test_truncated_and_described_as_such_is_caught_by_the_elf_reader(
    stage: Stage, run: Run
) -> None:
    whole = stage.module.read_bytes()
    for length in sorted({1, 64, 1000, len(whole) // 2, len(whole) - 1, len(whole) - 4096}):
        stage.module.write_bytes(whole[:length])
        stage.describe()
        assert run(STANDIN_BUILDS="")["events"] == ["elf"], length


def test_one_flipped_bit_in_each_section(stage: Stage, run: Run) -> None:
    whole = stage.module.read_bytes()
    header = _EHDR.unpack_from(whole)
    sections = [
        _SHDR.unpack_from(whole, header[6] + index * _SHDR.size) for index in range(header[12])
    ]
    places = [section[4] + section[5] // 2 for section in sections if section[1] not in (0, 8)]
    assert len(places) > 20
    for place in [10, *places]:
        damaged = bytearray(whole)
        damaged[min(place, len(whole) - 1)] ^= 0x10
        stage.module.write_bytes(damaged)
        assert run(STANDIN_BUILDS="")["events"] == ["sha256"], place


def test_same_size_rewrite_with_the_old_times_is_caught(stage: Stage, run: Run) -> None:
    """No stamp of size and mtime saves the hashing, so none can be forged."""
    assert run()["answer"].startswith("prebuilt:")
    status = stage.module.stat()
    data = bytearray(stage.module.read_bytes())
    data[len(data) // 2] ^= 1
    stage.module.write_bytes(data)
    os.utime(stage.module, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert "sha256" in run()["events"]


def test_torch_brings_the_only_runtime(stage: Stage, run: Run) -> None:
    from tests.integration.runtime.faults import torch

    runtime = torch(stage)
    result = run()
    assert result["answer"].startswith("prebuilt:")
    assert result["runtimes"] == [str(runtime)], "the linker's own copy was mapped beside torch's"


def test_the_table_for_operators_is_current() -> None:
    text = (make.ROOT / "docs" / "operations.md").read_text()
    assert updated(text) == text, (
        "make it anew: python -m tests.integration.runtime.faults docs/operations.md"
    )
