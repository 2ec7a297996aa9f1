"""Memory and arguments of a launch; what is said where a module's own launch differs."""

from __future__ import annotations

import re
import struct

import numpy as np
import pytest

from prebuild.gfx950.launch import Launch
from prebuild.gfx950.memory import Memory
from prebuild.recording import LaunchRecord
from prebuild.verify import capture, launches
from prebuild.verify.problems import Batch, Kind, Problem, make_problem
from prebuild.verify.subject import Subject

DOWN = Batch.of(stage=2, tokens=40, topk=2, experts=4, n=64, k=1024, block_m=32)
UP = Batch.of(stage=1, tokens=40, topk=2, experts=4, n=64, k=1024, block_m=32)
TILE = launches.Tile(block_size=64, m=32, n=32, k=128, k1=16, bk1=16)


def test_grid_and_numbers() -> None:
    problem = make_problem(Kind.MX_FP4, DOWN)
    placed = launches.place(Memory(), problem)
    launch = launches.launch("k", TILE, problem.kind, problem.batch, placed, routed_weight=True)
    rows = 40 * 2 + 4 * 32 - 2
    assert launch.grid == (2, 7, 1)
    assert len(launch.kernarg) == 200
    numbers = struct.unpack_from("<22i", launch.kernarg, 16)
    assert numbers[:9] == (40, 2, rows, 64, 512, 512, 32, 512, 32)
    assert numbers[9:] == (1, 1, 0, 64, 1, 224, 64, 512, 512, 32, 32, 7, 2)
    pointers = struct.unpack_from("<11Q", launch.kernarg, 104)
    assert pointers[0] == placed.sorted_ids.base
    assert pointers[9:] == (placed.weights.base, placed.out.base)


def test_memory_is_the_same_in_every_process() -> None:
    first = launches.place(Memory(), make_problem(Kind.MX_FP4, DOWN))
    second = launches.place(Memory(), make_problem(Kind.MX_FP4, DOWN))
    assert (first.a.base, first.out.base) == (second.a.base, second.out.base)
    assert (first.b.data == second.b.data).all()


def test_outputs_begin_as_the_stage_wants_them() -> None:
    down = launches.place(Memory(), make_problem(Kind.MX_FP4, DOWN))
    assert not down.out.data.any()
    assert not down.out.shadow.any()
    up = launches.place(Memory(), make_problem(Kind.MX_FP4, UP))
    assert up.out.size == 40 * 2 * 64 * 2
    assert (up.out.shadow[: up.out.size] == 0xFF).all()


def record(changes: dict[int, int] | None = None, **others: object) -> tuple[LaunchRecord, Launch]:
    problem = make_problem(Kind.MX_FP4, DOWN)
    placed = launches.place(Memory(), problem)
    wanted = launches.launch("k", TILE, problem.kind, DOWN, placed, routed_weight=True)
    words = np.frombuffer(wanted.kernarg, np.int32).copy()
    for index, value in (changes or {}).items():
        words[index] = value
    fields = {
        "symbol": "k", "grid": wanted.grid, "block": wanted.block, "shared": 0, "stream": 0,
        "device": 0, "arguments": words.tobytes(), **others,
    }  # fmt: skip
    return LaunchRecord(**fields), wanted  # type: ignore[arg-type]


def judged(
    subject: Subject,
    found: list[LaunchRecord],
    wanted: Launch,
    cleared: tuple[int, int, int] | None = None,
) -> Subject:
    answer = capture.Answer(error="", launches=tuple(found))
    return capture._judge(subject, DOWN, answer, wanted, cleared)


def test_the_same_launch_is_taken(subject: Subject) -> None:
    found, wanted = record({0: 77})  # a host pointer at the head does not count
    result = judged(subject, [found], wanted)
    assert result.launch_problem == ""
    assert result.launches[DOWN.name()].kernarg == found.arguments


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


def test_what_has_to_be_cleared_is_cleared_and_nothing_else(subject: Subject) -> None:
    region = (0x1000, 512, 0)
    found, wanted = record(cleared=region)
    assert judged(subject, [found], wanted, region).launch_problem == ""
    said = "cleared (4096, 512, 0), expected None"
    assert said in judged(subject, [found], wanted).launch_problem
    bare, wanted = record()
    said = "cleared None, expected (4096, 512, 0)"
    assert said in judged(subject, [bare], wanted, region).launch_problem


