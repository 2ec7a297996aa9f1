"""Runs in a process of its own: loads a module, makes calls on tensors that only claim a GPU.

``driver.py MODULE_NAME MODULE_FILE [exchange]`` reads calls as JSON from stdin and writes what each
returned or raised as JSON to stdout; with ``exchange`` tensors offer DLPack's C exchange API.
Standard library only.
"""

from __future__ import annotations

import ctypes
import importlib.machinery
import importlib.util
import json
import math
import sys
import types
import warnings
from typing import Any


class Tensor:
    """Just what the binding asks of a tensor: torch's interface, no storage."""

    def __init__(self, *, shape: list[int], dtype: str, pointer: int, device: int) -> None:
        self._shape = shape
        self.dtype = Dtype.of(dtype)
        self._pointer = pointer
        self._device = device
        self.contiguous_flag = True

    def data_ptr(self) -> int:
        """Address of the first element."""
        return self._pointer

    def get_device(self) -> int:
        """Index of the GPU, -1 for a CPU tensor."""
        return self._device

    def is_contiguous(self) -> bool:
        """Whether rows follow each other without gaps."""
        return self.contiguous_flag

    def size(self, dim: int) -> int:
        """Length of one dimension."""
        return self._shape[dim]

    def numel(self) -> int:
        """Number of elements."""
        count = 1
        for length in self._shape:
            count *= length
        return count


class Device(ctypes.Structure):
    """DLDevice."""

    _fields_ = (("type", ctypes.c_int32), ("index", ctypes.c_int32))


class DlTensor(ctypes.Structure):
    """DLTensor of DLPack 1.x."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", Device),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class ExchangeApi(ctypes.Structure):
    """DLPackExchangeAPI: the version, then function pointers of which ours are the last two."""

    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("unused", ctypes.c_void_p * 4),
        ("tensor_from_object", ctypes.c_void_p),
        ("current_work_stream", ctypes.c_void_p),
    )


CODES = {
    "int32": (0, 32, 1),
    "uint8": (1, 8, 1),
    "float16": (2, 16, 1),
    "float32": (2, 32, 1),
    "bfloat16": (4, 16, 1),
    "float8_e4m3fn": (10, 8, 1),
    "float8_e8m0fnu": (14, 8, 1),
    "float4_e2m1fn_x2": (17, 4, 2),
}
ROCM, CPU = 10, 1
STREAM = 0x5000
"""The current stream of GPU 0; that of GPU N is N greater."""


def fill(tensor: Any, out: Any) -> int:  # noqa: ANN401
    """``dltensor_from_py_object_no_sync``: 0, or -1 with an exception."""
    found = out.contents
    if str(tensor.dtype)[6:] not in CODES:
        return -1
    shape, padding = tensor.exchanged, 0 if tensor.contiguous_flag else 7
    found.data, found.byte_offset = tensor.data_ptr() or None, 0
    found.device.type = ROCM if tensor.get_device() >= 0 else CPU
    found.device.index = max(tensor.get_device(), 0)
    found.ndim = len(shape)
    found.code, found.bits, found.lanes = CODES[str(tensor.dtype)[6:]]
    found.shape = shape
    for axis in range(len(shape)):
        tensor.strides[axis] = math.prod(shape[axis + 1 :]) + padding
    found.strides = tensor.strides
    return 0


FILL = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.POINTER(DlTensor))(fill)


def stream_of(device_type: int, device: int, out: Any) -> int:  # noqa: ANN401
    """``current_work_stream``: 0, or -1 where the device is not ours."""
    out[0] = STREAM + device
    return 0 if device_type == ROCM else -1


STREAM_OF = ctypes.PYFUNCTYPE(
    ctypes.c_int, ctypes.c_int32, ctypes.c_int32, ctypes.POINTER(ctypes.c_void_p)
)(stream_of)
API = ExchangeApi(
    1,
    3,
    (ctypes.c_void_p * 4)(),
    ctypes.cast(FILL, ctypes.c_void_p),
    ctypes.cast(STREAM_OF, ctypes.c_void_p),
)
capsule = ctypes.pythonapi.PyCapsule_New
capsule.restype = ctypes.py_object
capsule.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
CAPSULE_NAME = b"dlpack_exchange_api"
"""Has to outlive the capsule, which keeps a pointer to it."""


class ExchangeTensor(Tensor):
    """A tensor whose type offers DLPack's C exchange API, as torch's does from 2.10 on."""

    __dlpack_c_exchange_api__ = capsule(ctypes.addressof(API), CAPSULE_NAME, None)

    def __init__(self, *, shape: list[int], dtype: str, pointer: int, device: int) -> None:
        super().__init__(shape=shape, dtype=dtype, pointer=pointer, device=device)
        self.exchanged = (ctypes.c_int64 * len(shape))(*shape)
        self.strides = (ctypes.c_int64 * len(shape))()


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


def install_torch(stream: int) -> None:
    """Put a torch into sys.modules that knows the current stream and nothing else."""
    torch, inner = types.ModuleType("torch"), types.ModuleType("torch._C")
    vars(inner)["_cuda_getCurrentRawStream"] = lambda device: stream + device
    vars(torch)["_C"] = inner
    sys.modules |= {"torch": torch, "torch._C": inner}


def value_of(raw: Any) -> Any:  # noqa: ANN401
    """An argument from JSON: an object with a shape is a tensor."""
    if not isinstance(raw, dict):
        return raw
    contiguous = raw.pop("contiguous", True)
    tensor = (ExchangeTensor if "exchange" in sys.argv[3:] else Tensor)(**raw)
    tensor.contiguous_flag = contiguous
    return tensor


def run(module: types.ModuleType, call: dict[str, Any]) -> dict[str, Any]:
    """Make one call; what it returned, raised or warned of."""
    if call.get("uncovered"):
        module._set_uncovered(
            lambda name, kind, reason, args, kwargs: [name, kind, reason, len(args), sorted(kwargs)]
        )
    else:
        module._set_uncovered(None)
    args = [value_of(raw) for raw in call["args"]]
    kwargs = {name: value_of(raw) for name, raw in call["kwargs"].items()}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter(call["warnings"])
        try:
            returned = getattr(module, call["function"])(*args, **kwargs)
        except Exception as error:
            return {"raised": type(error).__name__, "message": str(error)}
    return {"returned": returned, "warnings": [str(entry.message) for entry in caught]}


def main() -> None:
    """Load the module, make the calls."""
    name, path = sys.argv[1:3]
    if "exchange" not in sys.argv[3:]:  # else there is no torch that the binding could ask
        install_torch(stream=STREAM)
    loader = importlib.machinery.ExtensionFileLoader(name, path)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    calls = json.load(sys.stdin)
    docs = {name: getattr(module, name).__doc__ for name in ("ck_moe_stage1", "ck_moe_stage2")}
    json.dump({"docs": docs, "results": [run(module, call) for call in calls]}, sys.stdout)


if __name__ == "__main__":
    main()
