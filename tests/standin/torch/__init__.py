"""As much of torch as `aiter-prebuilt selftest` uses; its GPU memory is this process's own."""

from __future__ import annotations

import ctypes
import math

from torch import _C, cuda

__all__ = ["_C", "cuda"]

__version__ = "0.0.standin"


class _Dtype:
    def __init__(self, name, size):
        self.name, self.size = name, size

    def __repr__(self):
        return f"torch.{self.name}"


uint8, int32, uint32 = _Dtype("uint8", 1), _Dtype("int32", 4), _Dtype("uint32", 4)
float32, float16, bfloat16 = _Dtype("float32", 4), _Dtype("float16", 2), _Dtype("bfloat16", 2)
float8_e4m3fn, float8_e8m0fnu = _Dtype("float8_e4m3fn", 1), _Dtype("float8_e8m0fnu", 1)
float4_e2m1fn_x2 = _Dtype("float4_e2m1fn_x2", 1)


class Tensor:
    def __init__(self, storage, shape, dtype):
        self._storage, self.shape, self.dtype = storage, tuple(shape), dtype

    def __getitem__(self, part):
        return Tensor(self._storage, (part.stop,), self.dtype)

    def view(self, *how):
        if isinstance(how[0], _Dtype):
            (count,) = self.shape
            return Tensor(self._storage, (count * self.dtype.size // how[0].size,), how[0])
        assert math.prod(how) == self.numel()
        return Tensor(self._storage, how, self.dtype)

    def data_ptr(self):
        return ctypes.addressof(self._storage)

    def get_device(self):
        return 0

    def is_contiguous(self):
        return True

    def size(self, dim):
        return self.shape[dim]

    def numel(self):
        return math.prod(self.shape)


def empty(count, *, dtype, device):
    assert device == "cuda:0", device
    return Tensor(ctypes.create_string_buffer(count * dtype.size), (count,), dtype)
