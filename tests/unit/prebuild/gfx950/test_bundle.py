"""The reader of offload bundles."""

from __future__ import annotations

import struct

import pytest

from prebuild.gfx950 import bundle
from prebuild.gfx950.errors import CodeObjectError

MAGIC = b"__CLANG_OFFLOAD_BUNDLE__"
HOST = "host-x86_64-unknown-linux-gnu-"
DEVICE = "hipv4-amdgcn-amd-amdhsa--gfx950"


def make(entries: list[tuple[str, bytes]]) -> bytes:
    head = MAGIC + struct.pack("<Q", len(entries))
    size = len(head) + sum(24 + len(name) for name, _ in entries)
    table, body = b"", b""
    for name, data in entries:
        table += struct.pack("<QQQ", size + len(body), len(data), len(name)) + name.encode()
        body += data
    return head + table + body


def test_device_code_of_every_bundle_in_a_section() -> None:
    section = (
        make([(HOST, b""), (DEVICE, b"\x7fELFone")])
        + bytes(100)
        + make([(HOST, b""), (DEVICE + ":sramecc+:xnack-", b"\x7fELFtwo")])
    )
    assert bundle.code_objects(section) == [b"\x7fELFone", b"\x7fELFtwo"]


def test_other_targets_are_left_out() -> None:
    assert bundle.code_objects(make([("hipv4-amdgcn-amd-amdhsa--gfx942", b"\x7fELF")])) == []


def test_a_bare_code_object_is_itself() -> None:
    assert bundle.code_objects(b"\x7fELFrest") == [b"\x7fELFrest"]


def test_a_bundle_cut_short() -> None:
    whole = make([(DEVICE, b"\x7fELFlonger")])
    for end in (-3, 40):
        with pytest.raises(CodeObjectError, match="a bundle of GPU code ends at"):
            bundle.code_objects(whole[:end])


def test_compressed_bundles_are_named() -> None:
    with pytest.raises(CodeObjectError, match="compressed"):
        bundle.code_objects(b"CCOB" + bytes(30))
