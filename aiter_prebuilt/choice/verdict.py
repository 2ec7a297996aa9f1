"""What becomes of a MoE call or of a module: prebuilt, compiled, or refused, and by whom.

``aiter-prebuilt explain``, ``aiter-prebuilt doctor`` and ``prebuild coverage`` all answer with this
one value; their exit codes follow the worst of them (docs/exit-codes.md).
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, get_args

from aiter_prebuilt.call import ModuleKey
from aiter_prebuilt.choice.dispatch import Refusal, Replaced, short_name
from aiter_prebuilt.choice.routing import Backend
from aiter_prebuilt.values import value_class

State = Literal["prebuilt", "compiles", "refused"]
STATES: tuple[State, ...] = get_args(State)
"""From the best to the worst."""

EXIT_CODES: Mapping[State, int] = {"prebuilt": 0, "compiles": 1, "refused": 9}
"""Exit code of a command whose worst verdict has this state; of both command lines."""

HEURISTIC = "AITER's heuristic"
TILE = "CK's check of the shape"
ASSEMBLY = "AITER's assembly"
SPLIT_K = "split-K CK2stages"
BUILDERS: Mapping[Backend, str] = {
    "ck2stages": "CK2stages",
    "cktile": "CK-Tile",
    "flydsl": "FlyDSL",
    "opus": "Opus",
    "asm": ASSEMBLY,
    "one-stage": ASSEMBLY,
}
"""What people call AITER's back ends; CK2stages that splits K has a module of its own."""
MODULES: Mapping[Backend, str] = {
    "cktile": "module_moe_cktile2stages",
    "opus": "module_moe_opus",
}
"""The module of a back end that has one for all calls; FlyDSL compiles kernel by kernel."""

_FIGURES = Path(__file__).parents[1] / "data" / "compile_times.json"


@value_class(frozen=True, kw_only=True)
class Seconds:
    """How long a compile takes by the clock, where somebody published it."""

    low: float
    high: float
    where: str
    source: str

    @property
    def text(self) -> str:
        """``55 to 110 s on ... (source)``."""
        span = f"{self.low:g}" if self.low == self.high else f"{self.low:g} to {self.high:g}"
        return f"{span} s on {self.where} ({self.source})"


@value_class(frozen=True, kw_only=True)
class Verdict:
    """What becomes of a call, or of AITER's question for a module."""

    state: State
    by: str
    """Of what is prebuilt: the module that answers; AITER's assembly, which comes compiled, or its
    own build of another back end.  Of what compiles: AITER's back end.  Of what is refused: who
    raises."""
    module: str | None = None
    """AITER's name of the module in question, None where there is none (assembly, FlyDSL)."""
    why: str = ""
    """The reason in words; empty where nothing is to be said."""
    seconds: Seconds | None = None
    """Of a compile; None: not known, or there is none."""
    compiled_already: bool = False
    """Whether AITER's own build stands before ours: ``compiles`` then costs nothing now."""
    instead_of: str = ""
    """The kernel that the call names, where another one answers, which does the same."""
    instead_why: str = ""

    @property
    def text(self) -> str:
        """The verdict as the end of a sentence that begins with its state."""
        return f"{self.how}: {self.note}" if self.note else self.how

    @property
    def how(self) -> str:
        """Who does it, and of a compile for how long."""
        if self.state != "compiles":
            return f"by {self.by}"
        if self.compiled_already:
            return f"by {self.by}, already done"
        return f"by {self.by}, {self.seconds.text if self.seconds else 'how long is not known'}"

    @property
    def note(self) -> str:
        """All that is to be said beside; empty where nothing is."""
        named = f"instead of {self.instead_of} ({self.instead_why})" if self.instead_of else ""
        return "; ".join(filter(None, (named, self.why)))


def prebuilt(by: str, module: str | None, why: str = "") -> Verdict:
    """Return the verdict on what needs no compile."""
    return Verdict(state="prebuilt", by=by, module=module, why=why)


def compiles(by: str, module: str | None, why: str = "") -> Verdict:
    """Return the verdict on what a back end compiles, with the seconds that are known for it."""
    return Verdict(state="compiles", by=by, module=module, why=why, seconds=seconds(by, module))


def compiled_already(by: str, module: str, why: str) -> Verdict:
    """Return the verdict on what AITER has built before and takes again."""
    return Verdict(state="compiles", by=by, module=module, why=why, compiled_already=True)


def refused(by: str, module: str | None, why: str) -> Verdict:
    """Return the verdict on a call that raises."""
    return Verdict(state="refused", by=by, module=module, why=why)


def refused_for(refusal: Refusal, module: str) -> Verdict:
    """Return the verdict on a call that AITER's whole module has no kernel for."""
    by = HEURISTIC if refusal.what == "block_m" else TILE
    return refused(by, module, refusal.text)


def instead(told: Verdict, replaced: Replaced | None) -> Verdict:
    """Return a verdict that says which kernel another one answers for, if it does."""
    if replaced is None:
        return told
    named = short_name(replaced.instance.name)
    return dataclasses.replace(told, instead_of=named, instead_why=replaced.reason)


def builder(backend: Backend, features: ModuleKey) -> str:
    """Return what people call the back end of a call with these features."""
    splits = backend == "ck2stages" and features.splitk
    return SPLIT_K if splits else BUILDERS[backend]


def builder_of(module: str) -> str:
    """Return the back end of a module, by AITER's name for it."""
    name = module.rstrip("_")
    if name.startswith("module_moe_ck2stages_"):
        return SPLIT_K if name.endswith("_splitk") else BUILDERS["ck2stages"]
    own = (BUILDERS[backend] for backend, known in MODULES.items() if known == name)
    return next(own, "AITER")


def seconds(by: str, module: str | None) -> Seconds | None:
    """Return how long a compile takes, None where nobody published a figure."""
    for (backend, beginning), known in _figures().items():
        if by == backend and (module or "").startswith(beginning):
            return known
    return None


def worst(verdicts: Iterable[Verdict]) -> State:
    """Return the worst state there is; prebuilt for none."""
    return max((each.state for each in verdicts), key=STATES.index, default="prebuilt")


def exit_code(verdicts: Iterable[Verdict]) -> int:
    """Return the exit code of a command that gave these verdicts."""
    return EXIT_CODES[worst(verdicts)]


@functools.cache
def _figures() -> Mapping[tuple[str, str], Seconds]:
    """By back end and the beginning of the module's name."""
    raw = json.loads(_FIGURES.read_text(encoding="utf-8"))["figures"]
    return {(each.pop("backend"), each.pop("module")): Seconds(**each) for each in raw}
