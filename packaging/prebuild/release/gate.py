"""The last look at a finished wheel: what its modules ask of a machine, against real runtimes.

auditwheel knows glibc and abi3audit knows CPython; this gate knows HIP, the manifest and the SBOM.
It reads the wheel file alone, so that it judges what is published and not what was meant.
"""

from __future__ import annotations

import hashlib
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiter_prebuilt import target
from aiter_prebuilt.wheel.manifest import MANIFEST_NAME, Manifest, Module
from prebuild.core.wheelfile import check_wheel, read_manifest
from prebuild.inspect.elf import ElfFacts, elf_facts
from prebuild.release.symbols import Bound, bound_symbols, offered
from prebuild.wheel.judges import HIP_RUNTIME, WheelError, audit_abi3, check_size
from prebuild.wheel.sbom import SBOM_NAME, SbomError, validate

PACKAGE = "aiter_prebuilt"
# Symbol versions whose floor is a promise; the rest of GNU's libraries is auditwheel's.
_FLOORS = ("GLIBC_", "GLIBCXX_", "CXXABI_", "hip_")
# Of CPython, which no library of the list below offers; abi3audit checks them.
_PYTHON = ("Py", "_Py")


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What the gate found out about a wheel that it lets pass."""

    wheel: Path
    sha256: str
    size: int
    floors: Mapping[str, str]
    """``GLIBC_`` and the like -> the highest version that a module asks for."""
    gfx_targets: tuple[str, ...]
    modules: int
    hip_symbols: tuple[str, ...]
    """``name@version`` of all that is asked of the HIP runtime."""
    runtimes: tuple[Path, ...]
    """The HIP runtimes that were looked into; each offers all of these."""


def judge_wheel(wheel: Path, *, runtimes: Sequence[Path], budget: int) -> Judged:
    """Judge a finished wheel file.

    ``runtimes`` are real ``libamdhip64.so.7`` files of the supported ROCm releases.  Raises
    :class:`WheelError` with all findings, :class:`NoWheelError` where it is no wheel at all.
    """
    check_wheel(wheel)
    check_size(wheel, budget)
    audit_abi3(wheel)
    with tempfile.TemporaryDirectory(prefix="prebuild-judge-") as scratch:
        root = Path(scratch)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(root)
        return _judge(wheel, root, runtimes)


def _judge(wheel: Path, root: Path, runtimes: Sequence[Path]) -> Judged:
    package = root / PACKAGE
    if not (package / MANIFEST_NAME).is_file():
        raise WheelError(f"{wheel.name} cannot be judged:", [f"no {PACKAGE}/{MANIFEST_NAME} in it"])
    manifest = read_manifest(package / MANIFEST_NAME)
    facts = {module.file: elf_facts(package / module.file) for module in manifest.modules}
    bound = {module.file: bound_symbols(package / module.file) for module in manifest.modules}
    libraries = {path: offered(path) for path in runtimes}
    problems = [
        *_bill(root),
        *_strangers(root, manifest),
        *(problem for module in manifest.modules for problem in unproven(module)),
        *(problem for module in manifest.modules for problem in _bytes(module, package)),
        *(problem for file, fact in facts.items() for problem in shape(file, fact)),
        *(problem for file, found in bound.items() for problem in unbound(file, found)),
        *(
            problem
            for path, symbols in libraries.items()
            for file, found in bound.items()
            for problem in refused(file, found, path, symbols)
        ),
    ]
    if problems:
        raise WheelError(f"{wheel.name} may not be published:", problems)
    return Judged(
        wheel=wheel,
        sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        size=wheel.stat().st_size,
        floors=floors(facts.values()),
        gfx_targets=tuple(sorted({t for fact in facts.values() for t in fact.bundle_targets})),
        modules=len(manifest.modules),
        hip_symbols=tuple(sorted({str(s) for found in bound.values() for s in found if s.hip})),
        runtimes=tuple(runtimes),
    )


def floors(facts: Iterable[ElfFacts]) -> dict[str, str]:
    """The highest version of each kind that any of the modules asks for."""
    found = {}
    listed = list(facts)
    for prefix in _FLOORS:
        highest = max((fact.floor(prefix) for fact in listed), default=())
        if highest:
            found[prefix] = ".".join(str(part) for part in highest)
    return found


def shape(file: str, facts: ElfFacts) -> Iterator[str]:
    """What is wrong with a module's own name, its run paths, its GPU targets."""
    name = Path(file).name
    if facts.soname != name:
        yield f"{file}: SONAME is {facts.soname!r}, expected {name!r}"
    if facts.run_paths:
        yield f"{file}: carries run paths {list(facts.run_paths)}, expected none"
    gfx = target.load().gfx
    if facts.bundle_targets != (gfx,):
        yield f"{file}: GPU targets are {list(facts.bundle_targets)}, expected {gfx} alone"
    if HIP_RUNTIME not in facts.needed:
        yield f"{file}: does not name {HIP_RUNTIME}, so a process may serve it another HIP"


def unproven(module: Module) -> Iterator[str]:
    """Kernels without a verdict, or with one on a launch that is not the module's own.

    Nobody has run the former (``verify=off``), or they were wrong.
    """
    for instance in module.instances:
        for kernel in instance.kernels:
            if kernel.verified is not None and kernel.verified.get("launch") == "module":
                continue
            lacks = "no verdict" if kernel.verified is None else "a verdict on a derived launch"
            loop = "main" if kernel.main_loop else "nomain"
            yield (
                f"{module.file}: {instance.name}.{loop}_{kernel.tail} has {lacks} of"
                " verify-kernels; build with -C verify=stop"
            )


def unbound(file: str, symbols: Iterable[Bound]) -> Iterator[str]:
    """Undefined symbols that bind to no library: whatever comes first would serve them."""
    for symbol in symbols:
        if not symbol.version and not symbol.weak and not symbol.name.startswith(_PYTHON):
            yield f"{file}: needs {symbol.name} of no particular library"


def refused(
    file: str, symbols: Iterable[Bound], runtime: Path, offers: frozenset[str]
) -> Iterator[str]:
    """HIP symbols that a runtime does not offer under the version asked for."""
    for symbol in symbols:
        if symbol.hip and str(symbol) not in offers:
            yield f"{file}: needs {symbol}, which {runtime} does not offer"


def _bytes(module: Module, package: Path) -> Iterator[str]:
    data = (package / module.file).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != module.sha256:
        yield f"{module.file}: sha256 is {digest[:16]}..., the manifest has {module.sha256[:16]}..."
    if len(data) != module.size:
        yield f"{module.file}: has {len(data)} bytes, the manifest says {module.size}"


def _strangers(root: Path, manifest: Manifest) -> Iterator[str]:
    """Binaries in the wheel that the manifest does not name."""
    known = {root / PACKAGE / module.file for module in manifest.modules}
    for path in sorted(root.rglob("*")):
        if path.is_file() and path not in known and path.read_bytes()[:4] == b"\x7fELF":
            yield f"{path.relative_to(root)} is a binary that the manifest does not name"


def _bill(root: Path) -> Iterator[str]:
    found = sorted(root.glob(f"*.dist-info/sboms/{SBOM_NAME}"))
    if len(found) != 1:
        yield f"there is no *.dist-info/sboms/{SBOM_NAME} (PEP 770)"
        return
    try:
        validate(found[0].read_text(encoding="utf-8"))
    except SbomError as error:
        yield str(error)
