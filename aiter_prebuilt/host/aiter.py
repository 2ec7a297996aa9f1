"""What the installed AITER promises, read from its sources without importing any of them.

The stubs' signatures and the enum values are what a module's compiled code relies on; the
fingerprint over its CK2stages sources says whether this AITER is one that was checked.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.util
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from aiter_prebuilt.values import value_class

STUBS = ("ck_moe_stage1", "ck_moe_stage2")

_HEADER = "csrc/include/aiter_enum.h"
_SOURCES = "csrc/ck_gemm_moe_2stages_codegen"
_SUFFIXES = (".cu", ".cuh", ".h", ".py")
_TUNER = "gemm_moe_tune.py"
_STUB = r"(?m)^def {}\((?:\n(?![^\s)])|[^\n])*"
"""A function at the left margin, up to the next line that starts there (but for its ``)``)."""


@value_class(frozen=True, kw_only=True)
class Parameter:
    """One parameter of a stub, with hint and default as canonical text."""

    name: str
    hint: str
    default: str | None


@value_class(frozen=True, kw_only=True)
class AiterFacts:
    """The installed AITER."""

    root: str
    """The package's folder."""
    csrc: str
    """The folder of its sources."""
    version: str | None
    signatures: Mapping[str, tuple[Parameter, ...]]
    quant_types: Mapping[str, int]
    activation_types: Mapping[str, int]
    fingerprint: str | None
    """sha256 over the CK2stages sources, None where they are not installed."""
    problems: tuple[str, ...]
    """What could not be read."""


def locate() -> Path | None:
    """Return the folder of the aiter package, imported or only installed; None where neither."""
    module = sys.modules.get("aiter")
    places = list(getattr(module, "__path__", None) or [])
    if not places:
        try:
            spec = importlib.util.find_spec("aiter")
        except (ImportError, ValueError):
            spec = None
        places = list(spec.submodule_search_locations or []) if spec is not None else []
    return Path(places[0]) if places else None


def gather(root: Path, meta_dir: str | None) -> AiterFacts:
    """Read AITER's contract from the package folder ``root``; what fails is in ``problems``."""
    problems: list[str] = []
    meta = _meta_folder(root, meta_dir)
    enums = _enums(meta / _HEADER, problems)
    return AiterFacts(
        root=str(root),
        csrc=str(meta / "csrc"),
        version=version_of(root),
        signatures=_stubs(root / "ops" / "moe_op.py", problems),
        quant_types=enums.get("QuantType", {}),
        activation_types=enums.get("ActivationType", {}),
        fingerprint=fingerprint(meta / _SOURCES),
        problems=tuple(problems),
    )


def fingerprint(folder: Path) -> str | None:
    """Return the sha256 over name and content of the sources that make the module.

    The tuner, the README and byte code do not, so they are left out.
    """
    try:
        names = sorted(
            path for path in folder.iterdir() if path.suffix in _SUFFIXES and path.name != _TUNER
        )
        parts = [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in names]
    except OSError:
        return None
    if not parts:
        return None
    listing = "".join(f"{digest}  {name}\n" for name, digest in parts)
    return hashlib.sha256(listing.encode()).hexdigest()


def parse_signature(line: str) -> tuple[Parameter, ...]:
    """Read ``name(arg: hint = default, ...) -> None`` (a docstring's first line).

    Raises ValueError where it is not a Python signature.
    """
    try:
        tree = ast.parse(f"def {line}: ...")
    except SyntaxError as error:
        raise ValueError(f"{line[:60]!r} is no Python signature") from error
    function = tree.body[0]
    if not isinstance(function, ast.FunctionDef):
        raise TypeError(f"{line[:60]!r} is no Python signature")
    return _parameters(function)


def _parameters(function: ast.FunctionDef) -> tuple[Parameter, ...]:
    positional = [*function.args.posonlyargs, *function.args.args]
    padding = [None] * (len(positional) - len(function.args.defaults))
    pairs = list(zip(positional, [*padding, *function.args.defaults], strict=True))
    pairs += zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    return tuple(
        Parameter(
            name=argument.arg,
            hint=_hint(argument.annotation),
            default=None if default is None else ast.unparse(default),
        )
        for argument, default in pairs
    )


def _hint(node: ast.expr | None) -> str:
    if node is None:
        return ""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        sides = [_hint(node.left), _hint(node.right)]
        inner = [side for side in sides if side != "None"]
        return f"Optional[{inner[0]}]" if len(inner) == 1 else " | ".join(sorted(inner))
    if isinstance(node, ast.Subscript):
        return f"{_hint(node.value)}[{_hint(node.slice)}]"
    if isinstance(node, ast.Attribute):
        return node.attr
    return ast.unparse(node)


def _stubs(path: Path, problems: list[str]) -> dict[str, tuple[Parameter, ...]]:
    try:
        text = path.read_text(encoding="utf-8")
        found = _stub_functions(text)
    except (OSError, SyntaxError, ValueError) as error:
        problems.append(f"{path}: {error}")
        return {}
    for name in STUBS:
        if name not in found:
            problems.append(f"{path} defines no {name}")
    return found


def _stub_functions(text: str) -> dict[str, tuple[Parameter, ...]]:
    """Read the stubs alone where that works: parsing the whole file would take 7 ms."""
    parts = [match[0] for name in STUBS for match in re.finditer(_STUB.format(name), text)]
    with contextlib.suppress(SyntaxError):
        if len(parts) == len(STUBS):
            return _functions("\n\n".join(parts))
    return _functions(text)


def _functions(text: str) -> dict[str, tuple[Parameter, ...]]:
    return {
        node.name: _parameters(node)
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef) and node.name in STUBS
    }


def _enums(path: Path, problems: list[str]) -> dict[str, dict[str, int]]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        problems.append(f"{path}: {error.strerror}")
        return {}
    text = re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)
    found = {}
    for name, body in re.findall(r"enum\s+class\s+(\w+)[^{;]*\{([^}]*)\}", text):
        found[name] = _enumerators(body)
    for wanted in ("QuantType", "ActivationType"):
        if not found.get(wanted):
            problems.append(f"{path} defines no {wanted}")
    return found


def _enumerators(body: str) -> dict[str, int]:
    values: dict[str, int] = {}
    following = 0
    for item in body.split(","):
        match = re.fullmatch(r"\s*(\w+)\s*(?:=\s*(-?\d+)\s*)?", item)
        if match:
            following = following if match[2] is None else int(match[2])
            values[match[1]] = following
            following += 1
    return values


def _meta_folder(root: Path, meta_dir: str | None) -> Path:
    """AITER's order: the variable, aiter_meta of a wheel, the checkout that holds the package."""
    for folder in (Path(meta_dir) if meta_dir else None, root.parent / "aiter_meta"):
        if folder is not None and (folder / "csrc").is_dir():
            return folder
    return root.parent


def version_of(root: Path) -> str | None:
    """Return the version of the AITER package in the folder ``root``."""
    path = root / "_version.py"
    try:
        match = re.search(r"__version__\s*=\s*['\"]([^'\"]+)", path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return match[1] if match else None
