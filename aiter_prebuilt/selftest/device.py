"""The HIP runtime by ctypes: just what a test needs of it.

Names and struct offsets: ``hip/hip_runtime_api.h`` of ROCm 7 (SONAME libamdhip64.so.7).
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from typing import Any

from aiter_prebuilt import target
from aiter_prebuilt.errors import PrebuiltError
from aiter_prebuilt.host import hip
from aiter_prebuilt.values import value_class

_ROCM = "/opt/rocm/lib"
_PROPERTIES_BYTES = 4096
"""hipDeviceProp_tR0600 has 1472; later ones may grow."""
_NAME_BYTES, _ARCH_AT, _MEMORY_AT = 256, 1160, 288
_TO_DEVICE, _TO_HOST = 1, 2
_NON_BLOCKING = 1
_CAPTURE_RELAXED = 2


class HipError(PrebuiltError):
    """A call of the HIP runtime failed."""

    def __init__(self, function: str, code: int, text: str) -> None:
        super().__init__(f"{function} failed: {text} (hipError {code})")
        self.code = code


class NoDeviceError(PrebuiltError):
    """No HIP runtime, or no gfx950 that it finds; the message says which."""


@value_class(frozen=True, kw_only=True)
class DeviceFacts:
    """The GPU and the runtime that a test ran on."""

    index: int
    name: str
    arch: str
    """``gfx950:sramecc+:xnack-``."""
    memory_bytes: int
    library: str
    """Path of the HIP runtime that is mapped."""
    runtime_version: int
    driver_version: int
    emulator: str | None
    """The emulator that stands for the kernel driver; None: a GPU."""


class Hip:
    """A loaded HIP runtime; every call that fails raises :class:`HipError`."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        library.hipGetErrorString.restype = ctypes.c_char_p

    def call(self, function: str, *arguments: Any) -> None:  # noqa: ANN401  C values
        """Call a function that returns hipError_t."""
        code = getattr(self._library, function)(*arguments)
        if code:
            text = self._library.hipGetErrorString(code)
            raise HipError(function, code, (text or b"unknown").decode(errors="replace"))

    def allocate(self, size: int) -> int:
        """Return the address of new device memory."""
        pointer = ctypes.c_void_p()
        self.call("hipMalloc", ctypes.byref(pointer), ctypes.c_size_t(size))
        return pointer.value or 0

    def free(self, pointer: int) -> None:
        """Give memory back."""
        self.call("hipFree", ctypes.c_void_p(pointer))

    def write(self, pointer: int, data: bytes) -> None:
        """Copy ``data`` to the device and wait for it."""
        size = ctypes.c_size_t(len(data))
        self.call("hipMemcpy", ctypes.c_void_p(pointer), data, size, _TO_DEVICE)

    def read(self, pointer: int, size: int) -> bytes:
        """Return ``size`` bytes of device memory."""
        data = ctypes.create_string_buffer(size)
        count = ctypes.c_size_t(size)
        self.call("hipMemcpy", data, ctypes.c_void_p(pointer), count, _TO_HOST)
        return data.raw

    def synchronize(self) -> None:
        """Wait for everything; an error of a kernel shows here."""
        self.call("hipDeviceSynchronize")

    def number(self, function: str) -> int:
        """Call a function that returns one int by pointer."""
        value = ctypes.c_int()
        self.call(function, ctypes.byref(value))
        return value.value

    @contextlib.contextmanager
    def stream(self) -> Iterator[int]:
        """Give a stream of its own, which does not wait for the null stream."""
        handle = ctypes.c_void_p()
        self.call("hipStreamCreateWithFlags", ctypes.byref(handle), _NON_BLOCKING)
        try:
            yield handle.value or 0
        finally:
            self.call("hipStreamDestroy", handle)

    def begin_capture(self, stream: int) -> None:
        """Record what is launched on ``stream`` from now on instead of running it."""
        self.call("hipStreamBeginCapture", ctypes.c_void_p(stream), _CAPTURE_RELAXED)

    def end_capture(self, stream: int) -> Graph:
        """Return what was recorded, ready to be launched."""
        graph, ready = ctypes.c_void_p(), ctypes.c_void_p()
        self.call("hipStreamEndCapture", ctypes.c_void_p(stream), ctypes.byref(graph))
        nothing, none = ctypes.c_void_p(), ctypes.c_size_t(0)
        self.call("hipGraphInstantiate", ctypes.byref(ready), graph, nothing, nothing, none)
        return Graph(self, graph, ready)

    @contextlib.contextmanager
    def events(self) -> Iterator[tuple[Event, Event]]:
        """Give two events to measure between."""
        pair = (Event(self), Event(self))
        try:
            yield pair
        finally:
            for event in pair:
                event.destroy()


