"""Which toolchain is used, and having it."""

from __future__ import annotations

from prebuild.core.errors import ToolchainError
from prebuild.core.settings import Settings, ToolchainChoice
from prebuild.toolchain import codegen, debian, rocm
from prebuild.toolchain.ck import abilities, named_ck, with_ck
from prebuild.toolchain.model import Progress, Silent, Toolchain


def choose(settings: Settings) -> ToolchainChoice:
    """``rocm`` or ``debian``: what the user forces, else a ROCm installation that has all parts."""
    if settings.toolchain is not ToolchainChoice.AUTO:
        return settings.toolchain
    usable = not rocm.problems(rocm.root_of(settings), own_ck=named_ck(settings) is None)
    return ToolchainChoice.ROCM if usable else ToolchainChoice.DEBIAN


def load(settings: Settings) -> Toolchain:
    """The toolchain, which has to be there; raises :class:`ToolchainError` with what to do."""
    found = rocm.load if choose(settings) is ToolchainChoice.ROCM else debian.load
    toolchain = found(settings)
    if named := named_ck(settings):
        toolchain = with_ck(toolchain, named)
    return codegen.attached(toolchain, settings)


def ck_abilities(settings: Settings) -> frozenset[str]:
    """What the composable kernel of a build can beyond ROCm 7.2's; nothing before an install."""
    if named := named_ck(settings):
        return abilities(named.include)
    try:
        return abilities(load(settings).ck_include)
    except ToolchainError:
        return frozenset()


def install(
    settings: Settings, progress: Progress | None = None, *, force: bool = False
) -> Toolchain:
    """Have a toolchain: set Debian's up where it is absent; a ROCm installation is only checked.

    The code generator of the settings is fetched with it.
    What is returned has compiled and linked a small module for gfx950.
    """
    # Here and not above: a build loads a toolchain and installs none.
    from prebuild.toolchain import debian_setup
    from prebuild.toolchain.selfcheck import check

    say = progress or Silent()
    if choose(settings) is ToolchainChoice.ROCM:
        toolchain = rocm.load(settings)
        say.step(f"checking ROCm in {toolchain.root}")
        check(toolchain)
    else:
        toolchain = debian_setup.install(settings, say, force=force)
    return codegen.install(toolchain, settings, say, force=force)
