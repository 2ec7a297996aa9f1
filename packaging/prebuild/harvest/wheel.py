"""Write harvested modules into a wheel of their own, beside which the runtime's wheel is needed.

The same modules give the same bytes: entries are sorted, times and modes are fixed.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path

from aiter_prebuilt import target
from aiter_prebuilt.wheel.manifest import (
    MANIFEST_NAME,
    SCHEMA_VERSION,
    BuildRecord,
    Manifest,
    dump,
)
from prebuild.core.whole import whole
from prebuild.harvest.read import Harvested

_TIME = (1980, 1, 1, 0, 0, 0)


def write_wheel(modules: Sequence[Harvested], *, version: str, out: Path) -> Path:
    """Write the wheel to the folder ``out`` and return its path."""
    digest = _digest(modules)
    package = f"aiter_prebuilt_harvest_{digest}"
    tag = f"{_python_tag(modules)}-linux_x86_64"
    full_version = f"{version}+h{digest}"  # PEP 440 drops the leading zeros of a number
    info = f"aiter_prebuilt_harvest-{full_version}.dist-info"
    files: dict[str, bytes] = {
        f"{package}/modules/{module.path.name}": module.path.read_bytes() for module in modules
    }
    files[f"{package}/{MANIFEST_NAME}"] = dump(_manifest(modules, full_version)).encode()
    files[f"{info}/METADATA"] = _metadata(modules, version, full_version).encode()
    files[f"{info}/WHEEL"] = _wheel(tag).encode()
    files[f"{info}/RECORD"] = _record(files, f"{info}/RECORD").encode()
    path = out / f"aiter_prebuilt_harvest-{full_version}-{tag}.whl"
    with whole(path) as scratch, zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name in sorted(files, key=lambda name: (name.startswith(info), name)):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            wheel.writestr(entry, files[name])
    return path


def _digest(modules: Sequence[Harvested]) -> str:
    text = "\n".join(sorted(module.module.sha256 for module in modules))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _manifest(modules: Sequence[Harvested], version: str) -> Manifest:
    record = BuildRecord(
        toolchain="harvest",
        compiler="AITER's own",
        hip_version="",
        ck_version="",
        gfx_target=",".join(sorted({t for m in modules for t in m.module.gfx_targets})),
        device_flags=(),
        left_out=(),
        packages=(),
        source_commit="",
        source_dirty=False,
        recipes={},
    )
    return Manifest(
        schema=SCHEMA_VERSION,
        version=version,
        build=record,
        # The modules are bound to AITER's very sources, which say more than signatures.
        contracts={},
        modules=tuple(module.module for module in modules),
    )


def _bound(modules: Sequence[Harvested], field: str) -> list[str]:
    values = {getattr(module.module.harvest, field) for module in modules if module.module.harvest}
    return sorted(value for value in values if value is not None)


def _python_tag(modules: Sequence[Harvested]) -> str:
    versions = _bound(modules, "cpython")
    tags = ["cp" + version.replace(".", "") for version in versions]
    return f"{'.'.join(tags)}-{'.'.join(tags)}" if tags else "cp310-abi3"


def _metadata(modules: Sequence[Harvested], version: str, full_version: str) -> str:
    lines = [
        "Metadata-Version: 2.1",
        "Name: aiter-prebuilt-harvest",
        f"Version: {full_version}",
        f"Summary: {len(modules)} modules that an installed AITER has compiled",
        f"Requires-Dist: {target.load().distribution}>={version}",
    ]
    lines += [f"Requires-Dist: torch=={found}.*" for found in _bound(modules, "torch")]
    pythons = _bound(modules, "cpython")
    if len(pythons) == 1:
        lines.append(f"Requires-Python: =={pythons[0]}.*")
    return "\n".join(lines) + "\n"


def _wheel(tag: str) -> str:
    python, abi, platform = tag.split("-")
    tags = [
        f"Tag: {one}-{two}-{platform}"
        for one, two in zip(python.split("."), abi.split("."), strict=True)
    ]
    head = ["Wheel-Version: 1.0", "Generator: prebuild harvest", "Root-Is-Purelib: false"]
    return "\n".join([*head, *tags]) + "\n"


def _record(files: dict[str, bytes], own_name: str) -> str:
    lines = []
    for name, data in sorted(files.items()):
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(data)}")
    return "\n".join([*lines, f"{own_name},,"]) + "\n"
