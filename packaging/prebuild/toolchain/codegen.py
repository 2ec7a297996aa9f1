"""AMD's LLVM as the code generator behind Debian's clang: pinned, fetched by pip, one library kept.

A ROCm installation needs none: its clang has that code generator.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import sys
import tempfile
import tomllib
import zipfile
from functools import partial
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from prebuild.core import proc
from prebuild.core.errors import CommandError, ToolchainError, why
from prebuild.core.lock import exclusive
from prebuild.core.settings import CodegenChoice, Settings
from prebuild.toolchain.model import WAITING, CodeGenerator, PackageRef, Progress, Toolchain

PIN_FILE = Path(__file__).with_name("codegen.toml")
_SHA256 = Field(pattern=r"^[0-9a-f]{64}$")
_LICENCE = "LICENSE"


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PinnedLibrary(_Data):
    """The one file of the wheel that is kept."""

    member: str
    sha256: str = _SHA256


class Pin(_Data):
    """The wheel and what of clang's IR its LLVM does not know; see ``codegen.toml``."""

    name: str
    version: str
    python: str
    platform: str
    sha256: str = _SHA256
    llvm: str
    library: PinnedLibrary
    attributes: dict[str, str]
    features: dict[str, str]
    options: dict[str, str]


def read_pin(file: Path = PIN_FILE) -> Pin:
    """Read ``codegen.toml``; raises :class:`ToolchainError` where a key is wrong."""
    try:
        return Pin.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError) as error:
        problem = f"{file}: {error}"
        raise ToolchainError("the pin of AMD's LLVM cannot be read:", [problem]) from error


def attached(toolchain: Toolchain, settings: Settings) -> Toolchain:
    """``toolchain`` with the code generator of the settings.

    Raises :class:`ToolchainError` where it is not installed, or where the toolchain has no use
    for it.
    """
    if settings.codegen is CodegenChoice.CLANG:
        return toolchain
    python, pin = _python(toolchain), read_pin()
    library = _library(settings, pin)
    if problem := _wrong(library, pin):
        raise ToolchainError(
            "AMD's LLVM is not installed; run `make toolchain CODEGEN=amd` "
            "(or `prebuild toolchain install` with PREBUILD_CODEGEN=amd):",
            [problem],
        )
    package = PackageRef(name=pin.name, version=pin.version, sha256=pin.sha256, origin="pypi")
    return dataclasses.replace(
        toolchain,
        codegen=generator(pin, library, python),
        packages=(*toolchain.packages, package),
    )


def _python(toolchain: Toolchain) -> Path:
    """The Python that loads the library; raises where the toolchain needs no library."""
    if toolchain.kind == "rocm" or toolchain.python is None:
        raise ToolchainError(
            "PREBUILD_CODEGEN=amd is for Debian's clang; leave it out:",
            [f"the compiler in {toolchain.root} is ROCm's and has AMD's code generator itself"],
        )
    return toolchain.python


def generator(pin: Pin, library: Path, python: Path) -> CodeGenerator:
    """The value of the pinned LLVM in ``library``."""
    facts = [pin.library.sha256, sorted(pin.attributes), sorted(pin.features)]
    return CodeGenerator(
        version=pin.llvm,
        python=python,
        library=library,
        dropped_attributes=pin.attributes,
        dropped_features=pin.features,
        dropped_options=pin.options,
        identity=hashlib.sha256(json.dumps(facts).encode()).hexdigest(),
    )


def install(
    toolchain: Toolchain, settings: Settings, progress: Progress, *, force: bool = False
) -> Toolchain:
    """Have the code generator of the settings in the cache, return ``toolchain`` with it.

    Two processes at once are safe.  Raises as :func:`attached` does.
    """
    if settings.codegen is not CodegenChoice.CLANG:
        _python(toolchain)
        _fetch(settings, read_pin(), progress, force=force)
    return attached(toolchain, settings)


def _fetch(settings: Settings, pin: Pin, progress: Progress, *, force: bool) -> None:
    """Put the library into its folder, unless it is there and whole; the rename comes last."""

    folder = _folder(settings, pin)
    with exclusive(folder.with_suffix(".lock"), partial(progress.step, WAITING)):
        if not force and not _wrong(_library(settings, pin), pin):
            return
        with tempfile.TemporaryDirectory(prefix=f".new-{folder.name}-", dir=folder.parent) as new:
            progress.step(f"fetching {pin.name} {pin.version}")
            tree = Path(new, "tree")
            unpack(_download(pin, Path(new)), pin, tree)
            if folder.exists():
                folder.rename(Path(new, "old"))
            tree.rename(folder)


def requirement(pin: Pin) -> str:
    """The line of a requirements file that names these bytes and no others."""
    return f"{pin.name}=={pin.version} --hash=sha256:{pin.sha256}\n"


def _download(pin: Pin, folder: Path) -> Path:
    """Let pip, which knows the machine's index, fetch the wheel; raises :class:`ToolchainError`."""
    wanted = folder / "requirements.txt"
    wanted.write_text(requirement(pin), encoding="utf-8")
    options = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--quiet"]
    target = ["--implementation", "cp", "--python-version", pin.python, "--platform", pin.platform]
    into = ["--dest", str(folder), "--requirement", str(wanted)]
    try:
        proc.run([sys.executable, "-m", "pip", "download", *options, *target, *into])
    except CommandError as error:
        raise ToolchainError(
            f"pip could not fetch {pin.name} {pin.version} (the pinned wheel for CPython "
            f"{pin.python}, {pin.platform}) from the index that it is set to:",
            error.output.strip().splitlines() or ["pip said nothing"],
        ) from error
    (wheel,) = folder.glob("*.whl")
    return wheel


def unpack(wheel: Path, pin: Pin, tree: Path) -> None:
    """Take the library and the licence out of ``wheel``; raises :class:`ToolchainError`."""
    tree.mkdir()
    library = tree / Path(pin.library.member).name
    try:
        with zipfile.ZipFile(wheel) as archive:
            with archive.open(pin.library.member) as source, library.open("wb") as target:
                shutil.copyfileobj(source, target)
            for name in archive.namelist():
                if Path(name).name == _LICENCE:
                    (tree / _LICENCE).write_bytes(archive.read(name))
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise ToolchainError(
            "AMD's LLVM cannot be unpacked:", [f"{wheel.name}: {why(error)}"]
        ) from (error)
    if problem := _wrong(library, pin):
        raise ToolchainError(
            "the library in the wheel is not the pinned one:",
            [f"{pin.library.member} of {wheel.name}: {problem}"],
        )


def _wrong(library: Path, pin: Pin) -> str:
    """Why ``library`` is not the pinned one, which keys and manifests name; empty where it is."""
    if not library.is_file():
        return f"{library} does not exist"
    with library.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    expected = pin.library.sha256
    return "" if found == expected else f"{library} has sha256 {found}, expected {expected}"


def _library(settings: Settings, pin: Pin) -> Path:
    return _folder(settings, pin) / Path(pin.library.member).name


def _folder(settings: Settings, pin: Pin) -> Path:
    return settings.cache_dir / "toolchain" / f"codegen-{pin.library.sha256[:16]}"
