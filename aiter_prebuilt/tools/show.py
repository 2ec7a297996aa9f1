"""The words and tables of the console script; what they say is computed elsewhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from aiter_prebuilt.host.gpu import counted
from aiter_prebuilt.tools import doctor as examination
from aiter_prebuilt.tools import provenance as provenance_facts
from aiter_prebuilt.tools import running, seed, verdicts, wheelcheck
from aiter_prebuilt.tools.tables import size, table
from aiter_prebuilt.wheel import store

_OF_COMPILING = ("-", "attribute ", "feature ", "option ")
"""How an entry of ``left_out`` begins that is no kernel: flags, and parts of the compiler's IR."""
STRICT = (
    "an error where a CK2stages module, or a call of one, would be compiled; AITER's other modules "
    "(CK-Tile, FlyDSL, attention, ...) are not covered: AITER compiles them as before"
)


def modules(shelves: tuple[store.Shelf, ...]) -> str:
    """Return the table of ``list``."""
    entries = store.entries(shelves)
    rows = [
        (
            entry.module.coverage,
            ",".join(entry.module.gfx_targets),
            len(entry.module.built),
            size(entry.module.size),
            entry.module.key[:8],
            entry.module.name,
        )
        for entry in entries
    ]
    lines = [shelf.reason.message for shelf in shelves if shelf.reason is not None]
    if rows:
        head = ("coverage", "gpu", "instances", "size", "key", "module")
        lines.append(table(head, rows))
    lines.append(f"{len(rows)} module{'' if len(rows) == 1 else 's'}")
    return "\n".join(lines)


def modules_json(shelves: tuple[store.Shelf, ...]) -> dict[str, Any]:
    """Return the JSON fields of ``list``: the manifest's, without the kernels."""
    found = []
    for entry in store.entries(shelves):
        raw = dataclasses.asdict(entry.module)
        raw["instances"] = [instance.name for instance in entry.module.built]
        found.append({**raw, "path": str(entry.path)})
    problems = [dataclasses.asdict(shelf.reason) for shelf in shelves if shelf.reason is not None]
    return {"modules": found, "problems": problems}


def wheel(report: wheelcheck.WheelReport) -> str:
    """Return the text of ``verify``: what is wrong, then a count."""
    bad = [check for check in report.files if check.problem is not None]
    rows = [(check.problem.code, check.problem.message) for check in bad if check.problem]
    lines = [table(("code", "what was found"), rows)] if rows else []
    lines += report.notes
    lines.append(f"{len(report.files)} checks, {len(bad)} failed")
    return "\n".join(lines)


def provenance(entry: provenance_facts.Provenance) -> str:
    """Return the text of ``verify --provenance`` for one wheel."""
    record = entry.record
    state = " with uncommitted changes" if record.source_dirty else ""
    compiling = [left for left in record.left_out if left.what.startswith(_OF_COMPILING)]
    rows = [
        ("version", entry.version),
        ("source", f"{record.source_commit}{state}"),
        ("compiler", f"{record.compiler} ({record.toolchain})"),
        ("code generator", record.code_generator or "the compiler's own"),
        ("composable kernel", f"{record.ck_version}, of {record.ck_origin or 'the toolchain'}"),
        *(
            ("AITER's own code", f"{count} of {entry.kernels} kernels, by the sources of {name}")
            for name, count in sorted(entry.as_aiter.items())
        ),
        ("HIP headers", record.hip_version),
        ("target", record.gfx_target),
        ("device flags", " ".join(record.device_flags)),
        *(("left out", f"{left.what}: {left.reason}") for left in compiling),
        (
            "kernels left out",
            f"{len(record.left_out) - len(compiling)}, each with its rule in --json",
        ),
        ("packages", f"{len(record.packages)}, named in the SBOM with their hashes"),
        ("container", record.container or "none"),
        *((f"recipe {name}", digest) for name, digest in sorted(record.recipes.items())),
        ("SBOM", entry.sbom or "none"),
    ]
    lines = [table(("build", "with"), rows)]
    lines += [f"{problem.message} ({problem.code})" for problem in entry.problems]
    return "\n".join([*lines, ""])


def doctor(report: examination.Report) -> str:
    """Return the text of ``doctor``: the host, the modules, what needs attention."""
    lines = [table(("host", "found"), _host_rows(report)), ""]
    lines += verdicts.states(report.modules) or ["no modules are installed"]
    lines += ["", verdicts.summary([state.verdict for state in report.modules], "module")]
    notes = dict.fromkeys(note.message for module in report.modules for note in module.notes)
    problems = [f"{problem.message} ({problem.code})" for problem in report.problems]
    if notes or problems:
        listed = (line for text in (*problems, *notes) for line in verdicts.listed(text))
        lines += ["", "needs attention:", *listed]
    return "\n".join(lines)


def _host_rows(report: examination.Report) -> list[tuple[str, str]]:
    host = report.host
    found = host.aiter
    glibc = ".".join(map(str, host.glibc)) if host.glibc else "none"
    known = "" if found is None else f", fingerprint {str(found.fingerprint)[:12]}"
    rows = [
        ("Python", f"{host.implementation} {'.'.join(map(str, host.python))}, glibc {glibc}"),
        ("GPU", f"{counted(host.gpu.targets) or 'none'} (source: {host.gpu.source})"),
        *([("visible devices", report.visible)] if report.visible else []),
        ("torch", report.torch or "not installed"),
        (
            "AITER",
            f"{found.version or 'unknown version'} at {found.root}{known}" if found else "none",
        ),
    ]
    rows += [
        ("HIP runtime", f"{copy.path} ({whose}'s, SONAME {copy.soname})")
        for copy, whose in report.hip_copies
    ]
    if not report.hip_copies:
        rows.append(("HIP runtime", _future_runtime(report)))
    if report.jit is not None:
        rights = "writable" if report.jit.writable else "read-only"
        text = f"{report.jit.folder} ({rights if report.jit.exists else 'not there'})"
        rows.append(("JIT directory", f"{text}, modules are {report.jit.import_name}"))
    asked = report.settings
    rows.append(("finder", f"{report.finder} of sys.meta_path"))
    rows.append(("settings", f"AITER_PREBUILT={asked['mode']}, uncovered={asked['uncovered']}"))
    if asked["mode"] == "strict":
        rows.append(("strict", STRICT))
    return [*rows, *_process_rows(report.running)]


def _process_rows(found: running.Running | None) -> list[tuple[str, str]]:
    if found is None:
        return []
    version = found.aiter_version or "unknown version"
    rows = [("its AITER", f"{version} at {found.aiter}" if found.aiter else "not known")]
    rows += [("its variable", f"{name}={value}") for name, value in found.variables.items()]
    rows += [("it was served", path) for path in found.served]
    rows += [("AITER's own in it", path) for path in found.own]
    if not found.served:
        rows.append(("it was served", "nothing (yet): it has mapped no file of the wheel"))
    return [("process", str(found.pid)), *rows]


def _future_runtime(report: examination.Report) -> str:
    if report.host.hip.torch_pending:
        return "not mapped yet; torch brings its own"
    candidate = report.host.hip.candidate
    if candidate is None:
        return "none"
    return f"not mapped yet; the linker finds {candidate.path} (SONAME {candidate.soname})"


def steps(found: Sequence[seed.Step], wish: seed.Wish) -> str:
    """Return the text of ``seed``."""
    rows = [(step.action, step.file, step.detail) for step in found]
    text = table(("action", "file", "why"), rows) if rows else "nothing to do"
    return f"{text}\n(dry run: nothing was changed)" if wish.dry_run else text
