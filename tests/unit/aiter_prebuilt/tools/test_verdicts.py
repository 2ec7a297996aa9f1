"""What ``explain`` and ``doctor`` print of verdicts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from aiter_prebuilt.choice import explain, verdict
from aiter_prebuilt.choice.explain import Supply
from aiter_prebuilt.choice.questions import Question
from aiter_prebuilt.choice.rules import every_rules
from aiter_prebuilt.reason import Reason
from aiter_prebuilt.tools import doctor, installed, verdicts
from tests.unit.aiter_prebuilt import samples

DECLINED = verdict.compiles("CK2stages", samples.STOCK, "no GPU; no HIP")
NOT_SERVED = doctor.ModuleState(
    stock_name=samples.STOCK,
    verdict=DECLINED,
    reasons=tuple(Reason(code=text, message=text) for text in ("no GPU", "no HIP")),
    notes=(),
)


def answers(*questions: Question, preshuffle: bool = True) -> list[explain.Answer]:
    module = samples.module()

    def supply(name: str) -> Supply:
        if not preshuffle:
            return Supply(verdict=verdict.compiles("CK2stages", name, "no wheel has it"))
        told = verdict.prebuilt(module.name, name)
        return Supply(verdict=told, modules=(module,), table=module.instances)

    at = explain.AiterAt(tables=(), rules=list(every_rules())[-1])
    features = dataclasses.replace(samples.FEATURES, preshuffle=preshuffle)
    return list(explain.explain(questions, features, supply, at))


def batch(tokens: int, tp: int | None = None) -> Question:
    return Question(tokens=tokens, shape=samples.SHAPE, tp=tp)


def test_batches_of_one_answer_are_one_line_under_their_layer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    text = verdicts.answers(answers(batch(4, 2), batch(8, 2), batch(16, 2)), ()).splitlines()
    assert text[0] == f"{samples.STOCK}:"
    assert text[1] == "  TP 2, model_dim 7168, inter_dim 1024, experts 384, top 8"
    assert text[2].split() == ["tokens", "stage", "block_m", "verdict", "what"]
    assert text[3].split() == ["4-16", "1", "32", "prebuilt", "full", "one.main_even"]
    assert text[4].startswith("  4-16    2      32       refused   by AITER's heuristic: ")
    assert text[-1] == "6 calls: 3 prebuilt, 0 compiles, 3 refused"


def test_what_compiles_is_told_once_with_its_seconds() -> None:
    found = answers(batch(64), batch(4096), preshuffle=False)
    text = verdicts.answers(found, ()).splitlines()
    assert text[3].split()[:6] == ["64", "1,", "2", "32", "compiles", "by"]
    end = text[text.index("compiled, and how long that takes:") + 1 :]
    assert end[0].startswith("    - CK2stages, module_moe_ck2stages_fp4x2_fp4x2_preshuffle_off")
    assert " ".join(" ".join(end).split()).count("not known") == 1
    flydsl = dataclasses.replace(found[0], verdict=verdict.compiles("FlyDSL", None, "rule x"))
    text = verdicts.answers([flydsl], ()).splitlines()
    assert text[-1] == (
        "    - FlyDSL, kernel by kernel at the first call, unless its own cache has it: not known"
    )
    done = verdict.compiled_already("CK2stages", samples.STOCK, "AITER's own file")
    ready = verdicts.answers([dataclasses.replace(found[0], verdict=done)], ())
    assert "by CK2stages, already done: AITER's own file" in ready
    assert "how long" not in ready


def test_weights_with_and_without_their_mark_and_sizes_are_told_apart() -> None:
    found = [*answers(batch(64)), *answers(batch(64), preshuffle=False)]
    heads = [line for line in verdicts.answers(found, ()).splitlines() if line[0:6] == "module"]
    assert heads == [f"{each.stock_name}:" for each in found[::2]]
    spread = answers(batch(64, 2), batch(64, 4))
    lines = verdicts.answers(spread, ()).splitlines()
    assert sum("TP 2, " in line for line in lines) == sum("TP 4, " in line for line in lines) == 1


def test_a_call_refers_to_what_is_said_of_its_module() -> None:
    one, _ = answers(batch(64))
    declined = dataclasses.replace(one, verdict=DECLINED, instance=None)
    text = verdicts.answers([declined], [NOT_SERVED])
    assert text.count("no GPU") == 1
    assert "by CK2stages: see below" in " ".join(text.split())
    assert "no GPU" in verdicts.answers([declined], ())


def test_a_tuned_table_and_a_substitute_are_named() -> None:
    one, _ = answers(batch(64))
    told = dataclasses.replace(one.verdict, instead_of="wrong", instead_why="same numbers")
    row = dataclasses.replace(one, choice="tuned.csv", verdict=told)
    text = " ".join(verdicts.answers([row], ()).split())
    assert "full one.main_even: instead of wrong (same numbers) (tuned.csv)" in text


def test_modules_of_one_fate_share_their_reasons() -> None:
    other = dataclasses.replace(NOT_SERVED, stock_name=f"{samples.STOCK}_")
    less = dataclasses.replace(NOT_SERVED, stock_name="c", reasons=NOT_SERVED.reasons[:1])
    told = verdict.prebuilt("ours", "d", "full module")
    served = doctor.ModuleState(stock_name="d", verdict=told, reasons=(), notes=())
    head = "    - by CK2stages, 55 to 110 s on an MI350X host of 64 cores (ROCm/aiter#3566)"
    assert verdicts.states([NOT_SERVED, less, other, served]) == [
        "compiles:", f"  {samples.STOCK}", f"  {samples.STOCK}_", head, "    - no GPU",
        "    - no HIP",
        "compiles:", "  c", head, "    - no GPU",
        "prebuilt:", "  d", "    - full module",
    ]  # fmt: skip


def test_the_first_lines_say_whose_rules_and_settings_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    found = installed.Aiter(
        root=Path("aiter"), version="0.1.20", generation="v0.1.19.post1", release="v0.1.20",
        checked=True, flydsl=True, cu_count=64, environment=("AITER_KSPLIT=2",),
        notes=("it is assumed that a GPU of the wheel's kind is there, for one",),
    )  # fmt: skip
    lines = verdicts.whose_rules(found)
    assert lines[:2] == [
        "AITER 0.1.20 (rules: v0.1.20), with FlyDSL, 64 compute",
        "  units, AITER_KSPLIT=2",
    ]
    assert lines[2].startswith("note: it is assumed")
    assert all(len(line) <= 60 for line in lines)
    assert lines[-1] == ""
