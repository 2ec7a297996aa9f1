from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from aiter_prebuilt.choice import verdict
from aiter_prebuilt.choice.verdict import EXIT_CODES, STATES
from tests.unit.aiter_prebuilt import samples

DOCUMENT = Path(__file__).parents[4] / "docs" / "exit-codes.md"
PREBUILT = verdict.prebuilt("ours", samples.STOCK)
COMPILES = verdict.compiles("CK2stages", samples.STOCK, "no wheel has it")
REFUSED = verdict.refused("CK's check", samples.STOCK, "K = 1 is not a multiple of 2")


def test_the_worst_verdict_decides() -> None:
    assert verdict.worst([]) == "prebuilt"
    assert verdict.worst([PREBUILT, COMPILES]) == "compiles"
    assert verdict.worst([REFUSED, PREBUILT, COMPILES]) == "refused"
    codes = [verdict.exit_code(each) for each in ([PREBUILT], [COMPILES, PREBUILT], [REFUSED])]
    assert codes == [0, 1, 9]
    assert list(EXIT_CODES) == list(STATES)


def test_the_document_has_the_same_exit_codes() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    table = text.partition("<!-- verdicts: begin -->")[2].partition("<!-- verdicts: end -->")[0]
    rows = re.findall(r"(?m)^\| (\w+) \| (\d+) \|", table)
    assert rows == [(state, str(code)) for state, code in EXIT_CODES.items()]


def test_words() -> None:
    assert PREBUILT.text == "by ours"
    assert COMPILES.text == (
        "by CK2stages, 55 to 110 s on an MI350X host of 64 cores (ROCm/aiter#3566): no wheel has it"
    )
    assert REFUSED.text == "by CK's check: K = 1 is not a multiple of 2"
    unknown = verdict.compiles("FlyDSL", None)
    assert (unknown.seconds, unknown.text) == (None, "by FlyDSL, how long is not known")
    done = verdict.compiled_already("CK2stages", samples.STOCK, "AITER's own file is found first")
    assert done.text == "by CK2stages, already done: AITER's own file is found first"
    instead = dataclasses.replace(PREBUILT, instead_of="wrong", instead_why="same numbers")
    assert instead.text == "by ours: instead of wrong (same numbers)"
    assert dataclasses.replace(instead, why="x").note == "instead of wrong (same numbers); x"


@pytest.mark.parametrize(
    ("module", "builder", "known"),
    [
        (samples.STOCK, "CK2stages", True),
        (f"{samples.STOCK}_", "CK2stages", True),
        (samples.STOCK.replace("shuffle_on", "shuffle_off"), "CK2stages", False),
        ("module_moe_ck2stages_f8_f8_x_mulWeightStage2", "CK2stages", False),
        ("module_moe_ck2stages_f8_f8_x_mulWeightStage2_splitk", "split-K CK2stages", False),
        ("module_moe_cktile2stages", "CK-Tile", False),
        ("module_moe_opus", "Opus", False),
        ("module_custom", "AITER", False),
    ],
)
def test_who_compiles_a_module_and_for_how_long(module: str, builder: str, known: bool) -> None:
    assert verdict.builder_of(module) == builder
    assert (verdict.seconds(builder, module) is not None) == known


def test_back_ends_have_peoples_names() -> None:
    split = dataclasses.replace(samples.FEATURES, splitk=True)
    assert verdict.builder("ck2stages", split) == "split-K CK2stages"
    assert verdict.builder("cktile", split) == "CK-Tile"
    assert verdict.builder("one-stage", samples.FEATURES) == verdict.ASSEMBLY