class Graph:
    """A captured graph, instantiated."""

    def __init__(self, runtime: Hip, graph: ctypes.c_void_p, ready: ctypes.c_void_p) -> None:
        self._runtime, self._graph, self._ready = runtime, graph, ready

    def launch(self, stream: int) -> None:
        """Run it on a stream."""
        self._runtime.call("hipGraphLaunch", self._ready, ctypes.c_void_p(stream))

    def destroy(self) -> None:
        """Give it back."""
        self._runtime.call("hipGraphExecDestroy", self._ready)
        self._runtime.call("hipGraphDestroy", self._graph)


class Event:
    """A mark in a stream, with the time at which the GPU reached it."""

    def __init__(self, runtime: Hip) -> None:
        self._runtime = runtime
        self._handle = ctypes.c_void_p()
        runtime.call("hipEventCreate", ctypes.byref(self._handle))

    def record(self, stream: int) -> None:
        """Put the mark into a stream."""
        self._runtime.call("hipEventRecord", self._handle, ctypes.c_void_p(stream))

    def microseconds_since(self, earlier: Event) -> float:
        """Wait for this mark and return the device time between the two."""
        self._runtime.call("hipEventSynchronize", self._handle)
        taken = ctypes.c_float()
        self._runtime.call(
            "hipEventElapsedTime", ctypes.byref(taken), earlier._handle, self._handle
        )
        return taken.value * 1e3

    def destroy(self) -> None:
        """Give it back."""
        self._runtime.call("hipEventDestroy", self._handle)


def load(soname: str, library_path: tuple[str, ...]) -> Hip:
    """Load the runtime that a module of this process would get; globally, before the module.

    Raises :class:`NoDeviceError` where there is none.
    """
    mapped = hip.mapped_copies()
    places = [mapped[0].path] if mapped else [soname, f"{_ROCM}/{soname}"]
    problems = []
    for place in places:
        try:
            return Hip(ctypes.CDLL(place, mode=ctypes.RTLD_GLOBAL))
        except OSError as error:
            problems.append(str(error))
    where = f" (LD_LIBRARY_PATH is {':'.join(library_path)})" if library_path else ""
    raise NoDeviceError(f"no HIP runtime {soname}{where}: {'; '.join(problems)}")


def find(runtime: Hip) -> DeviceFacts:
    """Make the first GPU of our target current and describe it; raises :class:`NoDeviceError`."""
    wanted = target.load().gfx
    try:
        count = runtime.number("hipGetDeviceCount")
    except HipError as error:
        raise NoDeviceError(f"HIP finds no GPU: {error}") from error
    seen = []
    for index in range(count):
        raw = ctypes.create_string_buffer(_PROPERTIES_BYTES)
        runtime.call("hipGetDevicePropertiesR0600", raw, index)
        arch = raw.raw[_ARCH_AT : _ARCH_AT + _NAME_BYTES].partition(b"\0")[0].decode()
        seen.append(arch)
        if arch.partition(":")[0] == wanted:
            runtime.call("hipSetDevice", index)
            return _facts(runtime, index, arch, raw.raw)
    raise NoDeviceError(f"HIP finds {', '.join(seen) or 'no GPU'}, but no {wanted}")


def _facts(runtime: Hip, index: int, arch: str, raw: bytes) -> DeviceFacts:
    mapped = hip.mapped_copies()
    return DeviceFacts(
        index=index,
        name=raw[:_NAME_BYTES].partition(b"\0")[0].decode(errors="replace"),
        arch=arch,
        memory_bytes=int.from_bytes(raw[_MEMORY_AT : _MEMORY_AT + 8], "little"),
        library=mapped[0].path if mapped else "",
        runtime_version=runtime.number("hipRuntimeGetVersion"),
        driver_version=runtime.number("hipDriverGetVersion"),
        emulator=hip.emulator(),
    )
