"""The console script ``aiter-prebuilt``: the table of its commands, and what each does."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import importlib.metadata
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

from aiter_prebuilt import settings, target
from aiter_prebuilt.choice import explain, verdict
from aiter_prebuilt.errors import PrebuiltError, UsageError
from aiter_prebuilt.tools import (
    ask,
    completion,
    doctor,
    image,
    installed,
    provenance,
    seed,
    selftest,
    show,
    supply,
    tables,
    verdicts,
    wheelcheck,
)
from aiter_prebuilt.wheel import store

JSON_SCHEMA = 4
"""Raised by one whenever a reader of the old JSON output would misread the new one."""

OK, FOUND, USAGE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 3, 5, 130
"""Exit codes; ``docs/exit-codes.md`` says what each means for each command."""


class _Parser(argparse.ArgumentParser):
    """Leaves it to :func:`main` to say what is wrong with a command line: in one line, or JSON."""

    def error(self, message: str) -> NoReturn:
        command = self.prog.partition(" ")[2]
        where = f"{command}: " if command else ""
        raise UsageError(f"{where}{message} (see {self.prog} --help)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    _settle_streams()
    parsed = argparse.Namespace(json="--json" in given, command=given[0] if given else None)
    try:
        parsed = _parser().parse_args(given)
        code = int(parsed.run(parsed))
        sys.stdout.flush()
    except PrebuiltError as error:
        return _fail(parsed, error)
    except KeyboardInterrupt:
        print("aiter-prebuilt: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return FAILED
    except OSError as error:
        if error.filename is None:
            _drop_output()
            print(f"aiter-prebuilt: cannot write: {error.strerror or error}", file=sys.stderr)
            return FAILED
        return _fail(parsed, PrebuiltError(f"{error.filename}: {error.strerror}"))
    else:
        return code


def _settle_streams() -> None:
    """Let no stream end a command: a closed one takes nothing, a poor one takes escapes."""
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a path may hold what a locale has not
        sys.stdout.reconfigure(errors="backslashreplace")


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def _drop_output() -> None:
    """What the buffer of a full or broken standard output still holds, Python's end would write."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(parsed: argparse.Namespace, error: PrebuiltError) -> int:
    if parsed.json:
        _print_json(parsed, error={"kind": type(error).__name__, "message": str(error)})
    print(tables.fitted(f"aiter-prebuilt: {error}", sys.stderr), file=sys.stderr)
    return error.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="aiter-prebuilt",
        description="Prebuilt CK2stages MoE modules of AITER: look after them.",
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text, extend in (
        ("list", _list, "list the installed modules", None),
        ("verify", _verify, "check every installed file to the last byte", _verify_options),
        ("doctor", _doctor, "say what would be served on this host, and why not", _doctor_options),
        ("explain", _explain, "say what calls take, and what compiles", _explain_options),
        ("seed", _seed, "place full modules in a JIT directory", _seed_options),
        ("selftest", _selftest, "run every kernel on this GPU and judge it", selftest.options),
        ("completion", _completion, "print a shell's completion script", _completion_options),
    ):
        command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        command.add_argument("--json", action="store_true", help="print JSON instead of tables")
        command.set_defaults(run=run, command=name)
        if extend is not None:
            extend(command)
    return parser


