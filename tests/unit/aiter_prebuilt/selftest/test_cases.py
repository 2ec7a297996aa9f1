from __future__ import annotations

from aiter_prebuilt.selftest.cases import cases_of, chosen
from tests.unit.aiter_prebuilt.samples import entry, instance, kernel, module

KERNELS = (kernel(main_loop=True, tail="even"), kernel(main_loop=False, tail="odd"))
ONE = entry(module(instances=(instance("moe_a", kernels=KERNELS), instance("moe_b"))))


def test_every_kernel_of_a_module() -> None:
    assert [case.name for case in cases_of(ONE.module)] == [
        "moe_a.main_even", "moe_a.nomain_odd", "moe_b.main_even",
    ]  # fmt: skip


def test_those_whose_names_hold_a_text() -> None:
    assert [case.name for case in chosen([ONE], "", "moe_a.no")] == ["moe_a.nomain_odd"]
    assert len(chosen([ONE], "fp4x2", "")) == 3
    assert chosen([ONE], "f8_", "") == ()
