"""Each generation of AITER asks for the real Kimi module under its own name, and is served it.

The stand-ins follow the project's data on the generations (``data/aiter.json``, the contracts).
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aiter_prebuilt import target
from aiter_prebuilt.call import Call, ModuleKey
from aiter_prebuilt.choice.dispatch import built_kernel, choose
from aiter_prebuilt.choice.routing import route
from aiter_prebuilt.choice.rules import Rules
from aiter_prebuilt.generations import Generation, load
from aiter_prebuilt.host.aiter import gather
from aiter_prebuilt.host.match import differences
from aiter_prebuilt.wheel.manifest import Deployment, Module
from prebuild.aiter.reach import TOKENS
from prebuild.recording import Recorder
from tests.integration.calls import SORTED, TOP_K, stage1, stage2, tensor
from tests.integration.conftest import KimiWheel
from tests.integration.runtime import sitemaker as make
from tests.integration.runtime.conftest import make_calls
from tests.integration.runtime.generations import contract_of, know, make_standin

pytestmark = pytest.mark.toolchain
GENERATIONS = tuple(load().generations.values())
Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an AITER's own compiler would make, under the names of older and of newer releases."""
    folder = tmp_path_factory.mktemp("builds")
    for name in (make.STOCK, f"{make.STOCK}_"):
        make.extension(folder / f"{name}.so", name, None, extra=("-DJIT",))
    return folder


@pytest.fixture
def run(kimi: KimiWheel, recorder: Recorder, builds: Path, tmp_path: Path) -> Run:
    """Make calls through a generation's stand-in, in one process."""

    def made(generation: Generation, calls: list[Any], **edits: str) -> dict[str, Any]:
        site = Path(shutil.copytree(kimi.unpacked, tmp_path / "site"))
        standin = make_standin(tmp_path / "aiter", generation)
        stubs = standin / "aiter" / "ops" / "moe_op.py"
        for parameter, hint in edits.items():
            stubs.write_text(
                stubs.read_text().replace(f"{parameter}: Optional", f"{parameter}: {hint}")
            )
        know(site / "aiter_prebuilt", standin, generation)
        env = {
            "AITER_PREBUILT_SYSFS_ROOT": str(make.make_sysfs(tmp_path / "sys", 90500)),
            "HIP_RECORD_FILE": str(tmp_path / "record"),
            "LD_LIBRARY_PATH": str(recorder.runtime),
            "PYTHONPATH": str(standin),
            "STANDIN_BUILDS": str(builds),
        }
        return make_calls(site, calls, env)

    return made


def asked(generation: Generation, deployments: tuple[Deployment, ...]) -> list[Call]:
    """What the generation asks of CK2stages for a deployment, one call for each choice of it."""
    calls: dict[Any, Call] = {}
    for deployment, tokens, flydsl in itertools.product(deployments, TOKENS, (True, False)):
        rules = Rules(generation=generation, flydsl=flydsl, cu_count=target.load().cu_count)
        assert deployment.features is not None
        for call in route(deployment.features, deployment.shape, tokens, rules).asked:
            calls.setdefault((call.stage, call.block_m, call.shape.inter_dim), call)
    return list(calls.values())


def call_of(call: Call, **changes: Any) -> Any:
    made: Any = stage1 if call.stage == 1 else stage2
    tokens = min(call.tokens, SORTED // call.shape.topk)
    sizes = {"inter_dim": call.shape.inter_dim, "block_m": call.block_m, "tokens": tokens}
    return made(**{**sizes, **changes})


def kernel_of(module: Module, call: Call) -> str:
    choice = choose(module.instances, call)
    assert choice.instance is not None
    assert choice.variant is not None
    kernel = built_kernel(choice.instance, choice.variant)
    assert kernel is not None
    return kernel.symbol


@pytest.mark.parametrize("generation", GENERATIONS, ids=lambda each: each.name)
def test_a_generation_is_served_under_its_own_name(
    generation: Generation, kimi: KimiWheel, run: Run, tmp_path: Path
) -> None:
    (module,) = kimi.manifest.modules
    features = module.features
    assert isinstance(features, ModuleKey)
    name = generation.stock_name(features)
    wanted = asked(generation, kimi.manifest.deployments)
    assert {call.stage for call in wanted} == {1, 2}
    outside = call_of(wanted[0], model_dim=7168 + 256)  # its number of K steps is odd
    other = call_of(wanted[0], replace={6: tensor(0x70000, "float16", 1, TOP_K, 1024)})
    found = run(generation, [*map(call_of, wanted), outside, other])
    *served, handed_on, left = found["results"]
    for call, result in zip(wanted, served, strict=True):
        assert result == {"returned": None, "launches": [kernel_of(module, call)]}, call
    assert handed_on["returned"].startswith(f"jit:{name}:")
    assert handed_on["launches"] == []
    # No wheel has the module for 16-bit floats: AITER would build it, under its own name.
    assert name.replace("_b16_", "_f16_") in left["message"]
    log = (tmp_path / "aiter" / "aiter" / "jit" / "build" / "builds.log").read_text()
    assert log == f"{name} generate {name}\n"
    assert found["modules"] == [name]
    assert found["hint_mismatches"] == []
    assert set(found["events"]) == {"served", "uncovered", "uncovered-to", "not-shipped"}


@pytest.mark.parametrize("generation", GENERATIONS, ids=lambda each: each.name)
def test_a_stand_in_has_the_contract_of_its_generation(
    generation: Generation, tmp_path: Path
) -> None:
    facts = gather(make_standin(tmp_path, generation) / "aiter", None)
    assert facts.problems == ()
    assert list(differences(contract_of(generation).contract, facts)) == []
    assert facts.version == f"{generation.name}+standin"


def test_a_stub_of_other_hints_is_seen(kimi: KimiWheel, run: Run) -> None:
    """AITER's check of a docstring against its stub: it is what finds no mismatch above."""
    call = asked(load().newest, kimi.manifest.deployments)[0]
    found = run(load().newest, [call_of(call)], kernelName="list")
    assert found["results"][0]["returned"].startswith("jit:")
    assert found["hint_mismatches"] == ["ck_moe_stage1"]
    assert "aiter-signature" in found["events"]
