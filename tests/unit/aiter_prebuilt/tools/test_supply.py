from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from aiter_prebuilt.host import facts as host
from aiter_prebuilt.host.facts import HostFacts
from aiter_prebuilt.host.gpu import GpuFacts
from aiter_prebuilt.reason import Reason
from aiter_prebuilt.serve import finder
from aiter_prebuilt.settings import Settings
from aiter_prebuilt.tools import jitdir, supply
from aiter_prebuilt.wheel import store
from aiter_prebuilt.wheel.binary import CheckedFile
from tests.unit.aiter_prebuilt import samples

MI350X = GpuFacts(source="kfd", targets=("gfx950",))
SHELF = store.Shelf(folder=Path("site"), manifest=samples.manifest(), reason=None)
CKTILE = "module_moe_cktile2stages"


@pytest.fixture(autouse=True)
def this_host(monkeypatch: pytest.MonkeyPatch) -> HostFacts:
    """A host on which the sample module is served, its file sound."""
    facts = samples.host()
    monkeypatch.setattr(host, "gather", lambda *_args, **_known: facts)
    monkeypatch.setattr(finder, "check", lambda *_: None)
    return facts


def there(**changes: Any) -> supply.Host:
    values: dict[str, Any] = {
        "asked": Settings(), "shelves": (SHELF,), "jit": None, "gpu": MI350X,
        "view": host.THIS_HOST, "finder": "end",
    }  # fmt: skip
    return supply.Host(**{**values, **changes})


def judged(name: str = samples.STOCK, **changes: Any) -> supply.Judged:
    return supply.judge_module(name, there(**changes))


def test_a_module_that_fits_is_prebuilt() -> None:
    found = judged()
    told = found.supply.verdict
    assert (told.state, told.by, told.module) == ("prebuilt", samples.STOCK, samples.STOCK)
    assert told.why == "full module"
    assert found.supply.modules == SHELF.manifest.modules  # type: ignore[union-attr]
    assert found.supply.table == samples.module().instances
    assert found.supply.beyond is not None
    assert (found.supply.beyond.state, found.supply.beyond.by) == ("compiles", "CK2stages")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"gpu": GpuFacts(source="kfd", targets=("gfx942",))}, "gpu-other"),
        ({"hip": samples.hip(mapped=())}, "hip-missing"),
        ({"aiter": samples.installed(signatures={})}, "aiter-signature"),
        ({"python": (3, 9)}, "python"),
    ],
)
def test_a_host_that_it_does_not_fit_compiles(
    changes: dict[str, Any], code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "gather", lambda *_args, **_known: samples.host(**changes))
    found = judged()
    assert found.supply.verdict.state == "compiles"
    assert found.supply.verdict.seconds is not None
    assert [reason.code for reason in found.reasons] == [code]
    assert found.supply.verdict.why == found.reasons[0].message
    assert found.supply.modules == ()
    assert found.supply.table == samples.module().instances
    strict = judged(asked=Settings(mode="strict")).supply.verdict
    assert (strict.state, strict.by) == ("refused", "AITER_PREBUILT=strict")


def test_a_broken_file_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(*_: object) -> CheckedFile:
        raise finder.BinaryError("sha256", "the file has another content")

    monkeypatch.setattr(finder, "check", check)
    found = judged()
    assert found.supply.verdict.state == "compiles"
    assert found.supply.verdict.why == "the file has another content"


def test_what_is_assumed_does_not_decline(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = samples.host(
        gpu=GpuFacts(source="none", targets=()), hip=samples.hip(mapped=()), aiter=None
    )
    monkeypatch.setattr(host, "gather", lambda *_args, **_known: bare)
    assert judged().supply.verdict.state == "compiles"
    view = host.View(gpu=supply.image().gpu, assumed=frozenset({"hip-missing", "aiter-missing"}))
    assert judged(view=view).supply.verdict.state == "prebuilt"


def test_another_aiter_than_the_installed_one_may_be_judged() -> None:
    changed = samples.installed(signatures={})
    view = host.View(own_aiter=False, aiter=changed)
    assert [reason.code for reason in judged(view=view).reasons] == ["aiter-signature"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"asked": Settings(mode="off")}, "AITER_PREBUILT=off"),
        ({"asked": Settings(rebuild=1)}, "AITER_REBUILD=1"),
        ({"finder": "absent"}, "no start-up file activated the finder"),
        ({"shelves": ()}, "no wheel has it"),
        (
            {"shelves": (store.Shelf(folder=Path("site"), manifest=None,
                                     reason=Reason(code="manifest-invalid", message="not JSON")),)},
            "not JSON",
        ),
    ],
)  # fmt: skip
def test_without_an_answer_of_ours_aiter_compiles(changes: dict[str, Any], why: str) -> None:
    told = judged(**changes).supply.verdict
    assert (told.state, told.by) == ("compiles", "CK2stages")
    assert told.why.startswith(why)


