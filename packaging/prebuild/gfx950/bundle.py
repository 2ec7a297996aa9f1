"""Code objects out of offload bundles, the wrapper around them in ``.hip_fatbin``."""

from __future__ import annotations

from aiter_prebuilt import target
from aiter_prebuilt.errors import BinaryError
from aiter_prebuilt.wheel.bundle import bundles
from prebuild.gfx950.errors import CodeObjectError

ELF_MAGIC = b"\x7fELF"


def code_objects(data: bytes) -> list[bytes]:
    """Return every code object for the gfx target in ``data``, in order.

    ``data`` is a raw code object, one bundle, or any bytes that hold bundles (a ``.hip_fatbin``
    section).  Raises :class:`CodeObjectError` where a bundle is cut short, or compressed.
    """
    if data.startswith(ELF_MAGIC):
        return [data]
    try:
        return [
            data[entry.start : entry.start + entry.size]
            for entries in bundles(data)
            for entry in entries
            if entry.gfx == target.load().gfx and entry.size
        ]
    except BinaryError as error:
        raise CodeObjectError(f"{error}; expected whole bundles, not compressed") from error
