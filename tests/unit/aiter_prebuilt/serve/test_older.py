from __future__ import annotations

import types
from typing import Any

from aiter_prebuilt.serve.older import forget
from tests.unit.aiter_prebuilt import samples

SIGNATURES = {"ck_moe_stage1": samples.SIGNATURE}  # kernelName is the third parameter


def module() -> types.ModuleType:
    found = types.ModuleType("m")

    def ck_moe_stage1(*args: Any, **given: Any) -> Any:
        return (*args, *given.values())

    ck_moe_stage1.__doc__ = samples.SIGNATURE
    found.ck_moe_stage1 = ck_moe_stage1  # type: ignore[attr-defined]
    return found


def test_a_name_that_aiter_has_not_reaches_the_module_as_one_that_it_has_not() -> None:
    served = module()
    forget(served, ["newer"], SIGNATURES)
    assert served.ck_moe_stage1(1, 2, "newer", True) == (1, 2, "newer (not in this AITER)", True)
    assert served.ck_moe_stage1(1, 2, kernelName="newer") == (1, 2, "newer (not in this AITER)")
    assert served.ck_moe_stage1(1, 2, "older", True) == (1, 2, "older", True)
    assert served.ck_moe_stage1(1, 2, None) == (1, 2, None)
    assert served.ck_moe_stage1(1, 2) == (1, 2)


def test_aiter_reads_the_same_signature() -> None:
    served = module()
    before = served.ck_moe_stage1
    forget(served, ["newer"], SIGNATURES)
    assert served.ck_moe_stage1 is not before
    assert served.ck_moe_stage1.__doc__ == samples.SIGNATURE
    assert served.ck_moe_stage1.__name__ == "ck_moe_stage1"


def test_a_module_that_has_no_such_instance_stays_as_it_is() -> None:
    served = module()
    before = served.ck_moe_stage1
    forget(served, [], SIGNATURES)
    assert served.ck_moe_stage1 is before