SPLIT = Batch.of(stage=1, tokens=20, topk=2, experts=3, n=256, k=2048, block_m=16, parts=4)
BLOCK_TILE = launches.Tile(block_size=256, m=16, n=128, k=256, k1=16, bk1=16)


def test_a_split_k_has_a_workgroup_for_each_part_and_gate_and_up_side_by_side() -> None:
    problem = make_problem(Kind.FP8_BLOCK, SPLIT)
    placed = launches.place(Memory(), problem)
    launch = launches.launch(
        "k", BLOCK_TILE, problem.kind, problem.batch, placed, routed_weight=False
    )
    rows = 20 * 2 + 3 * 16 - 2
    assert launch.grid == (2 * 256 // 128, -(-rows // 16), 4)
    layout = launches.layout_of(Kind.FP8_BLOCK)
    values = struct.unpack_from(layout.format, launch.kernarg, launches.HEAD)
    found = dict(zip(layout.names, values, strict=True))
    # KBatch counts the steps of a part; what is read and padded is a part of K.
    assert found["KBatch"] == 2048 // 4 // 256
    assert (found["K"], found["KRead"], found["KPadded"]) == (2048, 512, 512)
    assert (found["AK0"], found["BK0"], found["StrideA"]) == (32, 32, 2048)
    assert (found["N"], found["NPadded"], found["NBlock"], found["StrideC"]) == (256, 256, 2, 512)


def test_the_sums_of_a_split_k_are_floats_that_begin_at_zero() -> None:
    problem = make_problem(Kind.FP8_BLOCK, SPLIT)
    placed = launches.place(Memory(), problem)
    assert placed.out.size == 20 * 2 * (2 * 256) * 4
    assert not placed.out.data.any()
    assert not placed.out.shadow.any()
    assert launches.cleared(problem, placed) == (placed.out.base, placed.out.size, 0)
    whole = make_problem(Kind.MX_FP4, DOWN)
    assert launches.cleared(whole, launches.place(Memory(), whole)) is None


def test_no_launch_at_all(subject: Subject) -> None:
    _, wanted = record()
    assert "0 launches" in judged(subject, [], wanted).launch_problem


def test_errors_and_warnings_of_the_module() -> None:
    assert "ValueError: no" in capture._error({"raised": "ValueError", "message": "no"})
    assert "unknown" in capture._error({"returned": None, "warnings": ["unknown"]})
    assert capture._error({"returned": None, "warnings": []}) == ""


def scale_bases(kind: Kind) -> tuple[Problem, launches.Placed, dict[str, int]]:
    batch = Batch.of(stage=1, tokens=20, topk=2, experts=3, n=128, k=256, block_m=16)
    problem = make_problem(kind, batch)
    placed = launches.place(Memory(), problem)
    tile = launches.Tile(block_size=128, m=16, n=128, k=128, k1=16, bk1=16)
    launch = launches.launch("k", tile, problem.kind, problem.batch, placed, routed_weight=False)
    layout = launches.layout_of(kind)
    values = struct.unpack_from(layout.format, launch.kernarg, 16)
    return problem, placed, dict(zip(layout.names, values, strict=True))


@pytest.mark.parametrize(
    ("kind", "size", "first", "second"),
    [
        (Kind.FP8_BLOCK, 168, "p_a_scale", "p_b_scale"),
        (Kind.FP8_ROW, 176, "p_d0", "p_d1"),
        (Kind.FP8_TENSOR, 176, "p_d0", "p_d1"),
    ],
)
def test_where_the_scales_of_other_kinds_go(kind: Kind, size: int, first: str, second: str) -> None:
    _, placed, fields = scale_bases(kind)
    assert launches.layout_of(kind).size == size
    assert placed.a_scale is not None
    assert placed.b_scale is not None
    assert (fields[first], fields[second]) == (placed.a_scale.base, placed.b_scale.base)


def test_operands_without_scales() -> None:
    _, placed, fields = scale_bases(Kind.BF16)
    assert placed.a_scale is None
    assert (fields["p_d0"], fields["p_d1"], fields["p_d2"]) == (0, 0, 0)
