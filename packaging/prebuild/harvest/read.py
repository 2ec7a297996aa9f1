"""Conclude from the files themselves what each module of a JIT directory is bound to."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiter_prebuilt.wheel.manifest import Harvest, Module, sources_digest
from prebuild.core.elffile import DamagedFileError
from prebuild.core.errors import ProblemsError
from prebuild.inspect.elf import ElfFacts, elf_facts

NAME = re.compile(r"(module|mha)_\w+")
"""Names of AITER's modules that the runtime's finder looks after."""

_PYTHON_MARK = re.compile(rb"\0(3\.\d{1,2})\0")
"""The version that pybind11 compiles in and compares at import (PYBIND11_CHECK_PYTHON_VERSION)."""
_NINJA_INCLUDE = re.compile(r"include/python(3\.\d{1,2})\b")
_TORCH_LIBRARIES = ("libtorch", "libc10")


class HarvestError(ProblemsError):
    """Nothing can be packed, or something of a module cannot be concluded."""

    exit_code = 6


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where modules are taken from."""

    jit_dir: Path
    aiter: Path
    """The package folder of the AITER that compiled them."""
    csrc: Path
    python: str | None = None
    """``major.minor``, for modules whose files do not tell."""
    torch: str | None = None
    """torch's version, for modules that are linked to it."""


@dataclass(frozen=True, kw_only=True)
class Harvested:
    """A module and what the manifest says of it."""

    path: Path
    module: Module


def harvest(source: Source, names: Sequence[str] = ()) -> tuple[Harvested, ...]:
    """Return the modules of a JIT directory (all, or those named), in order of their names.

    Raises :class:`HarvestError` with every problem of every module.
    """
    digest = sources_digest(source.csrc)
    if digest is None:
        problem = f"{source.csrc} is not a folder; expected AITER's sources (--csrc)"
        raise HarvestError("modules cannot be harvested:", [problem])
    paths = {path.stem: path for path in sorted(source.jit_dir.glob("*.so"))}
    chosen = list(names) or [name for name in paths if NAME.fullmatch(name)]
    problems = [f"{name}: not in {source.jit_dir}" for name in chosen if name not in paths]
    found = []
    for name in chosen:
        if name in paths:
            module, wrong = _read(paths[name], source, digest)
            problems += wrong
            found += [module] if module is not None else []
    if problems or not found:
        found_none = [] if problems else [f"{source.jit_dir} holds no modules of AITER"]
        raise HarvestError("modules cannot be harvested:", [*problems, *found_none])
    return tuple(found)


def _read(path: Path, source: Source, digest: str) -> tuple[Harvested | None, list[str]]:
    if (source.jit_dir / "build" / f"lock_{path.stem}").exists():
        return None, [f"{path.name}: AITER is building it (its lock is there); try again later"]
    try:
        facts = elf_facts(path)
    except (DamagedFileError, OSError) as error:
        return None, [f"{path.name}: no shared object ({error.__cause__ or error})"]
    problems = []
    if f"PyInit_{path.stem}" not in facts.exported:
        problems.append(f"{path.name}: no Python module of that name (PyInit_{path.stem})")
    python = _python(path, source)
    if python is None:
        problems.append(f"{path.name}: for which CPython it was compiled is not to be seen; say so")
    torch = _torch(facts, source)
    if torch is None and _linked_to_torch(facts):
        problems.append(f"{path.name}: linked to torch, whose version is not known; say so")
    bound = Harvest(
        aiter_version=_aiter_version(source.aiter),
        aiter_sources=digest,
        cpython=python,
        torch=torch,
    )
    return Harvested(path=path, module=_module(path, facts, bound)), problems


def _module(path: Path, facts: ElfFacts, bound: Harvest) -> Module:
    data = path.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    return Module(
        name=path.stem,
        stock_name=path.stem,
        features=None,
        coverage="full",
        key=sha256,
        file=f"modules/{path.name}",
        sha256=sha256,
        size=len(data),
        gfx_targets=facts.bundle_targets,
        cpython_floor=bound.cpython or "3.10",
        glibc_floor=".".join(map(str, facts.floor("GLIBC_"))) or "2.17",
        needed=facts.needed,
        recipes=(),
        instances=(),
        harvest=bound,
    )


def _python(path: Path, source: Source) -> str | None:
    """The compiled-in version; else AITER's build file beside it; else what the user says."""
    marks = {found[1].decode() for found in _PYTHON_MARK.finditer(path.read_bytes())}
    if len(marks) == 1:
        return str(marks.pop())
    ninja = source.jit_dir / "build" / path.stem / "build" / "build.ninja"
    told = set(_told_by_ninja(ninja))
    return told.pop() if len(told) == 1 else source.python


def _told_by_ninja(path: Path) -> Iterator[str]:
    if path.is_file():
        text = path.read_text(encoding="utf-8", errors="replace")
        yield from (found[1] for found in _NINJA_INCLUDE.finditer(text))


def _linked_to_torch(facts: ElfFacts) -> bool:
    return any(name.startswith(_TORCH_LIBRARIES) for name in facts.needed)


def _torch(facts: ElfFacts, source: Source) -> str | None:
    """``major.minor`` of torch: its C++ interface changes between minor versions."""
    if not _linked_to_torch(facts) or source.torch is None:
        return None
    return ".".join(source.torch.split(".")[:2])


def _aiter_version(package: Path) -> str | None:
    path = package / "_version.py"
    if not path.is_file():
        return None
    found = re.search(r"__version__\s*=\s*['\"]([^'\"]+)", path.read_text(encoding="utf-8"))
    return str(found[1]) if found else None
