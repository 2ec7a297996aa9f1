"""The scales of operands: e8m0 bytes of MX formats, or float32 for a row, a block or a tensor."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

from aiter_prebuilt.selftest.content import Content
from aiter_prebuilt.selftest.formats import round_f32, stream
from aiter_prebuilt.values import value_class

MX_BLOCK, WIDE_BLOCK = 32, 128
"""Values of K under one e8m0 scale; side of a block under one float32 scale."""
SCALES = {
    "per_1x32": "mx",
    "per_token": "row",
    "per_tensor": "tensor",
    "per_1x128": "wide",
    "per_128x128": "wide",
    "no": "none",
}
"""AITER's quantisation -> how scales stand."""


@value_class(frozen=True, kw_only=True)
class Scales:
    """The scales of one operand."""

    data: Content
    """As a kernel reads them."""
    torch: str
    factors: tuple[tuple[float, ...], ...]
    """For each row of the operand, one factor for each ``block`` values of K."""
    block: int


def rows_of(data: bytes, width: int) -> list[bytes]:
    """Cut bytes into rows."""
    return [data[at : at + width] for at in range(0, len(data), width)]


def target(k: int) -> float:
    """Root mean square of both operands at which a sum of k products has a variance of four."""
    return math.sqrt(2 / math.sqrt(k))


def mx(seed: int, label: str, rows: int, k: int) -> bytes:
    """e8m0 over seven powers of two, (rows, k / 32)."""
    # The mean square of an fp4 value is 8.6, that of 2**d with d from -3 to 3 is 12.2.
    middle = 127 - round(math.log2(105 / 2 * math.sqrt(k)) / 2)
    table = bytes(middle - 3 + byte % 7 for byte in range(256))
    return stream(seed, label, rows * (k // MX_BLOCK)).translate(table)


def mx_scales(data: bytes, placed: bytes, k: int) -> Scales:
    """Return scales whose bytes are ``data`` row by row, and ``placed`` as a kernel reads them."""
    powers = [*(math.ldexp(1, byte - 127) for byte in range(255)), math.nan]
    factors = tuple(tuple(map(powers.__getitem__, row)) for row in rows_of(data, k // MX_BLOCK))
    return Scales(data=placed, torch="float8_e8m0fnu", factors=factors, block=MX_BLOCK)


@value_class(frozen=True, kw_only=True)
class Grid:
    """Where float32 scales stand: one for ``height`` rows of a group by ``block`` values of K."""

    rows: int
    group: int
    """Rows of one expert, or all of them."""
    height: int
    k: int
    block: int

    @property
    def lines(self) -> int:
        """Lines of scales in one group."""
        return -(-self.group // self.height)

    @property
    def count(self) -> int:
        """All of them."""
        return self.rows // self.group * self.lines * (self.k // self.block)

    def row_of(self, line: int) -> int:
        """The row whose power a line of scales gets."""
        group, within = divmod(line, self.lines)
        return group * self.group + within * self.height + min(2, self.height - 1)


def scale_grid(kind: str, *, rows: int, group: int, k: int, weight: bool) -> Grid:
    """Return where the float32 scales of ``rows`` rows stand, ``group`` of them an expert's."""
    wide = kind == "wide"
    height = group if kind == "tensor" else WIDE_BLOCK if wide and weight else 1
    return Grid(rows=rows, group=group, height=height, k=k, block=WIDE_BLOCK if wide else k)


def floats(raw: bytes, grid: Grid, middle: float, powers: Sequence[int] = ()) -> Scales:
    """float32 from half of ``middle`` to twice as much, times two to the power of their row.

    A scale of several rows has the power of the third of them.
    """
    words = struct.unpack(f"<{len(raw) // 2}H", raw)
    values = round_f32([(0.5 + 1.5 * word / 65535) * middle for word in words])
    wide = grid.k // grid.block
    if powers:
        values = [
            math.ldexp(value, powers[grid.row_of(at // wide)]) for at, value in enumerate(values)
        ]
    lines = [tuple(values[at : at + wide]) for at in range(0, len(values), wide)]
    factors = tuple(
        lines[row // grid.group * grid.lines + row % grid.group // grid.height]
        for row in range(grid.rows)
    )
    data = struct.pack(f"<{len(values)}f", *values)
    return Scales(data=data, torch="float32", factors=factors, block=grid.block)
