"""Runs in a process of its own: loads a module, makes calls on tensors that only claim a GPU.

``driver.py MODULE_NAME MODULE_FILE`` reads calls as JSON from stdin and writes what each returned
or raised as JSON to stdout.  Standard library only.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
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
    tensor = Tensor(**raw)
    tensor.contiguous_flag = contiguous
    return tensor


def run(module: types.ModuleType, call: dict[str, Any]) -> dict[str, Any]:
    """Make one call; what it returned, raised or warned of."""
    if call.get("uncovered"):
        module._set_uncovered(
            lambda name, reason, args, kwargs: [name, reason, len(args), sorted(kwargs)]
        )
    else:
        module._set_uncovered(None)
    args = [value_of(raw) for raw in call["args"]]
    kwargs = {name: value_of(raw) for name, raw in call["kwargs"].items()}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            returned = getattr(module, call["function"])(*args, **kwargs)
        except Exception as error:
            return {"raised": type(error).__name__, "message": str(error)}
    return {"returned": returned, "warnings": [str(entry.message) for entry in caught]}


def main() -> None:
    """Load the module, make the calls."""
    name, path = sys.argv[1:3]
    install_torch(stream=0x5000)
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
