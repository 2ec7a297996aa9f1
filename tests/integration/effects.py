"""Scripts for the recording runtime: what each kernel writes, right or wrong, byte by byte."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import ml_dtypes
import numpy as np

from aiter_prebuilt.selftest.cases import cases_of
from aiter_prebuilt.selftest.problems import Case, Problem, make_problem
from aiter_prebuilt.selftest.reference import expect
from aiter_prebuilt.wheel.manifest import Manifest
from prebuild.verify.launches import HEAD, layout_of
from prebuild.verify.problems import Kind

ARGUMENT_BYTES = 256
_OUT = {"b16": ml_dtypes.bfloat16, "f16": np.float16}


@dataclass(frozen=True, kw_only=True)
class Write:
    """Bytes that a kernel writes, behind one of its pointers."""

    pointer: str
    at: int
    data: bytes


def cases_in(manifest: Manifest) -> list[Case]:
    return [case for module in manifest.modules for case in cases_of(module)]


def right_output(problem: Problem) -> bytes:
    """The reference's values, rounded to the output's type."""
    values = np.array(expect(problem).values)
    with np.errstate(over="ignore"):  # what may be infinite or not
        return values.astype(_OUT[problem.features.c_dtype]).tobytes()


def right(case: Case, seed: int = 1) -> list[Write]:
    return [Write(pointer="p_c", at=0, data=right_output(make_problem(case, seed)))]


def write_script(path: Path, scripted: Iterable[tuple[Case, Sequence[Write]]]) -> None:
    """Write the lines that ``device.c`` reads; the kernels are those of MX operands."""
    layout = layout_of(Kind.MX_FP4)
    offsets = {
        name: HEAD + struct.calcsize(f"<{len(layout.numbers)}i") + 8 * index
        for index, name in enumerate(layout.pointers)
    }
    lines = [
        f"{case.kernel.symbol} {offsets[write.pointer]} {write.at} {write.data.hex()}\n"
        for case, writes in scripted
        for write in writes
    ]
    path.write_text("".join(lines))
