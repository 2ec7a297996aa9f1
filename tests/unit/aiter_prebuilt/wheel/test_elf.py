from __future__ import annotations

import _ctypes
import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiter_prebuilt.errors import ElfError
from aiter_prebuilt.wheel.elf import SharedObject, read_shared_object

SAMPLE = Path(_ctypes.__file__).read_bytes()
"""A real shared object that every CPython has."""


def read(data: bytes) -> SharedObject:
    return read_shared_object(lambda offset, size: data[offset : offset + size], len(data))


def test_a_real_shared_object() -> None:
    found = read(SAMPLE)
    assert "libc.so.6" in found.needed
    assert any(version.startswith("GLIBC_2.") for _, version in found.versions)
    assert found.fat_binary is None


@pytest.mark.parametrize("length", [0, 1, 4, 63, 64, 200, 1000, len(SAMPLE) // 2, len(SAMPLE) - 1])
def test_truncated(length: int) -> None:
    with pytest.raises(ElfError, match="truncated"):
        read(SAMPLE[:length])


@pytest.mark.parametrize(
    ("offset", "value", "what"),
    [
        (0, b"MZ", "expected an ELF file"),
        (4, b"\x01", "64-bit"),
        (5, b"\x02", "little-endian"),
        (16, b"\x02\x00", "expected a shared object"),
        (18, b"\xb7\x00", "x86-64"),
        (54, b"\x00\x01", "program headers"),
        (56, b"\xff\xff", "program headers"),
        (62, b"\xff\xff", "section headers"),
    ],
)
def test_a_wrong_header(offset: int, value: bytes, what: str) -> None:
    with pytest.raises(ElfError, match=what):
        read(SAMPLE[:offset] + value + SAMPLE[offset + len(value) :])


def test_a_read_that_comes_short_is_truncation() -> None:
    with pytest.raises(ElfError, match="truncated"):
        read_shared_object(lambda _, size: SAMPLE[: size - 1], len(SAMPLE))


@given(st.binary(max_size=4096))
@settings(max_examples=500)
def test_any_bytes_give_an_answer_or_an_elf_error(data: bytes) -> None:
    with contextlib.suppress(ElfError):  # anything else fails the test
        read(data)


@given(
    edits=st.lists(
        st.tuples(st.integers(0, len(SAMPLE) - 1), st.binary(min_size=1, max_size=8)),
        min_size=1,
        max_size=8,
    )
)
@settings(max_examples=500)
def test_a_damaged_object_gives_an_answer_or_an_elf_error(edits: list[tuple[int, bytes]]) -> None:
    data = bytearray(SAMPLE)
    for place, value in edits:
        data[place : place + len(value)] = value
    try:
        found = read(bytes(data[: len(SAMPLE)]))
    except ElfError:
        return
    assert all(isinstance(name, str) for name in found.needed)


@given(
    field=st.sampled_from([32, 40, 54, 56, 58, 60, 62]),
    value=st.integers(0, 2**64 - 1),
)
@settings(max_examples=500)
def test_hostile_header_fields_never_read_outside(field: int, value: int) -> None:
    width = 8 if field in (32, 40) else 2
    raw = struct.pack("<Q", value)[:width]
    data = SAMPLE[:field] + raw + SAMPLE[field + width :]
    asked: list[tuple[int, int]] = []

    def watched(offset: int, size: int) -> bytes:
        asked.append((offset, size))
        return data[offset : offset + size]

    with contextlib.suppress(ElfError):
        read_shared_object(watched, len(data))
    assert all(offset >= 0 and offset + size <= len(data) for offset, size in asked)