def _version() -> str:
    try:
        return importlib.metadata.version(target.load().distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _completion_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("shell", choices=completion.SHELLS)


def _completion(parsed: argparse.Namespace) -> int:
    print(completion.script(_parser(), parsed.shell), end="")
    return OK


def _verify_options(command: argparse.ArgumentParser) -> None:
    text = "also say how the wheel was built, and compare its SBOM with that"
    command.add_argument("--provenance", action="store_true", help=text)


def _doctor_options(command: argparse.ArgumentParser) -> None:
    what = command.add_mutually_exclusive_group()
    what.add_argument("--pid", type=int, help="look at this running process")
    text = "judge an image that is built without a GPU: take the wheel's GPU for there"
    what.add_argument("--image", action="store_true", help=text)


def _explain_options(command: argparse.ArgumentParser) -> None:
    ask.options(command)
    text = "tell of the calls alone that AITER gives to this back end; default: of all"
    command.add_argument("--backend", choices=tuple(verdict.BUILDERS), help=text)
    theirs = command.add_argument_group("host and AITER", "as they are here, unless said otherwise")
    theirs.add_argument("--aiter", type=Path, metavar="PATH", help="a checkout or package folder")
    text = "whose rules count; default: the installed AITER's"
    theirs.add_argument("--aiter-version", metavar="RELEASE", help=text)
    text = "whether FlyDSL is installed; default: as it is here"
    theirs.add_argument("--flydsl", action=argparse.BooleanOptionalAction, help=text)
    text = "compute units, of a partition for instance; default: this GPU's"
    theirs.add_argument("--cu-count", type=ask.count, metavar="N", help=text)
    text = "answer for a host with the wheel's GPU; default: where this one has no GPU"
    theirs.add_argument("--image", action=argparse.BooleanOptionalAction, help=text)


def _seed_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--jit-dir", type=_folder, required=True, help="AITER's JIT directory")
    command.add_argument("--dry-run", action="store_true", help="say what would be done")
    command.add_argument("--force", action="store_true", help="replace files that AITER built")
    command.add_argument("--remove", action="store_true", help="remove what was placed before")


def _folder(text: str) -> Path:
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty; expected the path of a folder")
    return Path(text)


def _list(parsed: argparse.Namespace) -> int:
    shelves = store.read_all()
    if parsed.json:
        _print_json(parsed, **show.modules_json(shelves))
    else:
        _print(show.modules(shelves))
    return OK if all(shelf.reason is None for shelf in shelves) else FOUND


def _verify(parsed: argparse.Namespace) -> int:
    report = wheelcheck.verify()
    told = provenance.read() if parsed.provenance else ()
    if parsed.json:
        fields = dataclasses.asdict(report)
        if parsed.provenance:
            fields["provenance"] = [dataclasses.asdict(entry) for entry in told]
        _print_json(parsed, sound=report.sound, **fields)
    else:
        _print("\n".join([*map(show.provenance, told), show.wheel(report)]))
    return OK if report.sound and not any(entry.problems for entry in told) else FOUND


def _doctor(parsed: argparse.Namespace) -> int:
    asked = settings.read()
    if parsed.image:
        image.settle(asked)
    report = doctor.examine(asked, parsed.pid, image=parsed.image)
    if parsed.json:
        _print_json(parsed, **dataclasses.asdict(report))
    else:
        _print(show.doctor(report))
    attention = FOUND if report.problems or not report.modules else OK
    return max(attention, verdict.exit_code(module.verdict for module in report.modules))


def _explain(parsed: argparse.Namespace) -> int:
    shelves, asked, wish = store.read_all(), settings.read(), _wish(parsed)
    at, whose = installed.look(asked, settings.read_aiter(), wish)
    there, assumed = installed.host_of(asked, wish, shelves)
    whose = dataclasses.replace(whose, notes=(*whose.notes, *assumed))
    judged = functools.cache(functools.partial(supply.judge_module, there=there))
    answers = [
        answer
        for features, questions in ask.calls(parsed, shelves)
        for answer in explain.explain(questions, features, lambda name: judged(name).supply, at)
        if parsed.backend in (None, answer.backend)
    ]
    names = dict.fromkeys(a.stock_name for a in answers if a.backend == "ck2stages")
    states = [doctor.state_of(judged(name)) for name in names]
    if parsed.json:
        found = [dataclasses.asdict(answer) for answer in answers]
        host = [dataclasses.asdict(state) for state in states]
        _print_json(parsed, aiter=dataclasses.asdict(whose), answers=found, host=host)
    else:
        _print("\n".join([*verdicts.whose_rules(whose), verdicts.answers(answers, states)]))
    return verdict.exit_code(answer.verdict for answer in answers)


def _wish(parsed: argparse.Namespace) -> installed.Wish:
    return installed.Wish(
        path=parsed.aiter,
        release=parsed.aiter_version,
        flydsl=parsed.flydsl,
        cu_count=parsed.cu_count,
        gives_1x128=ask.names_1x128(parsed),
        image=parsed.image,
    )


def _seed(parsed: argparse.Namespace) -> int:
    wish = seed.Wish(jit_dir=parsed.jit_dir, dry_run=parsed.dry_run, force=parsed.force)
    steps = seed.remove(wish) if parsed.remove else seed.seed(wish)
    if parsed.json:
        _print_json(
            parsed, dry_run=wish.dry_run, steps=[dataclasses.asdict(step) for step in steps]
        )
    else:
        _print(show.steps(steps, wish))
    return FOUND if any(step.action in ("fail", "keep") for step in steps) else OK


def _selftest(parsed: argparse.Namespace) -> int:
    report = selftest.test(selftest.wish_of(parsed), settings.read(), _version())
    if parsed.json:
        _print_json(parsed, **report.to_json())
    else:
        _print(selftest.text(report))
    return WRONG if "wrong" in report.verdicts else OK if report.proven else FOUND


def _print(text: str) -> None:
    print(tables.fitted(text, sys.stdout))


def _print_json(parsed: argparse.Namespace, **fields: Any) -> None:  # noqa: ANN401  JSON values
    whole = {"schema": JSON_SCHEMA, "command": parsed.command, **fields}
    print(json.dumps(whole, indent=1, sort_keys=True, default=str))
