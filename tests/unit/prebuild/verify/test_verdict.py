"""Verdicts: what is kept of them, and where."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from prebuild.gfx950.launch import Launch
from prebuild.verify import report
from prebuild.verify import verify as module
from prebuild.verify.subject import Subject
from prebuild.verify.verdict import Verdict


def test_json_round_trip(verdict: Verdict) -> None:
    assert Verdict.from_json(json.loads(json.dumps(verdict.to_json()))) == verdict


def test_the_manifest_gets_figures_not_the_symbol(verdict: Verdict) -> None:
    assert verdict.manifest() == {
        "executor": "1",
        "problems": ["p"],
        "launch": "derived",
        "elements": 4,
        "instructions": 10,
        "max_error_over_bound": 0.5,
    }


class Runs:
    """Stands for the executor."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict, self.count = verdict, 0

    def __call__(self, subject: Subject, objdump: Path) -> Verdict:  # noqa: ARG002
        self.count += 1
        return replace(self.verdict, symbol=subject.symbol, code_object=subject.sha256)


@pytest.fixture
def runs(verdict: Verdict, monkeypatch: pytest.MonkeyPatch) -> Runs:
    made = Runs(verdict)
    monkeypatch.setattr(module, "run_subject", made)
    return made


def test_a_good_verdict_is_found_again(subject: Subject, runs: Runs, tmp_path: Path) -> None:
    first = module.verify([subject], objdump=Path("x"), cache=tmp_path)
    again = module.verify([subject], objdump=Path("x"), cache=tmp_path)
    assert runs.count == 1
    assert [verdict.cached for verdict in (*first, *again)] == [False, True]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"problems": []}', '{"problems": 1}'])
def test_a_damaged_verdict_is_made_again(
    text: str, subject: Subject, runs: Runs, tmp_path: Path
) -> None:
    module.verify([subject], objdump=Path("x"), cache=tmp_path)
    (kept,) = tmp_path.iterdir()
    good = kept.read_text()
    kept.write_text(text)
    (again,) = module.verify([subject], objdump=Path("x"), cache=tmp_path)
    assert (runs.count, again.cached, kept.read_text()) == (2, False, good)


def test_a_bad_verdict_is_not_kept(subject: Subject, runs: Runs, tmp_path: Path) -> None:
    runs.verdict = replace(runs.verdict, ok=False, failure="wrong")
    for _ in range(2):
        module.verify([subject], objdump=Path("x"), cache=tmp_path)
    assert runs.count == 2


def test_other_code_executor_or_launch_is_another_key(
    subject: Subject, runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = subject.batches[0].name()
    launch = Launch(symbol="kernel", grid=(2, 1, 1), block=(64, 1, 1), kernarg=bytes(200))
    module.verify([subject], objdump=Path("x"), cache=tmp_path)
    module.verify([replace(subject, sha256="cd" * 32)], objdump=Path("x"), cache=tmp_path)
    module.verify([replace(subject, launches={batch: launch})], objdump=Path("x"), cache=tmp_path)
    monkeypatch.setattr(module, "EXECUTOR_VERSION", "next")
    module.verify([subject], objdump=Path("x"), cache=tmp_path)
    assert runs.count == 4


def test_host_pointers_in_the_arguments_do_not_change_the_key(
    subject: Subject, runs: Runs, tmp_path: Path
) -> None:
    batch = subject.batches[0].name()
    for head in (bytes(16), bytes(range(16))):
        launch = Launch(
            symbol="kernel", grid=(2, 1, 1), block=(64, 1, 1), kernarg=head + bytes(184)
        )
        with_launch = replace(subject, launches={batch: launch})
        module.verify([with_launch], objdump=Path("x"), cache=tmp_path)
    assert runs.count == 1


def test_failures_are_written_one_file_a_kernel(verdict: Verdict, tmp_path: Path) -> None:
    bad = replace(verdict, ok=False, failure="first line\ntrace", kernel="gemm1 main/odd")
    other = replace(bad, symbol="another", failure="other trace")
    paths = report.write_failures([verdict, bad, other], tmp_path)
    assert [path.name.partition(".")[0] for path in paths] == ["gemm1_main_odd"] * 2
    assert [path.read_text().split("\n\n")[1] for path in paths] == [
        "first line\ntrace\n",
        "other trace\n",
    ]


def test_figures_over_all(verdict: Verdict) -> None:
    bad = replace(verdict, ok=False, max_error=9.0, opcodes={"s_nop": 2})
    figures = report.summarise([verdict, bad])
    assert (figures.kernels, figures.wrong, figures.opcodes) == (2, 1, 2)
    assert figures.max_error == 0.5
    assert report.table([verdict, bad]).row_count == 2


def test_two_builds_of_one_symbol_have_verdicts_of_their_own(subject: Subject, runs: Runs) -> None:
    other = replace(subject, sha256="cd" * 32)
    verdicts = module.verify([subject, other], objdump=Path("x"), jobs=1)
    assert runs.count == 2
    assert [verdict.code_object for verdict in verdicts] == ["ab" * 32, "cd" * 32]
