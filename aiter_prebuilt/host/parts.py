"""Fingerprints of the parts of AITER's sources that decide: nothing of AITER is imported.

Python functions are compared by their syntax tree, so that a comment, a docstring or a formatter
changes nothing; what cannot be found is None.  A fingerprint that no release has says that AITER
may decide otherwise, not that it does.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from aiter_prebuilt.generations import Parts

LENGTH = 16
"""Hexadecimal digits of a part's fingerprint."""

CHOICE: Mapping[str, tuple[str, ...]] = {
    "fused_moe.py": (
        "BLOCK_SIZE_M", "_PADDED_M_TIERS", "_fused_moe_impl", "ck_moe_stage1", "fused_moe_",
        "fused_moe_1stage_dict", "get_2stage_cfgs", "get_block_size_M", "get_inter_dim",
        "get_ksplit", "get_padded_M", "nextPow2", "quant_remap",
    ),
    "ops/flydsl/utils.py": ("is_flydsl_available",),
    "ops/flydsl/mxfp4_kname.py": ("_is_mxfp4_kname",),
}  # fmt: skip
NAMES: Mapping[str, tuple[str, ...]] = {
    "ops/moe_op.py": (
        "ck_moe_stage1_fwd", "ck_moe_stage2_fwd", "cmdGenFunc_ck_moe_stage",
        "cmdGenFunc_ck_moe_stage2", "dtype2str_dict", "get_moe_stage_module",
    ),
}  # fmt: skip
TABLES: Mapping[str, tuple[str, ...]] = {
    "jit/core.py": (
        "AITER_CONFIG_FMOE", "AITER_CONFIG.AITER_CONFIG_FMOE_FILE", "AITER_CONFIG.get_config_file",
        "AITER_CONFIG.update_config_files",
    ),
    "jit/utils/chip_info.py": (
        "_LEGACY_CU_NUM_TO_GFX", "get_cu_num", "get_cu_num_custom_op", "get_gfx_runtime",
        "gfx_from_cu_num",
    ),
}  # fmt: skip
"""File below the package -> what in it decides; not every release has all of it."""

_IGNORED = frozenset({"ctx", "kind", "type_comment", "type_ignores", "type_params"})


def read(root: Path, sources: str | None) -> Parts:
    """Return the parts of the AITER package in ``root``.

    ``sources`` is the fingerprint of its CK2stages sources, which lie elsewhere.
    """
    return Parts(
        sources=sources,
        choice=digest(definitions(root, CHOICE)),
        names=digest(definitions(root, NAMES)),
        tables=digest(definitions(root, TABLES)),
    )


def definitions(root: Path, wanted: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Return ``file:name`` -> fingerprint of what a package defines of ``wanted``."""
    found: dict[str, str] = {}
    for file, names in wanted.items():
        try:
            tree = ast.parse((root / file).read_text(encoding="utf-8"))
        except (OSError, ValueError, SyntaxError):
            continue
        for name, node in _named(tree.body):
            if name in names:
                found[f"{file}:{name}"] = _hash(_canonical(node))
    return found


def digest(found: Mapping[str, str]) -> str | None:
    """Return one fingerprint of several definitions, None where there are none."""
    if not found:
        return None
    return _hash("".join(f"{value}  {name}\n" for name, value in sorted(found.items())))


def _named(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.stmt]]:
    """Yield what a module or a class defines by name; of several the last one counts."""
    for node in body:
        if isinstance(node, ast.FunctionDef):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from _named(node.body, f"{node.name}.")
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                yield prefix + ast.unparse(target), node


def _canonical(node: object) -> str:
    """A syntax tree as text that is the same under every CPython: fields by name, no empty ones."""
    if isinstance(node, list):
        return f"[{','.join(map(_canonical, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = (
        f"{name}={_canonical(value)}"
        for name, value in ast.iter_fields(_without_docstring(node))
        if name not in _IGNORED and value is not None and value != []
    )
    return f"{type(node).__name__}({','.join(sorted(fields))})"


def _without_docstring(node: ast.AST) -> ast.AST:
    if isinstance(node, ast.FunctionDef) and ast.get_docstring(node, clean=False) is not None:
        node.body = node.body[1:]
    return node


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]
