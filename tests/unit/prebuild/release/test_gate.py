from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from prebuild.inspect.elf import ElfFacts
from prebuild.release.gate import floors, refused, shape, unbound, unproven
from prebuild.release.symbols import Bound
from tests.unit.aiter_prebuilt.samples import instance, kernel, module

FILE = "modules/one.abi3.so"
GOOD = ElfFacts(
    soname="one.abi3.so",
    needed=("libamdhip64.so.7", "libc.so.6"),
    run_paths=(),
    versions=(("libc.so.6", "GLIBC_2.14"), ("libamdhip64.so.7", "hip_4.2")),
    undefined=(),
    exported=(),
    bundle_targets=("gfx950",),
)
LAUNCH = Bound(name="hipLaunchKernel", version="hip_4.2", library="libamdhip64.so.7", weak=False)
RUNTIME = Path("/rocm/libamdhip64.so.7")


def test_a_good_module_has_no_findings() -> None:
    assert list(shape(FILE, GOOD)) == []
    assert list(unbound(FILE, [LAUNCH])) == []
    assert list(refused(FILE, [LAUNCH], RUNTIME, frozenset({"hipLaunchKernel@hip_4.2"}))) == []


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("soname", "two.so", "SONAME is 'two.so'"),
        ("run_paths", ("/opt",), "run paths"),
        ("bundle_targets", ("gfx942", "gfx950"), "gfx942"),
        ("needed", ("libc.so.6",), "does not name libamdhip64.so.7"),
    ],
)
def test_each_defect_of_shape_is_found(field: str, value: object, words: str) -> None:
    (finding,) = shape(FILE, dataclasses.replace(GOOD, **{field: value}))
    assert words in finding


def test_a_symbol_without_library_is_found_python_and_weak_ones_aside() -> None:
    def symbol(name: str, *, weak: bool = False) -> Bound:
        return Bound(name=name, version="", library="", weak=weak)

    symbols = [symbol("PyErr_Format"), symbol("_Py_Dealloc"), symbol("__gmon_start__", weak=True)]
    assert list(unbound(FILE, symbols)) == []
    (finding,) = unbound(FILE, [*symbols, symbol("_ZN2ck5thingE")])
    assert "_ZN2ck5thingE" in finding


@pytest.mark.parametrize("offers", [set(), {"hipLaunchKernel"}, {"hipLaunchKernel@hip_6.0"}])
def test_a_runtime_without_the_symbols_version_is_refused(offers: set[str]) -> None:
    (finding,) = refused(FILE, [LAUNCH], RUNTIME, frozenset(offers))
    assert "hipLaunchKernel@hip_4.2" in finding
    assert str(RUNTIME) in finding


def test_floors_are_the_highest_of_all_modules() -> None:
    newer = dataclasses.replace(GOOD, versions=(("libc.so.6", "GLIBC_2.9"), ("", "GLIBC_2.28")))
    assert floors([GOOD, newer]) == {"GLIBC_": "2.28", "hip_": "4.2"}


def test_every_kernel_has_to_have_a_verdict() -> None:
    good = dataclasses.replace(kernel(tail="odd"), verified={"launch": "module"})
    bad = kernel(main_loop=False, tail="even")
    one = instance("moe_one", kernels=(good, bad))
    assert list(unproven(module(instances=(instance(kernels=(good,)),)))) == []
    (finding,) = unproven(module(instances=(one,), file="modules/one.so"))
    assert finding.startswith("modules/one.so: moe_one.nomain_even has no verdict")
    assert "verify=stop" in finding


def test_a_verdict_on_a_launch_that_nobody_makes_proves_nothing() -> None:
    derived = dataclasses.replace(kernel(tail="odd"), verified={"launch": "derived"})
    (finding,) = unproven(module(instances=(instance(kernels=(derived,)),)))
    assert "a verdict on a derived launch" in finding


def test_a_harvested_module_lists_no_kernels() -> None:
    assert list(unproven(module(instances=()))) == []
