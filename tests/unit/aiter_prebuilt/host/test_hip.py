from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiter_prebuilt.host import hip

MAPS = """\
7f00-7f01 r-xp 00000000 08:01 100 {a}
7f01-7f02 r--p 00001000 08:01 100 {a}
7f02-7f03 r-xp 00000000 08:01 200 {b}
7f03-7f04 r-xp 00000000 08:01 300 /opt/rocm/lib/libamdhip64.so.notes
7f04-7f05 rw-p 00000000 00:00 0
7f05-7f06 r-xp 00000000 08:01 400 /usr/lib/libc.so.6
"""


def test_one_copy_an_inode(tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    maps.write_text(MAPS.format(a="/x y/libamdhip64.so.7.2.5", b="/z/libamdhip64.so (deleted)"))
    found = hip.mapped_copies(maps)
    assert [copy.path for copy in found] == ["/x y/libamdhip64.so.7.2.5", "/z/libamdhip64.so"]
    assert [copy.soname for copy in found] == [None, None]


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("libamdhip64.so", True),
        ("libamdhip64.so.7", True),
        ("libamdhip64.so.7.2.53211", True),
        ("libamdhip64-3fa2b1c0.so.7", True),  # renamed by a wheel repairer
        ("libamdhip64.so.debug", False),
        ("notlibamdhip64.so.7", False),
        ("libhsa-runtime64.so.1", False),
    ],
)
def test_which_files_are_hip_runtimes(name: str, is_one: bool) -> None:
    assert hip._is_runtime(f"/some/where/{name}") == is_one


def test_no_maps(tmp_path: Path) -> None:
    assert hip.mapped_copies(tmp_path / "none") == ()


def test_library_path_first_in_order(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "libx.so.1").touch()
    folders = (str(tmp_path / "none"), str(tmp_path / "b"), str(tmp_path / "a"))
    found = hip.find_library("libx.so.1", folders)
    assert found == hip.HipCopy(path=str(tmp_path / "b" / "libx.so.1"), soname=None)


def test_the_linkers_own_cache_knows_the_c_library() -> None:
    found = hip.find_library("libc.so.6", ())
    assert found is not None
    assert found.soname == "libc.so.6"


def _cache(*entries: tuple[int, str, str]) -> bytes:
    strings, table = b"", b""
    start = 48 + 24 * len(entries)
    for flags, name, path in entries:
        key = start + len(strings)
        strings += name.encode() + b"\0"
        table += struct.pack("<iIIIQ", flags, key, start + len(strings), 0, 0)
        strings += path.encode() + b"\0"
    head = b"glibc-ld.so.cache1.1" + struct.pack("<II", len(entries), len(strings))
    return head.ljust(48, b"\0") + table + strings


def test_the_cache_is_read_by_name_and_kind(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.write_bytes(
        b"old format"
        + _cache((0x0003, "l.so", "/32"), (0x0303, "l.so", "/64"), (0x0303, "m.so", "/m"))
    )
    assert list(hip._cached("l.so", cache)) == ["/64"]


@given(st.binary(max_size=200), st.integers(0, 150))
def test_a_damaged_cache_is_harmless(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, cut: int
) -> None:
    cache = tmp_path_factory.getbasetemp() / "damaged"
    cache.write_bytes(_cache((0x0303, "l.so", "/64"))[:cut] + data)
    assert all(isinstance(path, str) for path in hip._cached("l.so", cache))


def test_torch_is_pending_only_where_it_is_installed_and_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hip, "mapped_copies", lambda: ())
    monkeypatch.setattr(hip, "is_installed", lambda name: name == "torch")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert hip.gather("libamdhip64.so.7", (str(tmp_path),)).torch_pending
    monkeypatch.setitem(sys.modules, "torch", sys)
    assert not hip.gather("libamdhip64.so.7", (str(tmp_path),)).torch_pending


def test_an_emulator_is_known_by_its_library(tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    line = "7f0000000000-7f0000001000 r-xp 00000000 08:01 77 "
    maps.write_text(f"{line}/rocjitsu/libc.so.6\n")
    assert hip.emulator(maps) is None
    maps.write_text(f"{line}/lib/libc.so.6\n{line}/lib/librocjitsu_kmd.so\n")
    assert hip.emulator(maps) == "/lib/librocjitsu_kmd.so"
    assert hip.emulator(tmp_path / "none") is None
