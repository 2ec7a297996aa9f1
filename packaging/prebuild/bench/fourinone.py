"""An instance as AITER's generator makes it: one translation unit with all four kernels.

Our own source of that shape: the same device op with the same template arguments, instantiated
through CK's own invoker, host pass and device pass in one command.
"""

from __future__ import annotations

import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from prebuild.compile.commands import device_compiler
from prebuild.compile.flags import Flags
from prebuild.core import identity
from prebuild.core.errors import PrebuildError
from prebuild.toolchain import Toolchain


class TorchHeadersError(PrebuildError):
    """No torch headers where they were looked for."""

    exit_code = 2


@dataclass(frozen=True, kw_only=True)
class TorchHeaders:
    """Where torch's headers and what they need (rocThrust, ``Python.h``) lie."""

    include: tuple[Path, ...]

    @classmethod
    def find(cls, place: Path, extra: Sequence[Path] = ()) -> TorchHeaders:
        """Look in a Python environment with torch, or a ``site-packages``; nothing is imported.

        ``extra`` are folders for what torch's HIP code includes itself, such as rocThrust's
        headers.  Raises :class:`TorchHeadersError` where a folder is missing.
        """
        inside = sorted(place.glob("lib/python3*/site-packages/torch"))
        base = (inside[0] if inside else place / "torch") / "include"
        python = Path(sysconfig.get_path("include"))
        folders = (base, base / "torch" / "csrc" / "api" / "include", *extra, python)
        missing = [str(folder) for folder in folders if not folder.is_dir()]
        if missing:
            msg = (
                f"no torch headers: {', '.join(missing)} do not exist; expected is an environment "
            )
            msg += "with torch or its site-packages; `make bench TORCH=1` makes one"
            raise TorchHeadersError(msg)
        return cls(include=folders)


def source(instance: str, *, torch: bool) -> str:
    """Return the text of an instance's four-in-one unit; it includes ``<instance>.hpp``."""
    text = files(__package__).joinpath("four_in_one.cu.j2").read_text(encoding="utf-8")
    environment = Environment(
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  C++, not HTML
    )
    return environment.from_string(text).render(
        instance=instance, symbol=identity.short_hash(instance), torch=torch
    )


def command(
    unit: Path,
    output: Path,
    *,
    toolchain: Toolchain,
    flags: Flags,
    include: Sequence[Path],
    torch: TorchHeaders | None = None,
    device_only: bool = False,
) -> list[str]:
    """Return the compile command: the project's own device flags, both passes, as hipcc does it.

    ``device_only`` gives the code object alone, for comparisons of machine code.
    """
    only = ("--cuda-device-only", "--no-gpu-bundle-output") if device_only else ("-fPIC",)
    searched = [
        part for path in (torch.include if torch else ()) for part in ("-isystem", str(path))
    ]
    return [
        *(device_compiler(toolchain) if device_only else [str(toolchain.clangxx)]),
        *toolchain.hip_flags,
        *("-x", "hip", *only),
        *flags.device,
        *(f"-I{path}" for path in include),
        *searched,
        *("-c", str(unit), "-o", str(output)),
    ]
