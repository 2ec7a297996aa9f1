"""The console script ``aiter-prebuilt``: list, verify, doctor, explain, seed and selftest."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from aiter_prebuilt import settings, target
from aiter_prebuilt.call import ModuleKey
from aiter_prebuilt.choice import explain
from aiter_prebuilt.errors import PrebuiltError
from aiter_prebuilt.tools import (
    completion,
    doctor,
    image,
    installed,
    provenance,
    seed,
    selftest,
    show,
    tables,
    wheelcheck,
)
from aiter_prebuilt.wheel import store
from aiter_prebuilt.wheel.manifest import Deployment

JSON_SCHEMA = 3
"""Raised by one whenever a reader of the old JSON output would misread the new one."""

OK, FOUND, USAGE, FAILED, WRONG = 0, 1, 2, 3, 5
"""Exit codes; ``docs/exit-codes.md`` says what each means for each command."""

_DEFAULTS = {"topk": 8, "experts": 384}


class UsageError(PrebuiltError):
    """The command line is wrong."""

    exit_code = USAGE


class _Parser(argparse.ArgumentParser):
    """Leaves it to :func:`main` to say what is wrong with a command line: in one line, or JSON."""

    def error(self, message: str) -> NoReturn:
        command = self.prog.partition(" ")[2]
        where = f"{command}: " if command else ""
        raise UsageError(f"{where}{message} (see {self.prog} --help)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    parsed = argparse.Namespace(json="--json" in given, command=given[0] if given else None)
    try:
        parsed = _parser().parse_args(given)
        return int(parsed.run(parsed))
    except PrebuiltError as error:
        return _fail(parsed, error)
    except BrokenPipeError:
        sys.stderr.close()
        return FAILED
    except OSError as error:
        if error.filename is None:
            raise
        return _fail(parsed, PrebuiltError(f"{error.filename}: {error.strerror}"))


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
        ("explain", _explain, "say which kernel a call takes", _explain_options),
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
    shape = command.add_argument_group("shape")
    shape.add_argument("--tokens", type=int, nargs="+", help="tokens of a batch, one or more")
    shape.add_argument("--model-dim", type=int, help="hidden size")
    shape.add_argument("--inter-dim", type=int, help="MoE intermediate size of one GPU")
    shape.add_argument("--experts", type=int, default=_DEFAULTS["experts"])
    shape.add_argument("--topk", type=int, default=_DEFAULTS["topk"])
    shape.add_argument("--block-m", type=int, help="default: as AITER chooses")
    shape.add_argument(
        "--kernel-name1", default="", help="name of stage 1's kernel, if AITER gives one"
    )
    shape.add_argument("--kernel-name2", default="", help="the same for stage 2")
    shape.add_argument("--shapes", type=Path, help="a CSV or JSON file of shapes")
    shape.add_argument(
        "--recipe", help="the shapes of a recipe that the installed wheel was made for"
    )
    theirs = command.add_argument_group("AITER", "what this host has, unless said otherwise here")
    theirs.add_argument("--aiter", type=Path, help="a checkout or a package's folder")
    theirs.add_argument("--aiter-version", metavar="RELEASE", help="whose rules count")
    theirs.add_argument(
        "--flydsl", action=argparse.BooleanOptionalAction, help="whether FlyDSL is installed"
    )
    theirs.add_argument("--cu-count", type=int, help="compute units, of a partition for instance")
    kind = command.add_argument_group("kind of call")
    kind.add_argument("--a-dtype", default="fp4x2", help="activation")
    kind.add_argument("--b-dtype", default="fp4x2", help="weight")
    kind.add_argument("--c-dtype", default="b16", help="output")
    kind.add_argument("--quant", default="per_1x32")
    kind.add_argument("--activation", default="silu")
    kind.add_argument("--routed-weight-stage", type=int, choices=(1, 2), default=2)
    kind.add_argument("--no-preshuffle", action="store_true")
    kind.add_argument("--splitk", action="store_true")


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
    served = all(module.state == "served" for module in report.modules)
    return OK if served and report.modules and not report.problems else FOUND


def _explain(parsed: argparse.Namespace) -> int:
    shelves = store.read_all()
    answers: list[explain.Answer] = []
    asked = settings.read()
    at, whose = installed.look(asked, settings.read_aiter(), _wish(parsed))
    for features, questions in _calls(parsed, shelves):
        answers += explain.explain(questions, features, store.entries(shelves), at)
    names = {answer.call.features.stock_name for answer in answers}
    states = [state for state in doctor.examine(asked).modules if state.stock_name in names]
    if parsed.json:
        found = [dataclasses.asdict(answer) for answer in answers]
        host = [dataclasses.asdict(state) for state in states]
        _print_json(parsed, aiter=dataclasses.asdict(whose), answers=found, host=host)
    else:
        _print("\n".join([*show.whose_rules(whose), show.answers(answers, states)]))
    return FOUND if any(answer.compiles or answer.refused for answer in answers) else OK


def _wish(parsed: argparse.Namespace) -> installed.Wish:
    return installed.Wish(
        path=parsed.aiter,
        release=parsed.aiter_version,
        flydsl=parsed.flydsl,
        cu_count=parsed.cu_count,
        gives_1x128=parsed.recipe is None and parsed.quant == "per_1x128",
    )


def _calls(
    parsed: argparse.Namespace, shelves: tuple[store.Shelf, ...]
) -> list[tuple[ModuleKey, list[explain.Question]]]:
    if parsed.recipe is not None:
        return _recipe_calls(parsed.recipe, shelves)
    features = ModuleKey(
        a_dtype=parsed.a_dtype,
        b_dtype=parsed.b_dtype,
        c_dtype=parsed.c_dtype,
        preshuffle=not parsed.no_preshuffle,
        activation=parsed.activation,
        quant=parsed.quant,
        routed_weight_stage=parsed.routed_weight_stage,
        splitk=parsed.splitk,
    )
    if parsed.shapes is not None:
        return [(features, explain.read_questions(parsed.shapes, _DEFAULTS))]
    given = {
        "model_dim": parsed.model_dim,
        "inter_dim": parsed.inter_dim,
        "experts": parsed.experts,
        "topk": parsed.topk,
        "block_m": parsed.block_m,
        "kernel_1": parsed.kernel_name1,
        "kernel_2": parsed.kernel_name2,
    }
    tokens = parsed.tokens or [None]
    return [
        (
            features,
            [explain.question_of({**given, "tokens": count}, "command line") for count in tokens],
        )
    ]


def _recipe_calls(
    name: str, shelves: tuple[store.Shelf, ...]
) -> list[tuple[ModuleKey, list[explain.Question]]]:
    known = [
        deployment
        for shelf in shelves
        if shelf.manifest is not None
        for deployment in shelf.manifest.deployments
    ]
    chosen = [deployment for deployment in known if deployment.recipe == name]
    if not chosen:
        names = ", ".join(sorted({deployment.recipe for deployment in known})) or "none"
        raise explain.ShapeError(
            f"no installed wheel was made for recipe {name!r}; known are: {names}"
        )
    return [(deployment.features, _token_tiers(deployment)) for deployment in chosen]


def _token_tiers(deployment: Deployment) -> list[explain.Question]:
    """One question for each power of two in the range: AITER's choice changes only there."""
    counts = {deployment.tokens_min, deployment.tokens_max}
    counts |= {
        1 << bits
        for bits in range(deployment.tokens_max.bit_length())
        if deployment.tokens_min <= 1 << bits <= deployment.tokens_max
    }
    return [explain.Question(shape=deployment.shape, tokens=count) for count in sorted(counts)]


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
