"""Where the semantics of an instruction belong: by its name, for the error that misses them."""

from __future__ import annotations

import re

_PLACES = (
    (r"s_(load|store|scratch|buffer|atomic|dcache|memtime|memrealtime)", "smem"),
    (r"s_(nop|c?branch|barrier|waitcnt|endpgm|setreg|getreg|getpc|setpc|swappc|sleep|setprio|trap)",
     "control"),
    (r"s_", "salu"),
    (r"ds_", "lds"),
    (r"scratch_", "scratch"),
    (r"(buffer|global|flat)_", "vmem"),
    (r"v_s?mfma", "matrix"),
    (r"v_cmp", "compare"),
    (r"v_cvt", "convert"),
    (r"v_div", "division"),
    (r"v_pk", "packed"),
    (r"v_(read|write|mbcnt|permlane)", "crosslane"),
    (r"v_.*(64$|_[ui]64_)", "wide"),
    (r"v_.*_(f32|f16|bf16)$", "single"),
    (r"v_", "integer"),
)  # fmt: skip
_PACKAGE = __name__.rsplit(".", 1)[0]


def place_of(name: str) -> str:
    """Return the file in which the instruction ``name`` belongs."""
    for pattern, module in _PLACES:
        if re.match(pattern, name):
            return file_of(f"{_PACKAGE}.{module}")
    return f"a new module beside {file_of(__name__)}"


def file_of(module: str) -> str:
    """Return a module's file, below the package's parent folder."""
    return f"{module.replace('.', '/')}.py"
