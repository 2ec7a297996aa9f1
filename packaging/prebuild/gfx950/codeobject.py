"""The code object: ELF segments and kernel descriptors of one gfx950 program.

Facts: LLVM's AMDGPU usage documentation (code object ELF, kernel descriptor, kernarg preload).
"""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from aiter_prebuilt import target
from prebuild.gfx950.errors import CodeObjectError

_EF_MACH_MASK = 0xFF
_DESCRIPTOR_BYTES = 64


@dataclass(frozen=True, kw_only=True)
class Descriptor:
    """What the kernel descriptor says about the initial state of a wave."""

    symbol: str
    entry: int
    """Virtual address of the first instruction."""
    size: int
    """Bytes of the kernel's code."""
    lds_bytes: int
    scratch_bytes: int
    """Private segment of one work-item."""
    kernarg_bytes: int
    vgprs: int
    """VGPRs of a lane, architectural and accumulation."""
    accum_offset: int
    """First accumulation VGPR within the unified file."""
    denormals_f32: int
    """FLOAT_DENORM_MODE_32: 0 flushes sources and results, 3 flushes nothing."""
    denormals_f16_f64: int
    user_sgprs: int
    properties: int
    """kernel_code_properties: which user SGPRs the dispatch sets up, in the documented order."""
    workgroup_ids: tuple[bool, bool, bool]
    workitem_id_dims: int
    """0: x only, 1: x and y, 2: x, y and z in v0."""
    preload_length: int
    """Kernarg dwords that the dispatch writes into user SGPRs."""
    preload_offset: int
    rounding: int = 0
    """FLOAT_ROUND_MODE of f32 and of f16, f64, two bits each: 0 is nearest even."""
    dx10_clamp: bool = True
    ieee: bool = True


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A loaded part of the ELF file; bytes beyond the file's are zero."""

    address: int
    data: bytes
    writable: bool


@dataclass(frozen=True, kw_only=True)
class CodeObject:
    """One program, ready to be placed in memory."""

    sha256: str
    segments: tuple[Segment, ...]
    kernels: Mapping[str, Descriptor]
    """Symbol (without ``.kd``) -> descriptor."""
    data: bytes


def parse(data: bytes) -> CodeObject:
    """Read a gfx950 ELF; raises :class:`CodeObjectError` naming what does not fit."""
    try:
        elf = ELFFile(io.BytesIO(data))
    except ELFError as error:
        raise CodeObjectError(f"not an ELF file: {error}") from error
    machine, flags, gpu = elf["e_machine"], elf["e_flags"], target.load()
    if machine not in ("EM_AMDGPU", gpu.elf_machine) or flags & _EF_MACH_MASK != gpu.elf_mach:
        raise CodeObjectError(f"ELF of machine {machine} flags {flags:#x}, expected {gpu.gfx}")
    segments = tuple(
        Segment(
            address=part["p_vaddr"],
            data=part.data().ljust(part["p_memsz"], b"\0"),
            writable=bool(part["p_flags"] & 2),
        )
        for part in elf.iter_segments("PT_LOAD")
    )
    kernels = _kernels(elf, segments)
    digest = hashlib.sha256(data).hexdigest()
    return CodeObject(sha256=digest, segments=segments, kernels=kernels, data=data)


def _kernels(elf: ELFFile, segments: tuple[Segment, ...]) -> dict[str, Descriptor]:
    sizes: dict[str, int] = {}
    descriptors: dict[str, int] = {}
    table = elf.get_section_by_name(".dynsym")
    if not isinstance(table, SymbolTableSection):
        raise CodeObjectError("code object has no dynamic symbols")
    for symbol in table.iter_symbols():
        if symbol.name.endswith(".kd"):
            descriptors[symbol.name[:-3]] = symbol["st_value"]
        else:
            sizes[symbol.name] = symbol["st_size"]
    return {
        name: _descriptor(name, address, sizes.get(name, 0), segments)
        for name, address in descriptors.items()
    }


def _descriptor(name: str, address: int, size: int, segments: tuple[Segment, ...]) -> Descriptor:
    raw = _bytes_at(segments, address)
    lds, scratch, kernarg = struct.unpack_from("<III", raw, 0)
    (entry,) = struct.unpack_from("<q", raw, 16)
    rsrc3, rsrc1, rsrc2, properties, preload = struct.unpack_from("<IIIHH", raw, 44)
    return Descriptor(
        symbol=name,
        entry=address + entry,
        size=size,
        lds_bytes=lds,
        scratch_bytes=scratch,
        kernarg_bytes=kernarg,
        vgprs=((rsrc1 & 0x3F) + 1) * 8,
        accum_offset=((rsrc3 & 0x3F) + 1) * 4,
        denormals_f32=(rsrc1 >> 16) & 3,
        denormals_f16_f64=(rsrc1 >> 18) & 3,
        rounding=(rsrc1 >> 12) & 15,
        dx10_clamp=bool(rsrc1 >> 21 & 1),
        ieee=bool(rsrc1 >> 23 & 1),
        user_sgprs=(rsrc2 >> 1) & 0x1F,
        properties=properties,
        workgroup_ids=(bool(rsrc2 >> 7 & 1), bool(rsrc2 >> 8 & 1), bool(rsrc2 >> 9 & 1)),
        workitem_id_dims=(rsrc2 >> 11) & 3,
        preload_length=preload & 0x7F,
        preload_offset=preload >> 7,
    )


def _bytes_at(segments: tuple[Segment, ...], address: int) -> bytes:
    for segment in segments:
        offset = address - segment.address
        if 0 <= offset <= len(segment.data) - _DESCRIPTOR_BYTES:
            return segment.data[offset : offset + _DESCRIPTOR_BYTES]
    raise CodeObjectError(f"kernel descriptor at {address:#x} lies in no segment")
