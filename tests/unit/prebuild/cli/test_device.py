from __future__ import annotations

import json
import math
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from prebuild.cli import device as cli
from prebuild.verify.device import Beside


def one(**changes: Any) -> Beside:
    values: dict[str, Any] = {
        "module": "module_a",
        "kernel": "kernel.main_odd",
        "operands": "f8 f8 b16 per_Token",
        "elements": 1024,
        "state": "same",
        "max_error": 0.5,
        "device": "right",
    }
    return Beside(**{**values, **changes})


def start(monkeypatch: pytest.MonkeyPatch, found: list[Beside], *options: str) -> Result:
    monkeypatch.setattr(cli.device, "compare", lambda *_, **__: found)
    app = typer.Typer()
    app.command()(cli.command)
    return CliRunner().invoke(app, ["a.whl", "report.json", *options])


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ([one()], 0),
        ([], 1),
        ([one(), one(state="other bits")], 1),
        ([one(state="not reported")], 1),
        ([one(failure="2 elements are NaN")], 1),
    ],
)
def test_exit_codes(found: list[Beside], code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = start(monkeypatch, found, "--json")
    assert answer.exit_code == code
    assert len(json.loads(answer.stdout)["kernels"]) == len(found)


def test_an_error_that_is_no_number_is_null(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [one(max_error=math.inf, failure="2 elements are NaN"), one()]
    printed = json.loads(start(monkeypatch, found, "--json").stdout, parse_constant=pytest.fail)
    assert [kernel["max_error"] for kernel in printed["kernels"]] == [None, 0.5]


def test_a_row_for_each_kind_of_operands() -> None:
    found = [
        one(),
        one(state="other bits", max_error=0.9),
        one(operands="b16 b16 b16 No", state="failed", elements=0),
    ]
    drawn = cli.table(found)
    cells = [list(column.cells) for column in drawn.columns]
    assert list(zip(*cells, strict=True)) == [
        ("b16 b16 b16 No", "1", "0", "0", "0", "1", "0.500"),
        ("f8 f8 b16 per_Token", "2", "2,048", "1", "1", "0", "0.900"),
        ("all", "3", "2,048", "1", "1", "1", "0.900"),
    ]


def test_what_is_not_the_same_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(cli.console, "say", lambda text, _to: said.append(text))
    start(monkeypatch, [one(), one(kernel="k2", state="failed", failure="no semantics")])
    assert said == ["module_a, k2: failed, right on the device; the executor: no semantics"]
