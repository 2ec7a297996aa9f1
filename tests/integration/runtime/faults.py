"""The fault matrix as data: what is broken, what has to happen, and how to break it.

``docs/operations.md`` holds the table that :func:`table` makes of it
(``python -m tests.integration.runtime.faults docs/operations.md`` writes it).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from aiter_prebuilt.host.aiter import fingerprint
from aiter_prebuilt.wheel import manifest as m
from tests.integration.runtime import sitemaker as make

NEEDED = ("libamdhip64.so.7", "libc.so.6")


@dataclasses.dataclass(kw_only=True)
class Stage:
    """A site folder that a case may break, and the environment of the process that uses it."""

    site: Path
    package: Path
    parts: make.Parts
    env: dict[str, str]
    statements: list[str] = dataclasses.field(default_factory=list)
    file: Path | None = None

    @property
    def entry(self) -> m.Module:
        """The first module of the manifest."""
        return m.parse((self.package / m.MANIFEST_NAME).read_text()).modules[0]

    @property
    def module(self) -> Path:
        """The file that is to be broken; known before anything is."""
        if self.file is None:
            self.file = self.package / self.entry.file
        return self.file

    def drop_rights(self) -> None:
        """Give up all capabilities before the call, so that modes of files bind root too."""
        self.statements.append(
            "import ctypes; ctypes.CDLL(None).capset("
            "(ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())"
        )

    def sysfs(self, *versions: int) -> None:
        self.env["AITER_PREBUILT_SYSFS_ROOT"] = str(
            make.make_sysfs(self.site.parent / "othersys", *versions)
        )

    def rebuild(self, **options: object) -> None:
        """Compile the module anew with other options, and describe the new file truly."""
        make.extension(self.module, make.REDUCED, self.parts.hip, **options)  # type: ignore[arg-type]
        self.describe()

    def describe(self, **changes: Any) -> None:
        """Let the manifest tell the truth about the changed file, but for ``changes``."""
        data = self.module.read_bytes()
        truth = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        path = self.package / m.MANIFEST_NAME
        whole = m.parse(path.read_text())
        module = dataclasses.replace(whole.modules[0], **{**truth, **changes})
        path.write_text(m.dump(dataclasses.replace(whole, modules=(module,))))

    def edit(self, path: str, old: str, new: str) -> None:
        target = self.site / path
        text = target.read_text()
        assert old in text, f"{path} holds no {old!r}"
        target.write_text(text.replace(old, new))

    def call_with(self, *, block_m: int = 128, kernel: str = "") -> None:
        """Let the driver make its call with these."""
        self.statements.append(
            f"import __main__; __main__.BLOCK_M, __main__.KERNEL = {block_m}, {kernel!r}"
        )

    def know_aiter(self) -> None:
        """Count the sources of the stand-in among those that the wheel was checked with."""
        found = fingerprint(self.site / "csrc" / "ck_gemm_moe_2stages_codegen")
        path = self.package / "data" / "aiter.json"
        book = json.loads(path.read_text())
        last = book["releases"][-1]
        parts = {**last["parts"], "sources": found}
        book["releases"].append({**last, "tag": "standin", "parts": parts})
        path.write_text(json.dumps(book))

    def manifest(self, change: Callable[[str], str]) -> None:
        path = self.package / m.MANIFEST_NAME
        path.write_text(change(path.read_text()))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fault:
    """One case."""

    name: str
    what: str
    """For operators: what is wrong."""
    code: str
    """The reason that has to be given."""
    takes: Literal["prebuilt", "jit"] = "jit"
    """Which path a call takes with AITER_PREBUILT=auto."""
    strict: Literal["error", "same"] = "error"
    """With AITER_PREBUILT=strict: an error, or the same as with auto."""
    breaks: Callable[[Stage], object]
    compiles: bool = False
    """Whether breaking it means to compile the fixture's module anew."""


