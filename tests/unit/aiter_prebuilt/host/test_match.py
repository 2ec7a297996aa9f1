from __future__ import annotations

from typing import Any

import pytest

from aiter_prebuilt.host.aiter import parse_signature
from aiter_prebuilt.host.facts import HostFacts
from aiter_prebuilt.host.gpu import GpuFacts
from aiter_prebuilt.host.hip import HipCopy
from aiter_prebuilt.host.match import match
from aiter_prebuilt.reason import CODES
from aiter_prebuilt.wheel.elf import version
from aiter_prebuilt.wheel.manifest import Harvest
from tests.unit.aiter_prebuilt import samples

FIT = (
    "ck_moe_stage1(hidden_states: Tensor, topk: int, kernelName: str | None = None, "
    "non_temporal_load: bool = False) -> None"
)
SWAPPED = (
    "ck_moe_stage1(hidden_states: Tensor, kernelName: str | None = None, topk: int = 0, "
    "non_temporal_load: bool = False) -> None"
)
KNOWN = {"f" * 64: "commit"}
AGREED = {"one": samples.contract()}


def _codes(host: HostFacts, **changes: Any) -> list[str]:
    verdict = match(samples.module(**changes), AGREED, host, KNOWN)
    assert verdict.accepted == (not verdict.reasons)
    return [reason.code for reason in verdict.reasons]


def test_a_fitting_host_is_accepted_without_notes() -> None:
    verdict = match(samples.module(), AGREED, samples.host(), KNOWN)
    assert verdict.accepted
    assert verdict.notes == ()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"implementation": "pypy"}, "python"),
        ({"python": (3, 9)}, "python"),
        ({"free_threaded": True}, "python"),
        ({"glibc": (2, 27)}, "glibc"),
        ({"glibc": None}, "glibc"),
        ({"gpu": GpuFacts(source="none", targets=())}, "gpu-none"),
        ({"gpu": GpuFacts(source="kfd", targets=("gfx942",))}, "gpu-other"),
        ({"gpu": GpuFacts(source="torch", targets=("gfx950", "gfx942"))}, "gpu-mixed"),
        ({"hip": samples.hip(mapped=())}, "hip-missing"),
        ({"aiter": None}, "aiter-missing"),
        ({"aiter": samples.installed(problems=("gone",))}, "aiter-unreadable"),
        ({"aiter": samples.installed(signatures={})}, "aiter-signature"),
        ({"aiter": samples.installed(quant_types={"per_1x32": 4})}, "aiter-enum"),
        ({"aiter": samples.installed(activation_types={})}, "aiter-enum"),
    ],
)
def test_each_doubt_has_its_code(changes: dict[str, Any], code: str) -> None:
    assert _codes(samples.host(**changes)) == [code]
    assert code in CODES


def test_all_reasons_are_given_at_once() -> None:
    host = samples.host(glibc=(2, 5), python=(3, 8), aiter=None)
    assert _codes(host) == ["python", "glibc", "aiter-missing"]


def test_other_soname_mapped_is_declined_and_two_are_too() -> None:
    six = HipCopy(path="a", soname="libamdhip64.so.6")
    seven = HipCopy(path="b", soname="libamdhip64.so.7")
    assert _codes(samples.host(hip=samples.hip(mapped=(six,)))) == ["hip-other"]
    assert _codes(samples.host(hip=samples.hip(mapped=(seven, six)))) == ["hip-two"]
    assert _codes(samples.host(hip=samples.hip(mapped=(), candidate=seven))) == []
    assert _codes(samples.host(hip=samples.hip(mapped=(), candidate=six))) == ["hip-missing"]
    assert _codes(samples.host(hip=samples.hip(mapped=(), torch_pending=True))) == []


def test_a_module_of_host_code_needs_neither_gpu_nor_runtime() -> None:
    host = samples.host(gpu=GpuFacts(source="none", targets=()), hip=samples.hip(mapped=()))
    assert _codes(host, gfx_targets=(), needed=("libc.so.6",)) == []


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("ck_moe_stage1(hidden_states: Tensor, topk: int) -> None", "2 parameters"),
        (SWAPPED, "parameter 2"),
        (FIT.replace("False", "True"), "parameter 4"),
    ],
)
def test_a_changed_signature_names_the_parameter(line: str, what: str) -> None:
    changed = samples.installed(signatures={"ck_moe_stage1": parse_signature(line)})
    host = samples.host(aiter=changed)
    verdict = match(samples.module(), AGREED, host, KNOWN)
    assert [reason.code for reason in verdict.reasons] == ["aiter-signature"]
    assert what in verdict.reasons[0].message


def test_both_names_of_the_17th_parameter_and_both_spellings_of_optional_fit() -> None:
    same = samples.installed(signatures={"ck_moe_stage1": parse_signature(FIT)})
    assert _codes(samples.host(aiter=same)) == []


def test_unknown_sources_are_a_note_only() -> None:
    verdict = match(samples.module(), AGREED, samples.host(), {})
    assert verdict.accepted
    assert [note.code for note in verdict.notes] == ["aiter-unknown"]


@pytest.mark.parametrize(
    ("text", "expected"), [("2.28", (2, 28)), ("2.2.5", (2, 2)), ("3.10", (3, 10))]
)
def test_version(text: str, expected: tuple[int, int]) -> None:
    assert version(text) == expected


@pytest.mark.parametrize("text", ["", "2", "PRIVATE", "2.x", "-1.2"])
def test_a_version_that_is_none_is_out_of_reach(text: str) -> None:
    assert version(text) > (9999, 0)


def test_enum_names_count_without_their_case() -> None:
    lower = samples.contract(quant_types={"per_1X32": 3}, activation_types={"silu": 0})
    assert match(samples.module(), {"one": lower}, samples.host(), KNOWN).accepted


HARVEST = Harvest(aiter_version="1.0", aiter_sources="d" * 64, cpython="3.12", torch="2.9")


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({}, []),
        ({"python": (3, 13)}, ["python"]),
        ({"torch": "2.10.0"}, ["torch"]),
        ({"torch": None}, ["torch"]),
        ({"aiter_sources": "e" * 64}, ["aiter-sources"]),
        ({"aiter": samples.installed(version="1.1")}, ["aiter-sources"]),
    ],
)
def test_a_harvested_module_is_bound_to_what_compiled_it(
    changes: dict[str, Any], codes: list[str]
) -> None:
    host = samples.host(**{"torch": "2.9.1+rocm7.2", "aiter_sources": "d" * 64, **changes})
    assert _codes(host, harvest=HARVEST) == codes


SECOND = samples.contract(signatures={"ck_moe_stage1": SWAPPED})


@pytest.mark.parametrize(("line", "agreed"), [(FIT, "one"), (SWAPPED, "two")])
def test_the_contract_that_is_aiters_is_named(line: str, agreed: str) -> None:
    host = samples.host(
        aiter=samples.installed(signatures={"ck_moe_stage1": parse_signature(line)})
    )
    verdict = match(samples.module(), {"one": samples.contract(), "two": SECOND}, host, KNOWN)
    assert verdict.accepted
    assert verdict.contract == agreed


def test_where_no_contract_fits_each_one_says_why() -> None:
    host = samples.host(aiter=samples.installed(quant_types={"per_1x32": 9}))
    verdict = match(samples.module(), {"one": samples.contract(), "two": SECOND}, host, KNOWN)
    assert verdict.contract is None
    assert [(r.code, r.message.rpartition(" (")[2]) for r in verdict.reasons] == [
        ("aiter-enum", "contract one)"),
        ("aiter-signature", "contract two)"),
        ("aiter-enum", "contract two)"),
    ]
