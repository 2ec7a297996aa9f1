"""A device compile whose passes and code generation are those of another LLVM than clang's.

A program of its own, which ninja starts in clang's place and with clang's command line::

    PYTHON -S -B -m prebuild.compile.device --library LIB [--drop-attribute NAME]...
        [--drop-feature NAME]... -- CLANG++ ... -O3 --offload-arch=gfx950 ... -c SOURCE -o OBJECT

clang parses and writes the IR that it would have handed to its own passes; the library reads it,
runs ``default<O3>`` and writes an object, with the ``-mllvm`` options of the command line; lld
links, as clang would.  With the library that clang itself is linked to, the result is clang's
byte for byte (``tests/integration/test_codegen.py``).

PYTHON is the toolchain's own, whose libraries LIB is loaded with: standard library only.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from prebuild.compile.ir import Dropped, attribute_names, edited
from prebuild.compile.llvm import Llvm, LlvmError, ignored_features

# What clang tells its own code generator and linker of device code, without being asked.
OPTIONS = ("-amdgpu-internalize-symbols",)
LINK = ("-m", "elf64_amdgpu", "--no-undefined", "-shared", "--whole-archive")


@dataclass(frozen=True, kw_only=True)
class Split:
    """clang's command line, told apart by who reads what."""

    clang: tuple[str, ...]
    """The compiler and what the front end reads: no output, no ``-mllvm``."""
    options: tuple[str, ...]
    """What followed each ``-mllvm``."""
    output: Path
    cpu: str
    level: int


def split(command: Sequence[str]) -> Split:
    """Return the parts of a device-only compile of one file for one GPU.

    Raises :class:`LlvmError` where ``-o``, ``-O`` or ``--offload-arch`` are missing.
    """
    clang, options, outputs = list[str](), list[str](), list[str]()
    takers = {"-mllvm": options, "-o": outputs}
    words = iter(command)
    for word in words:
        if word in takers:
            takers[word].append(next(words, ""))
        elif word != "-c":
            clang.append(word)
    levels = [word[2:] for word in clang if re.fullmatch(r"-O[0-3]", word)]
    cpus = [word.partition("=")[2] for word in clang if word.startswith("--offload-arch=")]
    if not (len(outputs) == len(cpus) == 1 and levels):
        raise LlvmError("expected is a command with -o, --offload-arch=GPU (each once) and -O<N>")
    return Split(
        clang=tuple(clang),
        options=tuple(options),
        output=Path(outputs[0]),
        cpu=cpus[0],
        level=int(levels[-1]),
    )


def front_end(parts: Split, output: Path) -> list[str]:
    """Return the command that writes the IR that clang hands to its passes."""
    unoptimised = ("-S", "-emit-llvm", "-Xclang", "-disable-llvm-passes")
    return [*parts.clang, *unoptimised, "-o", str(output)]


def readable(text: str, llvm: Llvm, dropped: Dropped) -> str:
    """Return the IR without what is dropped.

    Raises :class:`LlvmError` with every attribute that ``llvm`` does not know either way.
    """
    lines = edited(text.split("\n"), dropped)
    unknown = sorted(name for name in attribute_names(lines) if not llvm.knows_attribute(name))
    if unknown:
        raise LlvmError(f"unknown attributes: {', '.join(unknown)}")
    return "\n".join(lines)


def main(argv: Sequence[str]) -> int:
    """Compile; returns the exit code of clang or lld where one of them fails."""
    parser = argparse.ArgumentParser(prog="device", description=__doc__)
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--drop-attribute", action="append", default=[])
    parser.add_argument("--drop-feature", action="append", default=[])
    parser.add_argument("command", nargs="+")
    given = parser.parse_args(argv)
    dropped = Dropped(
        attributes=frozenset(given.drop_attribute), features=frozenset(given.drop_feature)
    )
    try:
        parts = split(given.command)
    except LlvmError as error:
        print(f"device: {error}", file=sys.stderr)
        return 2
    return compile_device(parts, given.library, dropped)


def compile_device(parts: Split, library: Path, dropped: Dropped) -> int:
    """Front end, passes and code generation, link; the output is whole or absent."""
    with tempfile.TemporaryDirectory(prefix=".device-", dir=parts.output.parent) as scratch:
        text, made, linked = (Path(scratch, name) for name in ("ir.ll", "device.o", "device.co"))
        lld = str(Path(parts.clang[0]).with_name("ld.lld"))
        link = [lld, *LINK, "-o", str(linked), str(made), "--no-whole-archive"]
        code = (
            _run(front_end(parts, text))
            or _generate(parts, text, made, library=library, dropped=dropped)
            or _run(link)
        )
        if code == 0:
            linked.replace(parts.output)
    return code


def _generate(parts: Split, text: Path, made: Path, *, library: Path, dropped: Dropped) -> int:
    """Passes and code generation in a child, whose stderr is read before it is passed on."""

    def work() -> None:
        llvm = Llvm(library)
        llvm.options([*OPTIONS, *parts.options])
        module = llvm.read(readable(text.read_text(encoding="utf-8"), llvm, dropped))
        llvm.compile(module, cpu=parts.cpu, level=parts.level, output=made)

    code, said = _in_child(work, text.with_suffix(".said"))
    sys.stderr.write(said)
    ignored = ignored_features(said)
    if ignored:
        print(f"unknown target features: {', '.join(ignored)}", file=sys.stderr)
    if code or ignored:
        note = "what it need not know of clang's IR is listed in codegen.toml"
        print(f"{library.name} made no object (above is why); {note}", file=sys.stderr)
    return code or int(bool(ignored))


def _in_child(work: Callable[[], None], said: Path) -> tuple[int, str]:
    """Run ``work`` in a child process; return its exit code and what it wrote to stderr."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT, 0o600), 2)
            work()
            code = 0
        except LlvmError as error:
            print(error, file=sys.stderr)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return _exit_code(child), said.read_text(errors="replace")


def _run(command: Sequence[str]) -> int:
    return _exit_code(os.posix_spawn(command[0], list(command), os.environ))


def _exit_code(child: int) -> int:
    """Wait for ``child``; a signal's number counts from 128, as in a shell."""
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
