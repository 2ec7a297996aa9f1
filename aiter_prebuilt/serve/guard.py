"""Calls that a reduced module does not cover: to the full module, to AITER's build, or an error.

The module's C++ side calls a :class:`Guard` only for such a call, so covered calls pay nothing.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from aiter_prebuilt.errors import UncoveredShapeError
from aiter_prebuilt.host.aiter import parse_signature
from aiter_prebuilt.reason import Reason
from aiter_prebuilt.serve import jit, record, report
from aiter_prebuilt.serve.offer import Offer, first_that_loads
from aiter_prebuilt.settings import Settings
from aiter_prebuilt.wheel.store import Entry

Call = Callable[..., Any]


class Guard:
    """Where the uncovered calls of one served module go; found once, then kept.

    ``AITER_PREBUILT_UNCOVERED``: ``full`` takes another module of the installed wheels only,
    ``jit`` AITER's own build only, ``auto`` the first and then the second, ``error`` neither.
    With AITER_PREBUILT=strict ``auto`` is ``full``: a server that must not compile does not.
    """

    def __init__(
        self, stock_name: str, entry: Entry, rest: Sequence[Offer], asked: Settings
    ) -> None:
        self._stock_name, self._entry, self._asked = stock_name, entry, asked
        (self._contract,) = entry.contracts.values()  # the one that is the installed AITER's
        self._rest = tuple(rest) if asked.uncovered in ("auto", "full") else ()
        builders = ("jit",) if asked.mode == "strict" else ("auto", "jit")
        self._build = asked.uncovered in builders
        self._lock = threading.Lock()
        self._target: ModuleType | None = None
        self._seen: set[tuple[str, str]] = set()

    def __call__(
        self, function: str, reason: str, args: tuple[Any, ...], given: Mapping[str, Any] | None
    ) -> Any:  # noqa: ANN401  whatever the other module returns
        """Pass the call on; raises UncoveredShapeError where nobody can take it."""
        kwargs = given or {}  # C passes None where a call has no keywords
        kind = (function, _TOKENS.sub("", reason))  # a server calls with every number of tokens
        if kind not in self._seen:
            self._seen.add(kind)
            shape = self._describe(function, args, kwargs)
            record.add(
                self._stock_name,
                "uncovered",
                f"{function} is outside the coverage of {self._entry.module.name}: {reason}; "
                f"called with {shape}",
            )
        target = self._find(function, reason, args, kwargs)
        call: Call = getattr(target, function)
        return call(*self._positional(function, args, kwargs))

    def _find(
        self, function: str, reason: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> ModuleType:
        with self._lock:  # a second thread waits for the build instead of starting another
            if self._target is None:
                problems: list[str] = []
                self._target = self._other_module(problems) or self._built(
                    function, args, kwargs, problems
                )
                if self._target is None:
                    raise self._error(function, reason, args, kwargs, problems)
            return self._target

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
        return Guard(self._stock_name, offer.entry, rest, self._asked)

    def _built(
        self,
        function: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        problems: list[str],
    ) -> ModuleType | None:
        if not self._build:
            problems.append(self._forbidden())
            return None
        began = time.perf_counter()
        try:
            module = jit.build(self._stock_name, function, self._positional(function, args, kwargs))
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

    def _describe(self, function: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        names = [parameter.name for parameter in self._parameters(function)]
        pairs = [*zip(names, args, strict=False), *kwargs.items()]
        return ", ".join(f"{name}={_show(value)}" for name, value in pairs if value is not None)

    def _error(
        self,
        function: str,
        reason: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        problems: Sequence[str],
    ) -> UncoveredShapeError:
        return UncoveredShapeError(
            f"{function}: {reason}; the prebuilt module {self._entry.module.name} does not cover "
            f"this call ({self._describe(function, args, kwargs)}) and no full module is to be "
            f"had: {'; '.join(problems) or 'no wheel has one'}. {self._advice()}"
        )

    def _advice(self) -> str:
        let = "AITER_PREBUILT_UNCOVERED=" + ("jit" if self._asked.mode == "strict" else "auto")
        if self._entry.module.coverage == "sound":
            return (
                "No wheel has this kernel, because its numbers are wrong; "
                f"{let} lets AITER compile it all the same"
            )
        return f"Install a wheel with full coverage, or set {let} to let AITER compile it"


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
