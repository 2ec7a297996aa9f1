"""Install a wheel in clean environments of several CPythons and load what is in it."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiter_prebuilt.wheel.manifest import MANIFEST_NAME, Manifest, Module
from prebuild.core import proc
from prebuild.core.errors import CommandError, ProblemsError
from prebuild.core.wheelfile import check_wheel, read_manifest
from prebuild.recording.recorder import Recorder, build_runtime
from prebuild.toolchain import Toolchain

_FOLDER = "import aiter_prebuilt; print(aiter_prebuilt.__path__[0])"
# The hook stands in sys.meta_path, and start-up loaded neither torch nor aiter.
_HOOK = """\
import json, sys
print(json.dumps({
    "finders": [type(f).__module__ for f in sys.meta_path],
    "loaded": sorted({"torch", "aiter"} & set(sys.modules)),
}))
"""
_DRIVER = Path(__file__).parents[1] / "recording" / "driver.py"


class SmokeError(ProblemsError):
    """A wheel that was installed does not work; holds what failed in which Python."""

    exit_code = 6


@dataclass(frozen=True, kw_only=True)
class Smoked:
    """What was seen in one environment."""

    python: str
    """``3.10.13``."""
    modules: int
    real_hip: Path | None
    """The real HIP runtime that they were loaded with, too."""


def smoke(
    wheel: Path, pythons: Sequence[Path], toolchain: Toolchain, *, say: Callable[[str], None]
) -> tuple[Smoked, ...]:
    """Try a wheel in a clean environment of each of ``pythons``.

    Raises :class:`SmokeError` with the findings of all of them.
    """
    check_wheel(wheel)
    done: list[Smoked] = []
    problems: list[str] = []
    with tempfile.TemporaryDirectory(prefix="prebuild-smoke-") as scratch:
        for position, python in enumerate(pythons):
            say(f"{python}: clean environment, install, load")
            try:
                installed = install(wheel, python, Path(scratch) / str(position))
                done.append(try_installed(installed, toolchain))
            except (CommandError, SmokeError) as error:
                problems.append(f"{python}: {error}")
    if problems:
        raise SmokeError(f"{wheel.name} does not work once installed:", problems)
    return tuple(done)


def install(wheel: Path, python: Path, folder: Path) -> Path:
    """Make a virtual environment in ``folder`` with nothing but the wheel; returns its Python."""
    proc.run([python, "-m", "venv", "--without-pip", folder])
    installed = folder / "bin" / "python"
    # pip of the build tool's own environment: it installs into any other Python.
    pip = ["-m", "pip", "--python", str(installed), "install", "--quiet"]
    proc.run([sys.executable, *pip, "--no-index", "--no-deps", wheel])
    return installed


def try_installed(python: Path, toolchain: Toolchain) -> Smoked:
    """Check the installed files, the hook and each module in the environment of ``python``.

    Each module is loaded twice: in ``python``, with a HIP runtime that records; and with the
    toolchain's real one, where there is one and a Python that can load it.

    Raises :class:`SmokeError` with all findings.
    """
    with tempfile.TemporaryDirectory(prefix="prebuild-smoke-") as scratch:
        problems = [*_files(python), *_hook(python)]
        package = Path(_ask(python, _FOLDER))
        manifest = read_manifest(package / MANIFEST_NAME)
        recorder = Recorder(runtime=build_runtime(toolchain, Path(scratch)), python=python)
        for module in manifest.modules:
            log = Path(scratch) / "launches"
            seen = recorder.record(module.name, package / module.file, (), log=log)
            problems += _signatures(module.name, module, seen.docs, manifest)
        problems += with_real_runtime(package, manifest, toolchain)
    version = _ask(python, "import platform; print(platform.python_version())")
    if problems:
        raise SmokeError(f"the wheel does not work in Python {version}:", problems)
    real = toolchain.hip_runtime if toolchain.python is not None else None
    return Smoked(python=version, modules=len(manifest.modules), real_hip=real)


def with_real_runtime(package: Path, manifest: Manifest, toolchain: Toolchain) -> list[str]:
    """Load each module with the toolchain's real HIP runtime, which needs no GPU for that."""
    if toolchain.python is None or toolchain.hip_runtime is None:
        return []
    problems = []
    for module in manifest.modules:
        command: list[str | Path] = [
            toolchain.python,
            "-S",
            "-I",
            _DRIVER,
            module.name,
            package / module.file,
        ]
        answer = json.loads(proc.run(command, stdin=b"[]"))
        problems += _signatures(
            f"{module.name} with the real HIP", module, answer["docs"], manifest
        )
    return problems


def _files(python: Path) -> list[str]:
    try:
        # Isolated (-I): neither PYTHONPATH nor the working directory may serve the sources.
        proc.run([python, "-I", "-m", "aiter_prebuilt", "verify", "--provenance", "--json"])
    except CommandError as error:
        return [f"aiter-prebuilt verify: {error.output.strip()}"]
    return []


def _hook(python: Path) -> list[str]:
    seen = json.loads(_ask(python, _HOOK))
    problems = []
    if not any(name.startswith("aiter_prebuilt") for name in seen["finders"]):
        problems.append(f"the finder is not installed at start-up; there are {seen['finders']}")
    if seen["loaded"]:
        problems.append(f"start-up loaded {seen['loaded']}")
    return problems


def _signatures(
    name: str, module: Module, docs: Mapping[str, str], manifest: Manifest
) -> list[str]:
    return [
        f"{name}: {function} says {docs.get(function)!r}, the manifest {expected!r}"
        for contract in module.contracts
        for function, expected in manifest.contracts[contract].signatures.items()
        if (docs.get(function) or "").split("\n", 1)[0] != expected
    ]


def _ask(python: Path, code: str) -> str:
    return proc.run([python, "-I", "-c", code]).decode().strip()
