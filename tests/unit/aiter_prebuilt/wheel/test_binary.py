from __future__ import annotations

import _ctypes
import hashlib
import os
from pathlib import Path

import pytest

from aiter_prebuilt.errors import BinaryError
from aiter_prebuilt.wheel import binary
from aiter_prebuilt.wheel.elf import read_shared_object
from aiter_prebuilt.wheel.manifest import Module
from tests.unit.aiter_prebuilt import samples

HOST = (2, 99)


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def library(tmp_path: Path) -> Path:
    path = tmp_path / "library.so"
    path.write_bytes(Path(_ctypes.__file__).read_bytes())
    return path


def _module(path: Path, **changes: object) -> Module:
    data = path.read_bytes()
    found = read_shared_object(lambda at, size: data[at : at + size], len(data))
    values: dict[str, object] = {
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "needed": found.needed,
        "gfx_targets": (),
    }
    return samples.module(**{**values, **changes})


def test_a_sound_file_is_open_until_it_is_dropped(library: Path) -> None:
    before = _open_files()
    checked = binary.check(_module(library), library, HOST)
    assert b"".join(checked.chunks()) == library.read_bytes()
    assert _open_files() == before + 1
    del checked
    assert _open_files() == before


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"size": 1}, "size"),
        ({"sha256": "0" * 64}, "sha256"),
        ({"needed": ("libc.so.6",)}, "elf-needed"),
        ({"gfx_targets": ("gfx950",)}, "bundle-missing"),
    ],
)
def test_each_difference_has_its_code_and_leaves_nothing_open(
    changes: dict[str, object], code: str, library: Path
) -> None:
    before = _open_files()
    with pytest.raises(BinaryError) as caught:
        binary.check(_module(library, **changes), library, HOST)
    assert caught.value.code == code
    assert _open_files() == before


@pytest.mark.parametrize("host", [(2, 2), None])
def test_an_older_c_library(host: tuple[int, int] | None, library: Path) -> None:
    with pytest.raises(BinaryError, match=r"GLIBC_2\.") as caught:
        binary.check(_module(library), library, host)
    assert caught.value.code == "elf-glibc"


def test_a_write_after_the_check_is_noticed_before_the_load(library: Path) -> None:
    checked = binary.check(_module(library), library, HOST)
    data = bytearray(library.read_bytes())
    status = library.stat()
    with library.open("r+b") as file:
        file.write(data)  # same content, same size: the change time alone tells
    os.utime(library, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(BinaryError) as caught:
        checked.load()
    assert caught.value.code == "changed"


def test_a_path_replaced_after_the_check_changes_nothing(library: Path) -> None:
    content = library.read_bytes()
    checked = binary.check(_module(library), library, HOST)
    other = library.with_suffix(".new")
    other.write_text("another file")
    other.replace(library)
    assert b"".join(checked.chunks()) == content


def test_the_linker_gets_a_new_name_each_time() -> None:
    first, second = binary._unique_path(7), binary._unique_path(7)
    assert first != second
    assert os.path.normpath(first) == os.path.normpath(second) == "/proc/self/fd/7"


@pytest.mark.parametrize(
    ("need", "expected"),
    [
        ("GLIBC_2.28", (2, 28)),
        ("GLIBC_2.2.5", (2, 2)),
        ("CXXABI_1.3", None),
        ("GLIBCXX_3.4.30", None),
        ("hip_4.2", None),
    ],
)
def test_version_needs(need: str, expected: tuple[int, int] | None) -> None:
    assert binary._glibc_of(need) == expected


def test_a_mark_of_the_linker_counts_as_its_glibc() -> None:
    assert binary._GLIBC_MARKS["GLIBC_ABI_DT_RELR"] == (2, 36)
