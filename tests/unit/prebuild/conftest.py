"""Subjects and verdicts without machine code."""

from __future__ import annotations

from typing import Any

import pytest

from prebuild.verify.problems import Kind
from prebuild.verify.subject import Facts, Subject
from prebuild.verify.verdict import Verdict

FACTS: dict[str, Any] = {
    "kind": Kind.MX_FP4, "k1": 16, "bk1": 16,
    "stage": 1, "block_size": 64, "m": 32, "n": 32, "k": 128, "pipeline": 3, "activation": "silu",
    "routed_weight": False, "main_loop": False, "tail": "odd", "out": "bf16",
}  # fmt: skip


@pytest.fixture
def subject() -> Subject:
    return Subject.of("kernel", Facts(**FACTS), data=b"", sha256="ab" * 32)


@pytest.fixture
def verdict() -> Verdict:
    return Verdict(
        symbol="kernel", kernel="gemm1", code_object="ab" * 32, executor="1", ok=True,
        problems=("p",), launch="derived", instructions=10, waves=1, elements=4, max_error=0.5,
        unreached=0, opcodes={"s_endpgm": 1}, seconds=0.1,
    )  # fmt: skip
