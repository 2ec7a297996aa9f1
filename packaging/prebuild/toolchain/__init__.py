"""The gfx950 toolchain: found in a ROCm installation, or set up from Debian's packages.

``load(settings)`` gives a :class:`~prebuild.toolchain.model.Toolchain`; ``install(settings,
progress)`` sets one up first where that is needed.  Both live in ``prebuild.toolchain.setup``.
"""

from __future__ import annotations

from prebuild.toolchain.model import Toolchain
from prebuild.toolchain.setup import ck_abilities, install, load

__all__ = ["Toolchain", "ck_abilities", "install", "load"]
