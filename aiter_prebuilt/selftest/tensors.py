"""Tensors for the module's binding: plain ones in device memory, or torch's own.

Each lies in a buffer of its own with a guard behind it; both kinds know their current stream as the
binding asks for it.
"""

from __future__ import annotations

import contextlib
import math
import sys
import types
from collections.abc import Iterator
from typing import Any, Protocol

from aiter_prebuilt.selftest.content import Content, pieces
from aiter_prebuilt.selftest.device import Hip
from aiter_prebuilt.selftest.judge import GUARD


def fill(runtime: Hip, pointer: int, data: Content) -> None:
    """Write a buffer's content and the guard behind it."""
    for at, piece in pieces(data):
        runtime.write(pointer + at, piece)
    runtime.write(pointer + len(data), GUARD)


class Tensors(Protocol):
    """Makes tensors and keeps their buffers."""

    pointers: dict[str, int]
    """Name of a buffer -> its address."""

    def make(self, name: str, dtype: str, shape: tuple[int, ...], data: Content) -> Any:  # noqa: ANN401
        """Return a tensor of torch's ``dtype`` with this content, and a guard behind it."""

    def own_stream(self) -> contextlib.AbstractContextManager[int]:
        """Make a stream of its own the current one and give it."""

    def release(self) -> None:
        """Give all buffers back."""


class Dtype:
    """A dtype that prints as torch's do; one object a name, as in torch."""

    _known: dict[str, Dtype] = {}  # noqa: RUF012  torch's are singletons, too

    def __init__(self, name: str) -> None:
        self._name = name

    @classmethod
    def of(cls, name: str) -> Dtype:
        """The one object of a name."""
        return cls._known.setdefault(name, cls(name))

    def __str__(self) -> str:
        return f"torch.{self._name}"


class PlainTensor:
    """Just what the binding asks of a tensor: torch's interface, no storage."""

    def __init__(self, *, shape: tuple[int, ...], dtype: str, pointer: int, device: int) -> None:
        self.shape = shape
        self.dtype = Dtype.of(dtype)
        self._pointer, self._device = pointer, device

    def data_ptr(self) -> int:
        """Address of the first element."""
        return self._pointer

    def get_device(self) -> int:
        """Index of the GPU."""
        return self._device

    def is_contiguous(self) -> bool:
        """Whether rows follow each other without gaps."""
        return True

    def size(self, dim: int) -> int:
        """Length of one dimension."""
        return self.shape[dim]

    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


class PlainTensors:
    """Tensors that are nothing but device memory; no torch is loaded."""

    def __init__(self, runtime: Hip, device: int) -> None:
        self._runtime, self._device = runtime, device
        self._stream = 0
        self.pointers: dict[str, int] = {}
        torch, inner = types.ModuleType("torch"), types.ModuleType("torch._C")
        # The one thing that the binding asks of torch itself.
        vars(inner)["_cuda_getCurrentRawStream"] = lambda _device: self._stream
        vars(torch)["_C"] = inner
        sys.modules |= {"torch": torch, "torch._C": inner}

    def make(self, name: str, dtype: str, shape: tuple[int, ...], data: Content) -> PlainTensor:
        """Return a tensor with this content."""
        pointer = self._runtime.allocate(len(data) + len(GUARD))
        self.pointers[name] = pointer
        fill(self._runtime, pointer, data)
        return PlainTensor(shape=shape, dtype=dtype, pointer=pointer, device=self._device)

    @contextlib.contextmanager
    def own_stream(self) -> Iterator[int]:
        """Make a stream of its own the current one."""
        with self._runtime.stream() as stream:
            self._stream = stream
            try:
                yield stream
            finally:
                self._stream = 0

    def release(self) -> None:
        """Give all buffers back."""
        while self.pointers:
            _, pointer = self.pointers.popitem()
            self._runtime.free(pointer)


class TorchTensors:
    """Real torch tensors: views of a buffer of bytes, as AITER makes its packed formats."""

    def __init__(self, runtime: Hip, device: int, torch: Any) -> None:  # noqa: ANN401  the module
        self._runtime, self._torch = runtime, torch
        self._device = f"cuda:{device}"
        self._kept: list[Any] = []
        self.pointers: dict[str, int] = {}

    def make(self, name: str, dtype: str, shape: tuple[int, ...], data: Content) -> Any:  # noqa: ANN401
        """Return a tensor with this content."""
        torch = self._torch
        whole = torch.empty(len(data) + len(GUARD), dtype=torch.uint8, device=self._device)
        torch.cuda.synchronize()
        self._kept.append(whole)
        self.pointers[name] = whole.data_ptr()
        fill(self._runtime, whole.data_ptr(), data)
        return whole[: len(data)].view(getattr(torch, dtype)).view(*shape)

    @contextlib.contextmanager
    def own_stream(self) -> Iterator[int]:
        """Make a stream of its own the current one."""
        stream = self._torch.cuda.Stream()
        with self._torch.cuda.stream(stream):
            yield stream.cuda_stream

    def release(self) -> None:
        """Let torch have the buffers back."""
        self._kept.clear()
        self.pointers.clear()
