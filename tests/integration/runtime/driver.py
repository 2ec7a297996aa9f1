"""Runs in a process of its own: one call through the stand-in AITER, reported as JSON.

``python -S driver.py SITE [topk] [statement …]``: the site folder is added the way an interpreter
does it (so its ``.pth`` file runs), the statements are executed first.
"""

import json
import site
import sys
from pathlib import Path


class Tensor:
    """As much of a tensor as the stand-in looks at."""

    def __init__(self, dtype: str, *shape: int) -> None:
        self.dtype, self.shape = dtype, shape


BLOCK_M, KERNEL = 128, ""
"""A statement of a test may change them in ``__main__``."""


def call(topk: int) -> object:
    from aiter.ops import moe_op

    weight = Tensor("fp4x2", 384, 2048, 3584)
    ids = Tensor("i32", 1)
    return moe_op.ck_moe_stage1(
        Tensor("fp4x2", 4, 3584), weight, weight, ids, ids, ids, Tensor("b16", 4, 8, 1024), topk,
        KERNEL, None, None, BLOCK_M, None, 3,
    )  # fmt: skip


def runtimes() -> list[str]:
    maps = Path("/proc/self/maps").read_text().splitlines()
    return sorted({line.split()[-1] for line in maps if "libamdhip64" in line})


def main() -> None:
    folder, topk, *statements = sys.argv[1:]
    site.addsitedir(folder)
    sys.path.insert(0, folder)
    result = {"answer": None, "error": None, "message": "", "events": []}
    for statement in statements:
        exec(statement, {})  # noqa: S102  the test's own statement
    try:
        result["answer"] = call(int(topk))
        if int(topk) >= 99:
            result["again"] = call(int(topk))
            result["covered"] = call(8)
    except Exception as error:
        result["error"] = type(error).__name__
        result["message"] = str(error)
    if "aiter_prebuilt.serve.record" in sys.modules:  # not on an interpreter below the floor
        import aiter_prebuilt

        result["events"] = [event.code for event in getattr(aiter_prebuilt, "reasons", list)()]
    result["runtimes"] = runtimes()
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
