"""Runs in a Python that has torch: time the calls of each module, in turns.

``inside.py FOLDER ROUNDS LABEL=NAME=FILE...``; FOLDER holds bare and claim, built.  Prints JSON:
label -> nanoseconds a call, one a round.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import timeit
from time import thread_time
from types import ModuleType
from typing import Any

import torch

CALLS = 20_000
EXPERTS, TOP_K, MODEL_DIM, INTER_DIM, TOKENS, SORTED = 8, 8, 7168, 512, 64, 1024


def load(name: str, path: str) -> ModuleType:
    """Load an extension from a file."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def arguments() -> tuple[Any, ...]:
    """A gate-up call of Kimi's as AITER makes it: 18 positional arguments."""

    def packed(*shape: int) -> Any:  # noqa: ANN401
        return torch.zeros(shape, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)

    def scales(*shape: int) -> Any:  # noqa: ANN401
        return torch.ones(shape, dtype=torch.uint8).view(torch.float8_e8m0fnu)

    def ids(count: int) -> Any:  # noqa: ANN401
        return torch.zeros(count, dtype=torch.int32)

    return (
        packed(TOKENS, MODEL_DIM // 2),
        packed(EXPERTS, 2 * INTER_DIM, MODEL_DIM // 2),
        packed(EXPERTS, MODEL_DIM, INTER_DIM // 2),
        *(ids(SORTED), ids(SORTED // 32), ids(2)),
        torch.zeros((TOKENS, TOP_K, INTER_DIM), dtype=torch.bfloat16),
        *(TOP_K, ""),
        scales(EXPERTS * 2 * INTER_DIM, MODEL_DIM // 32),
        scales(TOKENS, MODEL_DIM // 32),
        *(32, None, 3, 0, 1, False, ""),
    )


def main() -> None:
    """Time everything."""
    folder, rounds, *named = sys.argv[1:]
    claim = load("claim", f"{folder}/claim.so")
    torch.Tensor.__dlpack_c_exchange_api__ = claim.wrap(torch.Tensor.__dlpack_c_exchange_api__)
    torch._C._cuda_getCurrentRawStream = claim.raw_stream
    modules = {"bare": load("bare", f"{folder}/bare.so")}
    for text in named:
        label, name, path = text.split("=", 2)
        modules[label] = load(name, path)
    given = arguments()
    took: dict[str, list[float]] = {label: [] for label in modules}
    for _ in range(int(rounds)):
        for label, module in modules.items():
            names = {"call": module.ck_moe_stage1, "given": given}
            # CPU time of this thread: others on the machine do not count.
            seconds = timeit.timeit("call(*given)", timer=thread_time, number=CALLS, globals=names)
            took[label].append(seconds / CALLS * 1e9)
    json.dump(took, sys.stdout)


if __name__ == "__main__":
    main()
