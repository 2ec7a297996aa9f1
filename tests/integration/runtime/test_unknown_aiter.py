"""An AITER whose sources nobody checked: each call ends as without us, or prebuilt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.runtime import sitemaker as make
from tests.integration.runtime.faults import Stage

Run = Callable[..., dict[str, Any]]

SOURCE = "csrc/ck_gemm_moe_2stages_codegen/standin.cuh"
STUB = "    dst_type: Optional[str] = None,\n"
CHANGES: dict[str, Callable[[Stage], None]] = {
    "a comment": lambda stage: stage.edit(SOURCE, "// Stand-in", "// A comment on the stand-in"),
    "a new instance": lambda stage: stage.edit(
        SOURCE, "module from.\n", "module from.\nMOE_INSTANCE(1, 256, 512, 128)\n"
    ),
    "a new tile": lambda stage: stage.edit(
        SOURCE, "module from.\n", "module from.\nif(inter_dim == 384) { return tile<256, 96>; }\n"
    ),
    "a new parameter": lambda stage: stage.edit(
        "aiter/ops/moe_op.py", STUB, f"{STUB}    bias: Optional[Tensor] = None,\n"
    ),
}
CALLS: dict[str, dict[str, Any]] = {
    "covered": {},
    "block_m": {"block_m": 16},
    "name": {"kernel": "unknown_to_the_module"},
}


@pytest.fixture(params=["deployed", "full"], autouse=True)
def _coverage(request: pytest.FixtureRequest, stage: Stage) -> None:
    """Both a reduced module and a whole one."""
    if request.param == "full":
        file = stage.package / "modules" / f"{make.STOCK}.abi3.so"
        file.write_bytes(stage.parts.full.read_bytes())
        make.write_manifest(stage.package, make.describe(file, stage.package, make.STOCK))


def _builds(stage: Stage) -> int:
    log = stage.site / "aiter" / "jit" / "build" / "builds.log"
    return len(log.read_text().splitlines()) if log.exists() else 0


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("change", CHANGES)
def test_every_call_ends_as_without_us_or_prebuilt(
    change: str, call: str, stage: Stage, run: Run
) -> None:
    stage.know_aiter()  # before it changes
    CHANGES[change](stage)
    stage.call_with(**CALLS[call])
    result = run()
    served = call == "covered" and change != "a new parameter"
    origin = "prebuilt:" if served else "jit:"
    assert str(result["answer"]).startswith(origin), result
    assert _builds(stage) == (not served)
    assert result["events"].count("uncovered") == (
        call != "covered" and change != "a new parameter"
    )


@pytest.mark.parametrize("call", ["block_m", "name"])
def test_strict_says_such_a_call_as_an_error(call: str, stage: Stage, run: Run) -> None:
    stage.call_with(**CALLS[call])
    result = run(AITER_PREBUILT="strict")
    assert result["error"] == "UncoveredShapeError", result
    assert "were not checked" in result["message"]
    assert _builds(stage) == 0


def test_a_known_aiters_refusal_stays_the_modules_without_a_compile(stage: Stage, run: Run) -> None:
    stage.know_aiter()
    stage.call_with(**CALLS["block_m"])
    result = run()
    assert (result["error"], result["message"]) == ("RuntimeError", "block_m is 16")
    assert _builds(stage) == 0
    assert "uncovered" not in result["events"]


def test_a_known_aiters_heuristic_takes_a_name_that_it_has_not(stage: Stage, run: Run) -> None:
    stage.know_aiter()
    stage.call_with(**CALLS["name"])
    assert run()["answer"].startswith("prebuilt:")
    assert _builds(stage) == 0


@pytest.mark.parametrize(("call", "origin"), [("covered", "prebuilt:"), ("block_m", "jit:")])
def test_names_of_older_releases_end_in_an_underscore(
    call: str, origin: str, stage: Stage, run: Run, tmp_path: Path
) -> None:
    """v0.1.10.post2 to v0.1.12.post2; what is handed on is built and found under that name."""
    stage.edit("aiter/ops/naming.py", 'ending=""', 'ending="_"')
    older = f"{make.STOCK}_"
    make.extension(tmp_path / "builds" / f"{older}.so", older, None, extra=("-DJIT",))
    stage.call_with(**CALLS[call])
    result = run(STANDIN_BUILDS=str(tmp_path / "builds"))
    assert str(result["answer"]).startswith(origin), result
    assert "served" in result["events"], result
    assert (stage.site / "aiter" / "jit" / f"{older}.so").exists() == (origin == "jit:")
