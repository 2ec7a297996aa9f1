"""Calls that a served module refuses: to another module, to AITER's build, or back to the module.

The module's C++ side (``csrc/call.cpp``) calls a :class:`Guard` only for such a call, so covered
calls pay nothing.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, Literal

from aiter_prebuilt.errors import UncoveredShapeError
from aiter_prebuilt.host.aiter import parse_signature
from aiter_prebuilt.reason import Reason
from aiter_prebuilt.serve import jit, record, report
from aiter_prebuilt.serve.offer import Offer, first_that_loads
from aiter_prebuilt.settings import Settings
from aiter_prebuilt.values import value_class
from aiter_prebuilt.wheel.store import Entry

Call = Callable[..., Any]
Kind = Literal["instance", "kernel", "tile", "name", "block_m", "arguments", "instead"]
"""What the module refuses a call for: an instance or a kernel that is left out of it; N or K that
the instance's tile does not divide; a kernelName, or a block_m, that AITER's whole module has not;
arguments that are not those of the module's features.  ``instead`` is no refusal: the module tells
that it ran another kernel than the one that the call asked for."""
_LEFT_OUT = ("instance", "kernel")


class Guard:
    """Where the refused calls of one served module go; found once, then kept.

    A call for what is left out of the module goes to another module of the installed wheels, then
    to AITER's own build.  Any other one AITER's whole module would refuse as well, as far as its
    sources are known (``aiter_known``): it goes back to the module, whose error names the shape and
    costs no compile.  An AITER that nobody checked may take it, so it goes to that AITER's build.

    ``AITER_PREBUILT_UNCOVERED``: ``full`` takes another module of the installed wheels only,
    ``jit`` AITER's own build only, ``auto`` the first and then the second, ``error`` neither.
    With AITER_PREBUILT=strict ``auto`` is ``full``: a server that must not compile does not.
    """

    def __init__(
        self,
        stock_name: str,
        entry: Entry,
        rest: Sequence[Offer],
        asked: Settings,
        *,
        aiter_known: bool,
    ) -> None:
        self._stock_name, self._entry, self._asked = stock_name, entry, asked
        self._aiter_known = aiter_known
        (self._contract,) = entry.contracts.values()  # the one that is the installed AITER's
        self._rest = tuple(rest) if asked.uncovered in ("auto", "full") else ()
        builders = ("jit",) if asked.mode == "strict" else ("auto", "jit")
        self._build = asked.uncovered in builders
        self._lock = threading.Lock()
        self._targets: dict[bool, ModuleType] = {}
        """By whether the refused call is one for what is left out."""
        self._seen: set[tuple[str, str]] = set()

    def __call__(
        self,
        function: str,
        kind: Kind,
        reason: str,
        args: tuple[Any, ...],
        given: Mapping[str, Any] | None,
    ) -> Any:  # noqa: ANN401  whatever the other module returns
        """Pass the call on; NotImplemented where the module's own answer is AITER's.

        Raises UncoveredShapeError where nobody can take it.
        """
        if kind == "instead":
            record.add(self._stock_name, kind, reason)
            return None
        if kind not in _LEFT_OUT and self._aiter_known:
            return NotImplemented
        # C passes None where a call has no keywords.
        call = _Refused(
            function=function,
            kind=kind,
            reason=reason.removeprefix(f"{function}(): "),
            args=self._positional(function, args, given or {}),
        )
        self._tell(call)
        target: Call = getattr(self._find(call), function)
        return target(*call.args)

    def _tell(self, call: _Refused) -> None:
        """Log what is refused, once a reason: a server calls with every number of tokens."""
        seen = (call.function, _TOKENS.sub("", call.reason))
        if seen in self._seen:
            return
        self._seen.add(seen)
        name = self._entry.module.name
        what = (
            f"{call.function} is outside the coverage of {name}"
            if call.kind in _LEFT_OUT
            else f"{call.function} is handed on, because {name} refuses what {_UNCHECKED}"
        )
        message = f"{what}: {call.reason}; called with {self._describe(call)}"
        record.add(self._stock_name, "uncovered", message)

    def _find(self, call: _Refused) -> ModuleType:
        left_out = call.kind in _LEFT_OUT
        with self._lock:  # a second thread waits for the build instead of starting another
            target = self._targets.get(left_out)
            if target is None:
                problems: list[str] = []
                # Our other modules refuse what AITER's whole module does.
                other = self._other_module(problems) if left_out else None
                target = other or self._built(call, problems)
                if target is None:
                    raise self._error(call, problems)
                self._targets[left_out] = target
            return target

    def _other_module(self, problems: list[str]) -> ModuleType | None:
        def refuse(offer: Offer, reason: Reason) -> None:
            problems.append(f"{offer.entry.module.name}: {reason.message}")

        began = time.perf_counter()
        served = first_that_loads(self._rest, self._asked, guard=self._next, refuse=refuse)
        if served is None:
            return None
        own = served.offer.entry.module
        self._say(f"uncovered calls go to {own.coverage} module {own.name}")
        self._note(own.name, began)
        return served.module

    def _next(self, offer: Offer, rest: Sequence[Offer]) -> Guard:
        return Guard(
            self._stock_name, offer.entry, rest, self._asked, aiter_known=self._aiter_known
        )

    def _built(self, call: _Refused, problems: list[str]) -> ModuleType | None:
        if not self._build:
            problems.append(self._forbidden())
            return None
        began = time.perf_counter()
        try:
            module = jit.build(self._stock_name, call.function, call.args)
        except jit.JitError as error:
            problems.append(str(error))
            return None
        self._say(f"uncovered calls go to AITER's own build {module.__file__}")
        self._note("AITER's own build", began)
        return module

    def _forbidden(self) -> str:
        if self._asked.uncovered == "auto":
            return "AITER_PREBUILT=strict allows no build"
        return f"AITER_PREBUILT_UNCOVERED={self._asked.uncovered} allows no build"

    def _note(self, to: str, began: float) -> None:
        seconds = time.perf_counter() - began
        report.handed_on(report.HandedOn(module=self._stock_name, to=to, seconds=seconds))

    def _say(self, message: str) -> None:
        record.add(self._stock_name, "uncovered-to", message, level=logging.WARNING)

    def _positional(
        self, function: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[Any, ...]:
        """Return all arguments in order: AITER's stub and its binding name one differently."""
        if not kwargs:
            return args
        values = list(args)
        aliases = self._contract.aliases
        left = {aliases.get(name, name): value for name, value in kwargs.items()}
        for parameter in self._parameters(function)[len(args) :]:
            if parameter.name in left:
                values.append(left.pop(parameter.name))
            elif parameter.default is not None and left:
                values.append(_literal(parameter.default))
            else:
                break
        if left:
            raise TypeError(f"{function} got unexpected arguments {sorted(left)}")
        return tuple(values)

    def _parameters(self, function: str) -> tuple[Any, ...]:
        return parse_signature(self._contract.signatures[function])

    def _describe(self, call: _Refused) -> str:
        names = [parameter.name for parameter in self._parameters(call.function)]
        pairs = zip(names, call.args, strict=False)
        return ", ".join(f"{name}={_show(value)}" for name, value in pairs if value is not None)

    def _error(self, call: _Refused, problems: Sequence[str]) -> UncoveredShapeError:
        called = f"({self._describe(call)})"
        if call.kind in _LEFT_OUT:
            what = f"does not cover this call {called} and no full module is to be had"
        else:
            what = f"refuses this call {called}, {_UNCHECKED}, and it is not to be had"
        found = "; ".join(problems) or "no wheel has one"
        name = self._entry.module.name
        return UncoveredShapeError(
            f"{call.function}: {call.reason}; the prebuilt module {name} {what}: {found}. "
            f"{self._advice(call.kind)}"
        )

    def _advice(self, kind: Kind) -> str:
        let = "AITER_PREBUILT_UNCOVERED=" + ("jit" if self._asked.mode == "strict" else "auto")
        if kind not in _LEFT_OUT:
            return f"Install a wheel that knows this AITER, or set {let} to let AITER compile it"
        if self._entry.module.coverage != "deployed":
            return f"No wheel has this kernel; {let} lets AITER compile it all the same"
        return f"Install a wheel with full coverage, or set {let} to let AITER compile it"


@value_class(frozen=True, kw_only=True)
class _Refused:
    """One call that the module refuses."""

    function: str
    kind: Kind
    reason: str
    args: tuple[Any, ...]
    """By position, trailing defaults left out."""


_UNCHECKED = "this AITER's own build may take (its sources were not checked with this wheel)"
_TOKENS = re.compile(r"\btokens = \d+")
_LONGEST = 200  # characters of an argument; a kernel's name has up to 130


def _literal(text: str) -> Any:  # noqa: ANN401  a default value
    import ast

    return ast.literal_eval(text)


def _show(value: Any) -> str:  # noqa: ANN401  an argument
    shape = getattr(value, "shape", None)
    if shape is None:
        return repr(value)[:_LONGEST]
    kind = str(getattr(value, "dtype", type(value).__name__)).removeprefix("torch.")
    return f"{kind}[{', '.join(map(str, shape))}]"