def _flip(stage: Stage) -> None:
    data = bytearray(stage.module.read_bytes())
    data[len(data) // 2] ^= 1
    stage.module.write_bytes(data)


def _fifo(stage: Stage) -> None:
    stage.module.unlink()
    os.mkfifo(stage.module)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _unreadable(stage: Stage) -> None:
    stage.module.chmod(0)
    stage.drop_rights()


def _newer_glibc(stage: Stage) -> None:
    data = stage.module.read_bytes()
    assert b"\0GLIBC_2.2.5\0" in data
    stage.module.write_bytes(data.replace(b"\0GLIBC_2.2.5\0", b"\0GLIBC_9.2.5\0"))
    stage.describe()


def _missing_library(stage: Stage) -> None:
    gone = make.hip_runtime(stage.site.parent / "gone" / "libgone.so.1", "libgone.so.1")
    stage.rebuild(extra=(str(gone),))
    stage.describe(needed=(*stage.entry.needed, "libgone.so.1"))
    gone.unlink()


def _bare_runtime(stage: Stage) -> None:
    folder = stage.site.parent / "bare"
    make.hip_runtime(folder / "libamdhip64.so", "libamdhip64.so")
    stage.env["LD_LIBRARY_PATH"] = str(folder)


def _preload(stage: Stage, *sonames: str) -> None:
    for index, soname in enumerate(sonames):
        path = make.hip_runtime(stage.site.parent / f"pre{index}" / "libamdhip64.so", soname)
        stage.statements.append(f"import ctypes; ctypes.CDLL({str(path)!r})")


def _text_runtime(stage: Stage) -> None:
    folder = stage.site.parent / "text"
    folder.mkdir()
    (folder / "libamdhip64.so.7").write_text("INPUT(libamdhip64.so)\n")
    stage.env["LD_LIBRARY_PATH"] = str(folder)


def torch(stage: Stage, body: str = "", soname: str = "libamdhip64.so.7") -> Path:
    """Install a stand-in torch with a HIP runtime of its own, as pip's ROCm builds have it."""
    folder = stage.site / "torch"
    runtime = folder / "lib" / "libamdhip64.so"
    if soname == "libamdhip64.so.7":
        runtime.parent.mkdir(parents=True)
        shutil.copy(stage.parts.hip, runtime)
    else:
        make.hip_runtime(runtime, soname)
    load = f"import ctypes; ctypes.CDLL({str(runtime)!r})\n"
    (folder / "__init__.py").write_text(body or load)
    return runtime


def _own_build(stage: Stage) -> None:
    shutil.copy(stage.parts.builds / f"{make.STOCK}.so", stage.site / "aiter" / "jit")


def _prefer(stage: Stage) -> None:
    _own_build(stage)
    stage.env.setdefault("AITER_PREBUILT", "prefer")


_ALL: list[Fault] = []


def _case(name: str, what: str, code: str, breaks: Callable[[Stage], object], **more: Any) -> None:
    _ALL.append(Fault(name=name, what=what, code=code, breaks=breaks, **more))


def _served(name: str, what: str, breaks: Callable[[Stage], object], code: str = "served") -> None:
    _case(name, what, code, breaks, takes="prebuilt", strict="same")


def _nothing(_: Stage) -> None:
    """Break nothing."""


def _read_only(stage: Stage) -> None:
    for path in (stage.module, stage.module.parent, stage.package, stage.site):
        path.chmod(0o555)
    stage.drop_rights()


_served("healthy", "nothing", _nothing)
_served(
    "jit-dir",
    "`AITER_JIT_DIR` is set: AITER imports the top-level name",
    lambda stage: stage.env.update(AITER_JIT_DIR=str(stage.site.parent / "jit")),
)
_served(
    "setting",
    "`AITER_PREBUILT` has a value that is not allowed",
    lambda stage: stage.env.setdefault("AITER_PREBUILT", "sometimes"),
    "setting",
)
_served(
    "unknown-aiter",
    "AITER's kernel sources are not ones that were checked, its signatures fit",
    _nothing,
    "aiter-unknown",
)
_case(
    "unknown-aiter-refused",
    "the same, and the module has not the call's kernelName or block_m, or its tile does not "
    "divide N or K",
    "uncovered",
    lambda stage: stage.call_with(block_m=16),
)
_served("torch-first", "torch is installed and not imported yet, with its own runtime", torch)
_served("read-only", "site-packages is read-only", _read_only)
_case(
    "off",
    "`AITER_PREBUILT=0`",
    "off",
    lambda stage: stage.env.update(AITER_PREBUILT="0"),
    strict="same",
)
_case(
    "rebuild",
    "`AITER_REBUILD=1`: a fresh build is wanted",
    "rebuild",
    lambda stage: stage.env.update(AITER_REBUILD="1"),
    strict="same",
)
_case("own-build", "AITER's own build is there", "", _own_build, strict="same")
_case(
    "truncated",
    "the module's file is cut off",
    "size",
    lambda stage: os.truncate(stage.module, stage.module.stat().st_size // 2),
)
_case("flipped-bit", "one bit of the module's file differs", "sha256", _flip)
_case(
    "wrong-sha",
    "the manifest has another sha256",
    "sha256",
    lambda stage: stage.describe(sha256="0" * 64),
)
_case("file-missing", "the module's file is gone", "file-missing", lambda s: s.module.unlink())
_case("file-unreadable", "the module's file may not be read", "file-unreadable", _unreadable)
_case("file-folder", "a folder lies in the file's place", "file-unreadable",
      lambda stage: _folder(stage.module))  # fmt: skip
_case("file-fifo", "a pipe lies in the file's place", "file-unreadable", _fifo)
_case(
    "not-elf",
    "the file is no shared object (and the manifest says so)",
    "elf",
    lambda stage: (stage.module.write_text("hello " * 100), stage.describe()),
)
_case(
    "manifest-missing",
    "there is no manifest",
    "manifest-missing",
    lambda stage: (stage.package / m.MANIFEST_NAME).unlink(),
)
_case(
    "manifest-folder",
    "the manifest cannot be read",
    "manifest-unreadable",
    lambda stage: _folder(stage.package / m.MANIFEST_NAME),
)
_case(
    "manifest-truncated",
    "the manifest is cut off",
    "manifest-invalid",
    lambda stage: stage.manifest(lambda text: text[: len(text) // 2]),
)
_case(
    "manifest-not-json",
    "the manifest is not JSON",
    "manifest-invalid",
    lambda stage: (stage.package / m.MANIFEST_NAME).write_bytes(b"\0\0\0\0"),
)
_case(
    "manifest-schema",
    "the manifest is of an unknown schema version",
    "manifest-invalid",
    lambda stage: stage.manifest(
        lambda text: text.replace(f'"schema": {m.SCHEMA_VERSION}', '"schema": 99')
    ),
)
_case(
    "manifest-escape",
    "the manifest names a file outside the package",
    "manifest-invalid",
    lambda stage: stage.manifest(lambda text: text.replace('"modules/', '"../../modules/')),
)
_case("gpu-other", "the GPU is another one (gfx942)", "gpu-other", lambda s: s.sysfs(90402))
_case(
    "gpu-mixed",
    "one of two GPUs is another one",
    "gpu-mixed",
    lambda stage: stage.sysfs(90500, 90402),
)
_case("gpu-none", "there is no GPU", "gpu-none", lambda stage: stage.sysfs())
_case(
    "python",
    "the interpreter is older than the stable ABI's floor",
    "python",
    lambda stage: stage.describe(cpython_floor="3.99"),
)
_case(
    "glibc",
    "the C library is older than the wheel needs",
    "glibc",
    lambda stage: stage.describe(glibc_floor="9.9"),
)
_case("elf-glibc", "the file needs symbols of a newer C library", "elf-glibc", _newer_glibc)
_case(
    "bundle-gfx",
    "the file holds code for another GPU than the manifest says",
    "bundle-gfx",
    lambda stage: stage.rebuild(fat_binary=make.bundle("gfx942")),
    compiles=True,
)
_case(
    "bundle-compressed",
    "the GPU code is compressed",
    "bundle-compressed",
    lambda stage: stage.rebuild(fat_binary=b"CCOB\2\0\1\0".ljust(5000, b"\7")),
    compiles=True,
)
_case(
    "bundle-missing",
    "the file holds no GPU code",
    "bundle-missing",
    lambda stage: stage.rebuild(fat_binary=b"\0" * 4096),
    compiles=True,
)
_case(
    "bundle-damaged",
    "the GPU code is cut off",
    "bundle-damaged",
    lambda stage: stage.rebuild(fat_binary=make.bundle("gfx950")[:4100]),
    compiles=True,
)
_case(
    "hip-missing",
    "there is no HIP runtime",
    "hip-missing",
    lambda stage: stage.env.update(LD_LIBRARY_PATH=""),
)
_case("hip-bare", "only a runtime called `libamdhip64.so` is there", "hip-missing", _bare_runtime)
_case("hip-text", "`libamdhip64.so.7` is no library", "hip-missing", _text_runtime)
_case(
    "hip-other",
    "a runtime of another SONAME is mapped",
    "hip-other",
    lambda stage: _preload(stage, "libamdhip64.so.6"),
)
_case(
    "hip-two",
    "two runtimes are mapped",
    "hip-two",
    lambda stage: _preload(stage, "libamdhip64.so.7", "libamdhip64.so.6"),
)
_case(
    "torch-broken",
    "torch is installed and cannot be imported",
    "torch-import",
    lambda stage: torch(stage, "raise RuntimeError('no torch today')\n"),
)
_case(
    "torch-other",
    "torch brings a runtime of another SONAME",
    "hip-other",
    lambda stage: torch(stage, soname="libamdhip64.so.6"),
)
_case(
    "needed-missing",
    "a library that the module needs is missing",
    "load",
    _missing_library,
    compiles=True,
)
_case(
    "needed-undeclared",
    "the file needs a library that the manifest does not name",
    "elf-needed",
    lambda stage: (_missing_library(stage), stage.describe(needed=NEEDED)),
    compiles=True,
)
_case(
    "start-fails",
    "the module's own start fails",
    "load",
    lambda stage: stage.rebuild(extra=("-DFAIL_EXEC",)),
    compiles=True,
)
_case(
    "unguarded",
    "a reduced module cannot hand on what it does not cover",
    "load",
    lambda stage: stage.rebuild(extra=("-DNO_GUARD",)),
    compiles=True,
)
_case(
    "wrong-name",
    "the file is another module's",
    "load",
    lambda stage: (shutil.copy(stage.parts.full, stage.module), stage.describe()),
    compiles=True,
)
_case(
    "aiter-signature",
    "AITER's stub has a new parameter order",
    "aiter-signature",
    lambda stage: stage.edit(
        "aiter/ops/moe_op.py",
        "    dst_type: Optional[str] = None,\n    is_shuffled: bool = True,\n",
        "    is_shuffled: bool = True,\n    dst_type: Optional[str] = None,\n",
    ),
)
_case(
    "aiter-enum",
    "an enum value of AITER has changed",
    "aiter-enum",
    lambda stage: stage.edit(
        "csrc/include/aiter_enum.h", "Silu = 0, Gelu = 1", "Gelu = 0, Silu = 1"
    ),
)
_case(
    "aiter-unreadable",
    "AITER's enums cannot be read",
    "aiter-unreadable",
    lambda stage: (stage.site / "csrc/include/aiter_enum.h").unlink(),
)
_case(
    "half-removed",
    "parts of this package are gone",
    "",
    lambda stage: (stage.package / "serve" / "finder.py").unlink(),
    strict="same",
)
_case(
    "removed",
    "this package is gone, its start-up file is still there",
    "",
    lambda stage: shutil.rmtree(stage.package),
    strict="same",
)

FAULTS: tuple[Fault, ...] = tuple(_ALL)

BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"


def table() -> str:
    """Return the table for operators."""
    takes = {"prebuilt": "the prebuilt module is served", "jit": "AITER's own module"}
    lines = ["| what is wrong | with `auto` | with `strict` | reason |", "|---|---|---|---|"]
    for fault in FAULTS:
        strict = "an error" if fault.strict == "error" else "the same"
        code = f"`{fault.code}`" if fault.code else "none"
        lines.append(f"| {fault.what} | {takes[fault.takes]} | {strict} | {code} |")
    return "\n".join(lines)


def updated(text: str) -> str:
    """Return a document with the table between its marks made anew."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{table()}\n{END}{tail}"


if __name__ == "__main__":
    document = Path(sys.argv[1])
    document.write_text(updated(document.read_text()))
