from __future__ import annotations

from pathlib import Path

import pytest

from prebuild.compile.memory import RESERVE, available_bytes, job_count

GIB = 1 << 30


@pytest.mark.parametrize(
    ("peaks", "cores", "gib", "jobs"),
    [
        ([2 * GIB] * 8, 4, 64, 4),
        ([2 * GIB] * 8, 4, 7, 3),
        ([4 * GIB, 4 * GIB, GIB], 4, 8, 2),
        ([4 * GIB] * 3, 2, 2, 1),
        ([], 2, 8, 1),
        ([GIB], 16, 64, 1),
    ],
)
def test_the_largest_compiles_fit_side_by_side(
    peaks: list[int], cores: int, gib: int, jobs: int
) -> None:
    available = gib * GIB + RESERVE
    assert job_count(peaks, cores=cores, available=available) == jobs


def _machine(tmp_path: Path, limit: str | None) -> int:
    (tmp_path / "meminfo").write_text("MemTotal: 99 kB\nMemAvailable:    1000 kB\n")
    if limit is not None:
        (tmp_path / "memory.max").write_text(limit)
        (tmp_path / "memory.current").write_text("100000\n")
    return available_bytes(proc=tmp_path, cgroup=tmp_path)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(None, 1024000), ("max\n", 1024000), ("300000\n", 200000), ("5\n", 0), ("9" * 18, 1024000)],
)
def test_a_cgroup_can_only_lower_what_is_there(
    tmp_path: Path, limit: str | None, expected: int
) -> None:
    assert _machine(tmp_path, limit) == expected