@pytest.mark.parametrize(
    ("mode", "uncovered", "by", "taken"),
    [
        ("auto", "auto", "CK2stages", 2),
        ("strict", "auto", "AITER_PREBUILT=strict", 2),
        ("strict", "jit", "CK2stages", 1),
        ("auto", "full", "AITER_PREBUILT_UNCOVERED=full", 2),
        ("auto", "error", "AITER_PREBUILT_UNCOVERED=error", 1),
    ],
)
def test_where_calls_go_that_a_module_leaves_out(
    mode: str, uncovered: str, by: str, taken: int
) -> None:
    reduced = samples.module(
        name=f"{samples.STOCK}__sound_0", coverage="sound", key="s", file="s.so"
    )
    manifest = samples.manifest(samples.module(), reduced)
    shelf = dataclasses.replace(SHELF, manifest=manifest)
    found = judged(asked=Settings(mode=mode, uncovered=uncovered), shelves=(shelf,)).supply
    assert [module.coverage for module in found.modules] == ["sound", "full"][:taken]
    assert found.beyond is not None
    assert found.beyond.by == by


def test_other_modules_of_aiters_are_not_covered_by_strict() -> None:
    told = judged(CKTILE, asked=Settings(mode="strict")).supply.verdict
    assert (told.state, told.by, told.why) == ("compiles", "CK-Tile", "")


@pytest.fixture
def jit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> jitdir.JitFacts:
    """A JIT folder that holds AITER's own file of the sample module, with code for gfx942."""
    folder = tmp_path / "jit"
    folder.mkdir()
    (folder / f"{samples.STOCK}.so").touch()
    monkeypatch.setattr(jitdir, "targets_of", lambda _: frozenset({"gfx942"}))
    return jitdir.JitFacts(
        folder=str(folder), import_name="<module>", exists=True, writable=True, locks=(),
        hidden=(), rejects_other_gpus=True,
    )  # fmt: skip


@pytest.mark.parametrize("mode", ["auto", "prefer"])
def test_aiters_file_for_another_gpu_is_compiled_anew(jit: jitdir.JitFacts, mode: str) -> None:
    told = judged(jit=jit, asked=Settings(mode=mode)).supply.verdict
    assert (told.state, told.compiled_already) == ("compiles", False)
    assert "gfx942 only: AITER rejects it and compiles" in told.why


def test_before_v0_1_17_such_a_file_is_loaded(jit: jitdir.JitFacts) -> None:
    older = dataclasses.replace(jit, rejects_other_gpus=False)
    told = judged(jit=older).supply.verdict
    assert (told.state, told.compiled_already) == ("compiles", True)
    assert "gfx942 only, and is found first" in told.why
    prefer = Settings(mode="prefer")
    assert judged(jit=older, asked=prefer).supply.verdict.state == "prebuilt", "ours goes first"
    assert judged(jit=older, asked=prefer, finder="absent").supply.verdict.compiled_already


@pytest.mark.parametrize("targets", [("gfx942",), ()])
def test_a_file_for_this_gpu_and_any_file_without_a_gpu_stands_before_ours(
    jit: jitdir.JitFacts, targets: tuple[str, ...]
) -> None:
    told = judged(jit=jit, gpu=GpuFacts(source="kfd", targets=targets)).supply.verdict
    assert (told.state, told.compiled_already) == ("compiles", True)
    again = judged(jit=jit, asked=Settings(rebuild=1)).supply.verdict
    assert not again.compiled_already, "AITER builds it anew"


def test_another_back_ends_module_that_aiter_has_built_needs_no_compile(
    jit: jitdir.JitFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert judged(CKTILE, jit=jit).supply.verdict.state == "compiles"
    file = Path(jit.folder) / f"{CKTILE}.so"
    file.touch()
    foreign = judged(CKTILE, jit=jit).supply.verdict
    assert (foreign.state, foreign.compiled_already) == ("compiles", False)
    monkeypatch.setattr(jitdir, "targets_of", lambda _: frozenset({"gfx950"}))
    told = judged(CKTILE, jit=jit).supply.verdict
    assert (told.state, told.by, told.why) == (
        "prebuilt",
        "AITER's own build of CK-Tile",
        str(file),
    )


def test_aiters_file_counts_under_the_name_that_aiter_asks_for(jit: jitdir.JitFacts) -> None:
    """The file of a plain name is not asked for by an AITER whose names end in an underscore."""
    joined = samples.contract(endings=("", "_"))
    shelf = dataclasses.replace(SHELF, manifest=samples.manifest(contracts={"one": joined}))
    found = judged(f"{samples.STOCK}_", jit=jit, shelves=(shelf,)).supply
    assert found.verdict.state == "prebuilt"


def test_what_variables_leave_of_the_gpus() -> None:
    both = GpuFacts(source="kfd", targets=("gfx942", "gfx950"))
    found = supply.seen(both, (("HIP_VISIBLE_DEVICES", "1"),))
    assert (found.gpu.targets, found.problems) == (("gfx950",), ())
    assert found.text == "HIP_VISIBLE_DEVICES=1 leaves gfx950 of gfx942, gfx950"
    none = supply.seen(both, (("HIP_VISIBLE_DEVICES", "-1"),))
    assert (none.gpu.targets, [each.code for each in none.problems]) == ((), ["visible-devices"])
    unsure = supply.seen(both, (("HIP_VISIBLE_DEVICES", "GPU-1"),))
    assert (unsure.gpu, [each.code for each in unsure.problems]) == (both, ["visible-devices"])
    torchs = dataclasses.replace(both, source="torch")
    assert supply.seen(torchs, (("HIP_VISIBLE_DEVICES", "1"),)).gpu == torchs
    assert supply.image().gpu.targets == ("gfx950",)
