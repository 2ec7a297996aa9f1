"""The provider that AITER's loader could ask before it builds (``docs/upstream.md``).

Registered under the entry point group ``aiter.prebuilt_modules``.  An AITER that asks its
providers needs neither the ``.pth`` file nor the finder on ``sys.meta_path``.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from aiter_prebuilt.serve import finder

GROUP = "aiter.prebuilt_modules"


def provide(md_name: str) -> ModuleType | None:
    """Return the module that AITER names ``md_name``, loaded; None: build it.

    Raises StrictMissError with AITER_PREBUILT=strict, and nothing else.
    """
    fullname = f"aiter.jit.{md_name}"
    known = sys.modules.get(fullname)
    if known is not None:
        return known
    spec = finder.find(fullname)
    if spec is None or spec.loader is None:
        return None
    try:
        module = importlib.util.module_from_spec(spec)
        sys.modules[fullname] = module
        spec.loader.exec_module(module)
    except ModuleNotFoundError:
        sys.modules.pop(fullname, None)
        return None
    return module
