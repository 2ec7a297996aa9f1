"""AITER's own build of a full module, while a prebuilt one holds its name.

AITER's ``get_module`` would return the prebuilt module again, so the two steps behind it are
called directly: the arguments come from AITER's own ``gen_func`` for this very call, the build
from AITER's ``build_module`` (with its lock, so that processes wait for each other), and the
result is loaded from AITER's JIT directory.  Nothing of AITER is patched, and neither
``sys.modules`` nor AITER's caches change: covered calls stay with the prebuilt module.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from aiter_prebuilt import settings
from aiter_prebuilt.errors import PrebuiltError

_GENERATORS = {
    "ck_moe_stage1": "cmdGenFunc_ck_moe_stage",
    "ck_moe_stage2": "cmdGenFunc_ck_moe_stage2",
}
_OPS_NAME = "module_moe_ck2stages"


class JitError(PrebuiltError):
    """AITER could not build or load the full module; the message says at which step."""


_loaded: dict[Path, ModuleType] = {}
"""A file is loaded once, however many prebuilt modules hand calls on to it."""


def build(stock_name: str, function: str, args: tuple[Any, ...]) -> ModuleType:
    """Return AITER's full module, built now where its JIT directory does not hold it yet."""
    core, stubs = sys.modules.get("aiter.jit.core"), sys.modules.get("aiter.ops.moe_op")
    if core is None or stubs is None:
        raise JitError("aiter is not imported in this process, so its build cannot be asked")
    try:
        made = _arguments(core, stubs, function, args)
        target = Path(core.get_user_jit_dir()) / f"{stock_name}.so"
        if made["md_name"] == stock_name and not _usable(core, stock_name, target):
            _build(core, made)
    except Exception as error:
        raise JitError(f"AITER's build of {stock_name} failed: {error!r}") from error
    if made["md_name"] != stock_name:
        raise JitError(f"AITER names {made['md_name']} for this call, expected {stock_name}")
    if target not in _loaded:
        _loaded[target] = _load(stock_name, target)
    return _loaded[target]


def _arguments(
    core: Any,  # noqa: ANN401  AITER's modules
    stubs: Any,  # noqa: ANN401
    function: str,
    args: tuple[Any, ...],
) -> dict[str, Any]:
    made = dict(core.get_args_of_build(_OPS_NAME))
    made.update(getattr(stubs, _GENERATORS[function])(*args))
    return made


def _usable(core: Any, stock_name: str, target: Path) -> bool:  # noqa: ANN401  AITER's module
    """Whether a finished build for this GPU is there (AITER's own tests, where it has them)."""
    if not target.exists() or Path(core.bd_dir, f"lock_{stock_name}").exists():
        return False
    other_gpu = getattr(core, "_needs_arch_rebuild", None)
    return not (other_gpu is not None and other_gpu(stock_name))


def _build(core: Any, made: dict[str, Any]) -> None:  # noqa: ANN401  AITER's module
    wanted = inspect.signature(core.build_module).parameters
    clang = made.get("hip_clang_path")
    before = settings.swap_hip_clang(clang) if clang is not None and Path(clang).exists() else None
    try:
        core.build_module(**{name: made[name] for name in wanted if name in made})
    finally:
        if before is not None:
            settings.swap_hip_clang(before)


def _load(stock_name: str, target: Path) -> ModuleType:
    loader = importlib.machinery.ExtensionFileLoader(stock_name, str(target))
    spec = importlib.machinery.ModuleSpec(stock_name, loader, origin=str(target))
    try:
        module = importlib.util.module_from_spec(spec)  # pybind11's start asks for its __spec__
        loader.exec_module(module)
    except (ImportError, OSError) as error:
        raise JitError(f"AITER's build {target} cannot be loaded: {error}") from error
    module.__file__ = str(target)
    return module
