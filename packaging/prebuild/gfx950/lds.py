"""The LDS of one workgroup: bytes, their shadow, and who used each dword since the last barrier."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from prebuild.gfx950.arrays import U32
from prebuild.gfx950.errors import DataRace, MemoryFault, MissingWait

Index = npt.NDArray[Any]
_MANY = -2
_NOBODY = -1


class Lds:
    """Dword-addressed LDS; every dword begins undefined.

    Between two barriers (one epoch) the waves of a workgroup run in no order.  So a dword that one
    wave writes and another one uses in the same epoch is a race, whichever came first here.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        dwords = -(-size // 4)
        self.words: U32 = np.full(dwords, 0xA5A5A5A5, np.uint32)
        self.undefined = np.ones(dwords, np.bool_)
        self.epoch = 0
        self._in_flight = np.zeros(dwords, np.bool_)
        self._written = np.full(dwords, -1, np.int32)
        self._writer = np.full(dwords, _NOBODY, np.int16)
        self._read = np.full(dwords, -1, np.int32)
        self._reader = np.full(dwords, _NOBODY, np.int16)

    def load(self, index: Index, wave: int) -> tuple[U32, Index]:
        """Read dwords; returns data and whether each is undefined."""
        self._check(index)
        if self._in_flight[index].any():
            at = int(index[self._in_flight[index]][0])
            raise MissingWait(
                f"LDS dword {at} is read while a load straight to it is in flight (vmcnt)"
            )
        self._no_race(self._written[index], self._writer[index], wave, index, "reads", "wrote")
        other = (self._read[index] == self.epoch) & (self._reader[index] != wave)
        self._reader[index] = np.where(other, _MANY, wave)
        self._read[index] = self.epoch
        return self.words[index], self.undefined[index]

    def store(self, index: Index, data: U32, undefined: Index, wave: int) -> None:
        """Write dwords."""
        self.claim(index, wave)
        self.words[index] = data
        self.undefined[index] = undefined

    def claim(self, index: Index, wave: int) -> None:
        """Note that ``wave`` writes these dwords now (or has a load to them in flight)."""
        self._check(index)
        self._no_race(self._written[index], self._writer[index], wave, index, "writes", "wrote")
        self._no_race(self._read[index], self._reader[index], wave, index, "writes", "read")
        self._written[index] = self.epoch
        self._writer[index] = wave

    def carry_over(self, index: Index, wave: int, *, writes: bool) -> None:
        """Note an access that its wave did not wait for before a barrier: it may happen after it.

        To be called when the new epoch has begun.
        """
        when, who = (self._written, self._writer) if writes else (self._read, self._reader)
        other = (when[index] == self.epoch) & (who[index] != wave)
        who[index] = np.where(other, _MANY, wave)
        when[index] = self.epoch

    def begin(self, index: Index, wave: int) -> None:
        """Begin a load straight to LDS: until it is waited for nobody may read the dwords."""
        self.claim(index, wave)
        self._in_flight[index] = True

    def land(self, index: Index, data: U32, undefined: Index, wave: int) -> None:
        """End a load that :meth:`begin` began."""
        self._in_flight[index] = False
        self.store(index, data, undefined, wave)

    def _check(self, index: Index) -> None:
        if index.size and (int(index.min()) < 0 or int(index.max()) >= self.words.size):
            worst = int(index.max()) if int(index.min()) >= 0 else int(index.min())
            raise MemoryFault(f"LDS dword {worst} outside the {self.words.size} of the workgroup")

    def _no_race(
        self, when: Index, who: Index, wave: int, index: Index, does: str, did: str
    ) -> None:
        clash = (when == self.epoch) & (who != wave)
        if clash.any():
            at = int(np.broadcast_to(index, clash.shape)[clash][0])
            other = int(who[clash][0])
            name = "other waves" if other == _MANY else f"wave {other}"
            raise DataRace(
                f"wave {wave} {does} LDS dword {at} which {name} {did} since the last barrier"
            )
