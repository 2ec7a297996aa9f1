"""Link one module, with the host side's low glibc floor, and nothing in it that names a path."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prebuild.core import proc
from prebuild.core.whole import whole
from prebuild.link.embed import assembly, write_assembly
from prebuild.toolchain import Toolchain

LINK_FLAGS = (
    "-shared",
    "-Wl,--as-needed",
    "-Wl,--gc-sections",
    "-Wl,-z,relro,-z,now",
    "-Wl,--build-id=sha1",
    "-Wl,--strip-all",
)


@dataclass(frozen=True, kw_only=True)
class LinkedModule:
    """A module's shared object and the code objects that it holds."""

    path: Path
    sha256: str
    size: int
    code_objects: Mapping[str, Path]
    """Kernel id -> code object."""


def link_module(
    name: str,
    *,
    starts: Sequence[str],
    kernels: Mapping[str, Path],
    hosts: Sequence[Path],
    toolchain: Toolchain,
    work: Path,
    cache: Path,
) -> LinkedModule:
    """Link ``<work>/<name>.abi3.so`` from code objects and host objects.

    It exports the start function of each name of ``starts`` and nothing else.  Linked modules are
    cached in ``cache`` by the content of all that goes in.
    """
    output = work / f"{name}.abi3.so"
    output.parent.mkdir(parents=True, exist_ok=True)
    exports = _exports(starts)
    stored = cache / f"{_key(name, exports, kernels, hosts, toolchain)}.so"
    if not stored.is_file():
        directory = work / "embed" / name
        write_assembly(kernels, toolchain=toolchain, directory=directory)
        (directory / "exports.map").write_text(exports)
        _link(name, hosts=hosts, toolchain=toolchain, directory=directory, output=output)
        with whole(stored) as scratch:
            shutil.copyfile(output, scratch)
    output.unlink(missing_ok=True)
    shutil.copyfile(stored, output)
    data = output.read_bytes()
    return LinkedModule(
        path=output,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        code_objects=dict(kernels),
    )


def _link(
    name: str, *, hosts: Sequence[Path], toolchain: Toolchain, directory: Path, output: Path
) -> None:
    compiler = [str(toolchain.clangxx), *toolchain.host_flags]
    proc.run([*compiler, "-c", "kernels.S", "-o", "kernels.o"], cwd=directory)
    objects = [*map(str, hosts), "kernels.o", "-lamdhip64", "-lstdc++"]
    proc.run([*compiler, *_flags(name), "-o", str(output), *objects], cwd=directory)


def _flags(name: str) -> tuple[str, ...]:
    """Every flag of the link; relative to the module's own folder, so that no path is in them."""
    return (*LINK_FLAGS, f"-Wl,-soname,{name}.abi3.so", "-Wl,--version-script,exports.map")


def _exports(starts: Sequence[str]) -> str:
    names = " ".join(f"PyInit_{name};" for name in starts)
    return f"{{ global: {names} local: *; }};\n"


def _key(
    name: str,
    exports: str,
    kernels: Mapping[str, Path],
    hosts: Sequence[Path],
    toolchain: Toolchain,
) -> str:
    """Objects are content-addressed: their names stand for their bytes."""
    content = {
        "flags": _flags(name),
        "exports": exports,
        "assembly": assembly(dict.fromkeys(kernels, "")),
        "toolchain": toolchain.identity,
        "kernels": {kernel: path.name for kernel, path in kernels.items()},
        "hosts": [path.name for path in hosts],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
