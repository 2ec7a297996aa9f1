"""A HIP runtime in this process: memory is a dictionary, a kernel is a Python function."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

from aiter_prebuilt.selftest.device import Graph, Hip, HipError
from aiter_prebuilt.selftest.tensors import PlainTensor


class FakeHip(Hip):
    """Memory, one stream of its own (7), graphs as lists of functions."""

    def __init__(self) -> None:
        super().__init__(SimpleNamespace(hipGetErrorString=lambda _code: b"bad"))  # type: ignore[arg-type]
        self.memory: dict[int, bytearray] = {}
        self.freed: list[int] = []
        self.sync_error = 0
        self.captured: list[Callable[[], None]] | None = None

    def allocate(self, size: int) -> int:
        pointer = 0x1000 * (len(self.memory) + 1) << 20
        self.memory[pointer] = bytearray(size)
        return pointer

    def free(self, pointer: int) -> None:
        self.freed.append(pointer)

    def write(self, pointer: int, data: bytes) -> None:
        base = max(one for one in self.memory if one <= pointer)
        at = pointer - base
        self.memory[base][at : at + len(data)] = data

    def read(self, pointer: int, size: int) -> bytes:
        return bytes(self.memory[pointer][:size])

    def synchronize(self) -> None:
        if self.sync_error:
            raise HipError("hipDeviceSynchronize", self.sync_error, "bad")

    @contextlib.contextmanager
    def stream(self) -> Iterator[int]:
        yield 7

    def begin_capture(self, stream: int) -> None:
        assert stream == 7
        self.captured = []

    def end_capture(self, stream: int) -> Graph:
        assert stream == 7
        steps, self.captured = self.captured or [], None
        return FakeGraph(self, steps)


class FakeGraph(Graph):
    def __init__(self, runtime: Hip, steps: list[Callable[[], None]]) -> None:
        super().__init__(runtime, ctypes.c_void_p(), ctypes.c_void_p())
        self.steps = steps

    def launch(self, stream: int) -> None:
        assert stream == 7
        for step in self.steps:
            step()

    def destroy(self) -> None:
        self.steps = []


class FakeFunctions:
    """``ck_moe_stage1`` and 2: each launch writes the next of ``outputs`` (the last one again)."""

    def __init__(self, runtime: FakeHip, *outputs: bytes) -> None:
        self.runtime, self.outputs = runtime, list(outputs)
        self.calls: list[tuple[Any, ...]] = []
        self.ignores_capture = False
        self.error: Exception | None = None

    def ck_moe_stage1(self, *args: Any) -> None:
        self.calls.append(args)
        if self.error is not None:
            raise self.error
        out: PlainTensor = args[6]

        def step() -> None:
            data = self.outputs.pop(0) if len(self.outputs) > 1 else self.outputs[0]
            self.runtime.write(out.data_ptr(), data)

        if self.runtime.captured is None or self.ignores_capture:
            step()
        else:
            self.runtime.captured.append(step)

    ck_moe_stage2 = ck_moe_stage1
