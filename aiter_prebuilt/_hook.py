"""The start-up hook: a finder that returns at once for every name but AITER's JIT modules.

It runs at every start of an interpreter, so it imports nothing but ``sys`` and the settings, and
it must never raise: whatever is wrong with this package, AITER's own loader has to stay in charge.
"""

import sys

from aiter_prebuilt import settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_OWNED = ("aiter.jit.module_", "aiter.jit.mha_", "module_", "mha_")


class Hook:
    """The entry on ``sys.meta_path``; all that it knows is which names could be ours."""

    def find_spec(
        self,
        fullname: str,
        path: "Sequence[str] | None" = None,
        target: "ModuleType | None" = None,  # noqa: ARG002  part of the finder protocol
    ) -> "ModuleSpec | None":
        """Return a spec for a prebuilt module, None for everything else."""
        if not fullname.startswith(_OWNED):
            return None
        try:
            from aiter_prebuilt.serve.finder import find
        except Exception:  # a half-removed package: AITER goes on without it
            return None
        return find(fullname, path)


def place() -> str:
    """Where the hook is on ``sys.meta_path``: ``front``, ``end`` or ``absent``."""
    for position, entry in enumerate(sys.meta_path):
        if type(entry).__name__ == "Hook" and type(entry).__module__ == __name__:
            return "end" if position else "front"
    return "absent"


def install() -> None:
    """Put the hook on ``sys.meta_path``, once: at the end, with AITER_PREBUILT=prefer in front."""
    if place() != "absent":
        return
    hook = Hook()
    if settings.prefers():
        sys.meta_path.insert(0, hook)
    else:
        sys.meta_path.append(hook)
