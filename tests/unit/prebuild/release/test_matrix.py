from __future__ import annotations

from pathlib import Path

import pytest

from prebuild.core.project import Project
from prebuild.release.matrix import MatrixError, jobs, read_matrix
from prebuild.wheel.judges import HIP_RUNTIME

GOOD = f"""
[aiter]
release = "v1"
commit = "{"a" * 40}"
repository = "https://host.example/aiter"
[ck]
commit = "{"c" * 40}"
repository = "https://host.example/ck"
[disk]
needs_gb = 40
removable = ["/opt/ghc"]
[wheel]
shards = 2
[[major]]
rocm = 7
hip_runtime = "libamdhip64.so.7"
build = "7.2"
[[minor]]
rocm = "7.0"
image = "a"
[[minor]]
rocm = "7.2"
image = "b"
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "matrix.toml"
    path.write_text(text)
    return path


def test_a_wheel_is_compiled_in_shards_and_proven_on_each_minor(tmp_path: Path) -> None:
    made = jobs(read_matrix(write(tmp_path, GOOD)))
    assert [job["shard"] for job in made["compile"]["include"]] == ["1/2", "2/2"]
    assert {job["image"] for job in made["compile"]["include"]} == {"b"}
    assert made["wheel"]["include"] == [{"major": 7, "rocm": "7.2", "image": "b"}]
    assert [job["rocm"] for job in made["prove"]["include"]] == ["7.0", "7.2"]


def test_the_projects_own_matrix_is_good() -> None:
    matrix = read_matrix(Project.here().matrix)
    assert {minor.rocm for minor in matrix.minors} >= {"7.0", "7.1", "7.2"}
    assert [major.hip_runtime for major in matrix.majors] == [HIP_RUNTIME]


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    text = GOOD.replace('build = "7.2"', 'build = "7.9"').replace('"7.0"', '"8.0"')
    with pytest.raises(MatrixError) as caught:
        read_matrix(write(tmp_path, text))
    assert "built with 7.9" in str(caught.value)
    assert "minor 8.0 belongs to no major" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("shards = 2", "shards = 0", "wheel.shards"),
        ('rocm = "7.0"', 'rocm = "seven"', "minor.0.rocm"),
        ('"libamdhip64.so.7"', '"libamdhip64.so.6"', "runtime libamdhip64.so.6"),
        ('rocm = "7.0"', 'rocm = "7.2"', "minor 7.2 stands twice"),
        ("[wheel]", "[wheels]", "wheels"),
        ("shards = 2", "shards =", "matrix.toml"),
        ("needs_gb = 40", "needs_gb = 0", "disk.needs_gb"),
        ('"/opt/ghc"', '"/opt"', "disk.removable"),
        ('"/opt/ghc"', '"/opt/ghc/../../home"', "disk.removable"),
        (f'"{"c" * 40}"', '"c0ffee"', "ck.commit"),
        ('release = "v1"', "", "aiter.release"),
    ],
)
def test_each_defect_is_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(MatrixError, match=words):
        read_matrix(write(tmp_path, GOOD.replace(old, new, 1)))
