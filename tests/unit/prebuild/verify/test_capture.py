"""From a module to the launches of its subjects, with a recorder that answers from a list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prebuild.core.contracts import load_contracts
from prebuild.gfx950.launch import Launch
from prebuild.recording import Call, LaunchRecord, Recorder
from prebuild.recording.recorder import Recorded
from prebuild.verify import capture, launches
from prebuild.verify.subject import Subject
from tests.unit.aiter_prebuilt import samples

NAME = "instance"


@dataclass(frozen=True, kw_only=True)
class Answers(Recorder):
    """Launches what CK would; ``silent`` calls launch nothing, ``raising`` ones raise."""

    wanted: Sequence[Launch]
    silent: frozenset[int] = frozenset()
    raising: frozenset[int] = frozenset()
    seen: list[list[Call]] = field(default_factory=list)

    def record(self, _name: str, _module: Path, calls: Sequence[Call], **_: Any) -> Recorded:
        first = sum(map(len, self.seen[1:])) if len(calls) == 1 else 0
        self.seen.append(list(calls))
        positions = range(first, first + len(calls))
        good: dict[str, Any] = {"returned": None, "warnings": []}
        bad = {"raised": "ValueError", "message": "no"}
        return Recorded(
            docs={},
            results=tuple(bad if at in self.raising else good for at in positions),
            launches=tuple(
                launched(self.wanted[at])
                for at in positions
                if at not in self.silent | self.raising
            ),
        )


def launched(launch: Launch) -> LaunchRecord:
    return LaunchRecord(
        symbol=launch.symbol, grid=launch.grid, block=launch.block, shared=0, stream=0, device=0,
        arguments=launch.kernarg,
    )  # fmt: skip


def wanted(subject: Subject) -> list[Launch]:
    made = []
    for batch in subject.batches:
        facts = subject.facts
        _, placed = capture.place(facts, batch)
        launch = launches.launch(
            subject.symbol,
            facts.tile,
            facts.kind,
            batch,
            placed,
            routed_weight=facts.routed_weight,
        )
        made.append(launch)
    return made


def captured(subject: Subject, recorder: Recorder) -> Subject:
    kernel = samples.m.Kernel(**{**vars(samples.kernel()), "symbol": subject.symbol})
    contracts = tuple(each.name for each in load_contracts())
    instances = (samples.instance(NAME, kernels=(kernel,)),)
    module = samples.module(instances=instances, contracts=contracts)
    (found,) = capture.with_launches(module, module.features, Path("m.so"), [subject], recorder)
    return found


def test_every_problem_gets_the_modules_own_launch(subject: Subject) -> None:
    recorder = Answers(runtime=Path(), wanted=wanted(subject))
    found = captured(subject, recorder)
    assert found.launch_problem == ""
    assert set(found.launches) == {batch.name() for batch in subject.batches}
    (calls,) = recorder.seen
    assert {call.args[8] for call in calls} == {NAME}, "the kernel is asked for by its name"
    assert {call.function for call in calls} == {f"ck_moe_stage{subject.facts.stage}"}


def test_where_launches_cannot_be_told_apart_each_call_has_a_process(subject: Subject) -> None:
    recorder = Answers(runtime=Path(), wanted=wanted(subject), silent=frozenset({0}))
    found = captured(subject, recorder)
    _, *others = subject.batches
    assert [len(calls) for calls in recorder.seen] == [1 + len(others), 1, *([1] * len(others))]
    assert "0 launches" in found.launch_problem
    assert list(found.launches) == [batch.name() for batch in others]


def test_a_call_that_raises_takes_no_launch_of_another(subject: Subject) -> None:
    recorder = Answers(runtime=Path(), wanted=wanted(subject), raising=frozenset({0}))
    found = captured(subject, recorder)
    assert len(recorder.seen) == 1
    assert "ValueError: no" in found.launch_problem
    assert list(found.launches) == [batch.name() for batch in subject.batches[1:]]
