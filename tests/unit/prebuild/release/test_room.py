from __future__ import annotations

from pathlib import Path

import pytest

from prebuild.core import proc
from prebuild.release import room
from prebuild.release.engine import ContainerError
from prebuild.release.matrix import Disk


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """A disk with 20 GB free, and 15 more for each folder that goes; holds what was removed."""
    gone: list[str] = []
    monkeypatch.setattr(proc, "run", lambda command, **_: gone.append(str(command[-1])) or b"")
    monkeypatch.setattr(room, "free_gb", lambda _place: 20.0 + 15.0 * len(gone))
    for name in ("android", "dotnet", "ghc"):
        (tmp_path / name).mkdir()
    return gone


def disk(folder: Path, needs: int) -> Disk:
    return Disk(
        needs_gb=needs,
        removable=tuple(str(folder / name) for name in ("absent", "android", "dotnet", "ghc")),
    )


def test_where_there_is_enough_nothing_goes(machine: list[str], tmp_path: Path) -> None:
    said: list[str] = []
    room.make_room(disk(tmp_path, 20), tmp_path, hosted=True, say=said.append)
    assert machine == []
    assert said == [f"20.0 GB free where images lie ({tmp_path}), 20 GB needed"]


def test_a_hosted_runner_loses_as_much_as_it_takes(machine: list[str], tmp_path: Path) -> None:
    said: list[str] = []
    room.make_room(disk(tmp_path, 40), tmp_path, hosted=True, say=said.append)
    assert machine == [str(tmp_path / "android"), str(tmp_path / "dotnet")]
    assert said[-1] == f"50.0 GB free without {tmp_path / 'dotnet'}"


def test_ones_own_machine_loses_nothing(machine: list[str], tmp_path: Path) -> None:
    with pytest.raises(ContainerError, match=r"20\.0 GB are free .* nothing was removed"):
        room.make_room(disk(tmp_path, 40), tmp_path, hosted=False, say=lambda _: None)
    assert machine == []


def test_where_it_never_fits_the_figures_and_the_ways_out_are_said(
    machine: list[str], tmp_path: Path
) -> None:
    with pytest.raises(ContainerError) as caught:
        room.make_room(disk(tmp_path, 90), tmp_path, hosted=True, say=lambda _: None)
    assert len(machine) == 3
    assert "65.0 GB are free" in str(caught.value)
    assert "90 GB are needed; 3 folders were removed" in str(caught.value)
    assert "came by pip" in str(caught.value)


def test_a_folder_that_is_not_there_yet_has_the_room_of_its_parent(tmp_path: Path) -> None:
    assert room.free_gb(tmp_path / "a" / "b") > 0
