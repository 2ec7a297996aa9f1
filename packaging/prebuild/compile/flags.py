"""The compile flags: AITER's, each one that can be unknown probed against the compiler at hand."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

from aiter_prebuilt import target
from aiter_prebuilt.wheel.manifest import LeftOut
from prebuild.compile.commands import device_compiler, kernel_identity, who_compiles
from prebuild.core import identity, proc
from prebuild.core.errors import CommandError, ToolchainError
from prebuild.toolchain import Toolchain


@dataclass(frozen=True, kw_only=True)
class Flags:
    """Flags without any path, so that they can go into keys and the manifest."""

    device: tuple[str, ...]
    host: tuple[str, ...]
    launcher: tuple[str, ...] = ()
    """After ``host``, for launchers."""
    left_out: tuple[LeftOut, ...]


def resolve_flags(toolchain: Toolchain, cache_dir: Path) -> Flags:
    """Return AITER's flags less those that ``toolchain`` rejects, each with the compiler's words.

    The probe's outcome is kept in ``cache_dir`` under the toolchain's identity.
    """
    table = tomllib.loads(files(__package__).joinpath("flags.toml").read_text())
    codegen = kernel_identity(toolchain)
    suffix = f"-{identity.short_hash(codegen)}" if codegen else ""
    record = cache_dir / "probes" / f"{toolchain.identity[:16]}{suffix}.json"
    rejected = _read(record, table["probed"])
    if rejected is None:
        rejected = _probe_all(toolchain, table["probed"])
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps({"probed": table["probed"], "rejected": rejected}, indent=1))
    kept = [flag for group in table["probed"] if " ".join(group) not in rejected for flag in group]
    always = [flag.format(gfx=target.load().gfx) for flag in table["always"]]
    return Flags(
        device=(*always, *kept),
        host=tuple(table["host"]),
        launcher=tuple(table["launcher"]),
        left_out=tuple(LeftOut(what=flag, reason=why) for flag, why in sorted(rejected.items())),
    )


def _read(record: Path, probed: list[list[str]]) -> dict[str, str] | None:
    try:
        known = json.loads(record.read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(known, dict) or known.get("probed") != probed:
        return None
    rejected = known.get("rejected")
    return rejected if isinstance(rejected, dict) else None


def _probe_all(toolchain: Toolchain, probed: list[list[str]]) -> dict[str, str]:
    """All at once first: one run where nothing is unknown."""
    if broken := _probe(toolchain, []):
        raise ToolchainError("the compiler cannot compile an empty kernel:", [broken])
    if _probe(toolchain, [flag for group in probed for flag in group]) is None:
        return {}
    reasons = {" ".join(group): _probe(toolchain, group) for group in probed}
    return {group: reason for group, reason in reasons.items() if reason is not None}


def _probe(toolchain: Toolchain, group: list[str]) -> str | None:
    """Why the compiler rejects these flags, None where it takes them."""
    with TemporaryDirectory() as scratch:
        source = Path(scratch) / "probe.cu"
        source.write_text('extern "C" __attribute__((global)) void probe() {}\n')
        command: list[str | Path] = [
            *device_compiler(toolchain),
            *toolchain.hip_flags,
            *("-x", "hip", "--cuda-device-only", "--no-gpu-bundle-output", "-nogpuinc"),
            *(
                target.load().offload_arch,
                "-Werror",
                "-O1",
                *group,
                "-c",
                str(source),
                "-o",
                f"{scratch}/probe.co",
            ),
        ]
        try:
            proc.run(command)
        except CommandError as error:
            lines = [line for line in error.output.splitlines() if line.strip()]
            return f"{who_compiles(toolchain)}: {lines[0] if lines else 'rejected'}"
    return None
