from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from prebuild.compile.costs import Cost, CostBook
from prebuild.compile.units import Kind, Unit
from prebuild.release.reproduce import differences, file_sha256, seed_objects


def wheel(folder: Path, *, mode: int = 0o644, **members: str) -> Path:
    folder.mkdir()
    path = folder / "a.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, text)
    return path


def test_the_same_bytes_do_not_differ(tmp_path: Path) -> None:
    one, two = wheel(tmp_path / "1", a="x"), wheel(tmp_path / "2", a="x")
    assert differences(one, two) == []
    assert file_sha256(one) == file_sha256(two)


def test_members_that_differ_are_named(tmp_path: Path) -> None:
    one, two = wheel(tmp_path / "1", a="x", b="y"), wheel(tmp_path / "2", a="z", c="y")
    assert differences(one, two) == [
        "b is in one of them only",
        "c is in one of them only",
        "a differs",
    ]


def test_a_difference_of_the_archive_alone_is_found(tmp_path: Path) -> None:
    one, two = wheel(tmp_path / "1", a="x"), wheel(tmp_path / "2", mode=0o600, a="x")
    assert "structure" in differences(one, two)[0]


def unit(folder: Path, name: str, kind: Kind) -> Unit:
    path = folder / name[:2] / f"{name}.{'co' if kind == 'kernel' else 'o'}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(name)
    return Unit(
        id=name, kind=kind, source=path, include=(), flags=(), sources={}, key=name, object=path
    )


@pytest.mark.parametrize(("leave_out", "kept"), [(0, 3), (1, 2), (9, 0)])
def test_the_cheapest_kernels_and_all_host_objects_stay_out(
    tmp_path: Path, leave_out: int, kept: int
) -> None:
    names = ("aa-cheap", "bb-middle", "cc-dear")
    units = [unit(tmp_path / "cache", name, "kernel") for name in names]
    host = unit(tmp_path / "cache", "dd-host", "host")
    book = CostBook(tmp_path / "costs.json")
    seconds = (10.0, 20.0, 30.0)
    book.record({n: Cost(seconds=s, peak_bytes=1) for n, s in zip(names, seconds, strict=True)})
    assert seed_objects([host, *units], book, tmp_path / "own", leave_out) == kept
    found = sorted(path.stem for path in (tmp_path / "own").rglob("*.co"))
    assert found == sorted(names[len(names) - kept :])
    assert not list((tmp_path / "own").rglob("*.o"))
