from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import pytest

from aiter_prebuilt.selftest import device
from aiter_prebuilt.selftest.device import Hip, HipError, NoDeviceError, find, load


def library(**functions: Any) -> Any:
    values: dict[str, Any] = {"hipGetErrorString": lambda _code: b"out of order"}
    return SimpleNamespace(**{**values, **functions})


def counts(count: int) -> Any:
    def run(pointer: Any) -> int:
        pointer._obj.value = count
        return 0

    return run


def properties(*archs: str) -> Any:
    def run(raw: Any, index: int) -> int:
        ctypes.memmove(ctypes.byref(raw, 0), b"MI350X\0", 7)
        ctypes.memmove(ctypes.byref(raw, 1160), archs[index].encode() + b"\0", 30)
        ctypes.memmove(ctypes.byref(raw, 288), (1 << 38).to_bytes(8, "little"), 8)
        return 0

    return run


def host(*archs: str, **functions: Any) -> Hip:
    made = library(
        hipGetDeviceCount=counts(len(archs)),
        hipGetDevicePropertiesR0600=properties(*(arch.ljust(29, "\0") for arch in archs)),
        hipSetDevice=lambda _index: 0,
        hipRuntimeGetVersion=counts(70200000),
        hipDriverGetVersion=counts(70100000),
    )
    vars(made).update(functions)
    return Hip(made)


def test_the_first_gfx950_is_taken() -> None:
    chosen: list[int] = []
    found = find(
        host(
            "gfx942:sramecc+",
            "gfx950:sramecc+:xnack-",
            "gfx950",
            hipSetDevice=lambda index: chosen.append(index) or 0,
        )
    )
    assert chosen == [found.index] == [1]
    assert (found.name, found.arch) == ("MI350X", "gfx950:sramecc+:xnack-")
    assert found.memory_bytes == 1 << 38
    assert (found.runtime_version, found.driver_version) == (70200000, 70100000)
    assert found.emulator is None


@pytest.mark.parametrize(
    ("archs", "words"), [((), "no GPU, but no gfx950"), (("gfx942", "gfx90a"), "gfx942, gfx90a")]
)
def test_no_gfx950(archs: tuple[str, ...], words: str) -> None:
    with pytest.raises(NoDeviceError, match=words):
        find(host(*archs))


def test_a_driver_that_is_not_there() -> None:
    with pytest.raises(NoDeviceError, match=r"HIP finds no GPU: .*hipError 100"):
        find(Hip(library(hipGetDeviceCount=lambda _pointer: 100)))


def test_an_error_names_function_text_and_number() -> None:
    with pytest.raises(HipError, match=r"hipFree failed: out of order \(hipError 17\)") as caught:
        Hip(library(hipFree=lambda _pointer: 17)).free(64)
    assert caught.value.code == 17


def test_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device.hip, "mapped_copies", tuple)
    with pytest.raises(NoDeviceError, match=r"no HIP runtime libno.so.7 .LD_LIBRARY_PATH is x"):
        load("libno.so.7", ("x",))
