"""Memory and arguments of an MX launch; what is said where a module's own launch differs."""

from __future__ import annotations

import re
import struct
from dataclasses import replace

import numpy as np
import pytest

from prebuild.gfx950.memory import Memory
from prebuild.recording import LaunchRecord
from prebuild.verify import capture, mxmoe
from prebuild.verify.problems import Shape, fp4_problem
from prebuild.verify.subject import Subject

SHAPE = Shape(stage=2, tokens=40, topk=2, experts=4, n=64, k=1024, block_m=32)
TILE = mxmoe.Tile(block_size=64, m=32, n=32, k_bytes=128)


def test_grid_and_numbers() -> None:
    problem = fp4_problem(SHAPE)
    placed = mxmoe.place(Memory(), problem)
    launch = mxmoe.launch("k", TILE, problem, placed)
    rows = 40 * 2 + 4 * 32 - 2
    assert launch.grid == (2, 7, 1)
    assert len(launch.kernarg) == mxmoe.ARGUMENT_BYTES
    numbers = struct.unpack_from("<22i", launch.kernarg, 16)
    assert numbers[:9] == (40, 2, rows, 64, 512, 512, 32, 512, 32)
    assert numbers[9:] == (1, 1, 0, 64, 1, 224, 64, 512, 512, 32, 32, 7, 2)
    pointers = struct.unpack_from("<11Q", launch.kernarg, 104)
    assert pointers[0] == placed.sorted_ids.base
    assert pointers[9:] == (placed.weights.base, placed.out.base)


def test_memory_is_the_same_in_every_process() -> None:
    first = mxmoe.place(Memory(), fp4_problem(SHAPE))
    second = mxmoe.place(Memory(), fp4_problem(SHAPE))
    assert (first.a.base, first.out.base) == (second.a.base, second.out.base)
    assert (first.b.data == second.b.data).all()


def test_outputs_begin_as_the_stage_wants_them() -> None:
    down = mxmoe.place(Memory(), fp4_problem(SHAPE))
    assert not down.out.data.any()
    assert not down.out.shadow.any()
    up = mxmoe.place(Memory(), fp4_problem(replace(SHAPE, stage=1)))
    assert up.out.size == 40 * 2 * 64 * 2
    assert (up.out.shadow[: up.out.size] == 0xFF).all()


def record(
    changes: dict[int, int] | None = None, **others: object
) -> tuple[LaunchRecord, mxmoe.Launch]:
    problem = fp4_problem(SHAPE)
    wanted = mxmoe.launch("k", TILE, problem, mxmoe.place(Memory(), problem))
    words = np.frombuffer(wanted.kernarg, np.int32).copy()
    for index, value in (changes or {}).items():
        words[index] = value
    fields = {
        "symbol": "k", "grid": wanted.grid, "block": wanted.block, "shared": 0, "stream": 0,
        "device": 0, "arguments": words.tobytes(), **others,
    }  # fmt: skip
    return LaunchRecord(**fields), wanted  # type: ignore[arg-type]


def judged(subject: Subject, found: list[LaunchRecord], wanted: mxmoe.Launch) -> Subject:
    answer = capture.Answer(error="", launches=tuple(found))
    return capture._judge(subject, SHAPE, answer, wanted)


def test_the_same_launch_is_taken(subject: Subject) -> None:
    found, wanted = record({0: 77})  # a host pointer at the head does not count
    result = judged(subject, [found], wanted)
    assert result.launch_problem == ""
    assert result.launches[SHAPE.name()].kernarg == found.arguments


@pytest.mark.parametrize(
    ("changes", "others", "said"),
    [
        ({4 + 3: 65}, {}, "N 65, expected 64"),
        ({4 + 13: 2}, {}, "KBatch 2, expected 1"),
        ({26: 5}, {}, "p_sorted_token_ids"),
        ({}, {"grid": (2, 6, 1)}, r"grid \(2, 6, 1\), expected \(2, 7, 1\)"),
        ({}, {"symbol": "other"}, "launched other"),
    ],
)
def test_differences_are_named(
    subject: Subject, changes: dict[int, int], others: dict[str, object], said: str
) -> None:
    found, wanted = record(changes, **others)
    problem = judged(subject, [found], wanted).launch_problem
    assert re.search(said, problem)


def test_no_launch_at_all(subject: Subject) -> None:
    _, wanted = record()
    assert "0 launches" in judged(subject, [], wanted).launch_problem


def test_errors_and_warnings_of_the_module() -> None:
    assert "ValueError: no" in capture._error({"raised": "ValueError", "message": "no"})
    assert "unknown" in capture._error({"returned": None, "warnings": ["unknown"]})
    assert capture._error({"returned": None, "warnings": []}) == ""
