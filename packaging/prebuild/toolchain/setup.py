"""Which toolchain is used, and having it."""

from __future__ import annotations

from prebuild.core.settings import Settings, ToolchainChoice
from prebuild.toolchain import codegen, debian, rocm
from prebuild.toolchain.ck import abilities, named_ck, with_ck
from prebuild.toolchain.model import Progress, Silent, Toolchain


def choose(settings: Settings) -> ToolchainChoice:
    """``rocm`` or ``debian``: what the user forces, else a ROCm installation that has all parts."""
    if settings.toolchain is not ToolchainChoice.AUTO:
        return settings.toolchain
    return ToolchainChoice.DEBIAN if rocm.lacks(settings) else ToolchainChoice.ROCM


def load(settings: Settings) -> Toolchain:
    """The toolchain, which has to be there; raises :class:`ToolchainError` with what to do."""
    toolchain = _compiler(settings)
    if named := named_ck(settings):
        toolchain = with_ck(toolchain, named)
    return codegen.attached(toolchain, settings)


def _compiler(settings: Settings) -> Toolchain:
    found = rocm.load if choose(settings) is ToolchainChoice.ROCM else debian.load
    return found(settings)


def ck_abilities(settings: Settings) -> frozenset[str]:
    """What the composable kernel of a build can beyond ROCm 7.2's.

    Nothing before Debian's packages are installed, which is that composable kernel.  Raises
    :class:`ToolchainError` where what is there, or is forced, cannot be used.
    """
    if named := named_ck(settings):
        return abilities(named.include)
    if choose(settings) is ToolchainChoice.DEBIAN and not debian.is_installed(settings):
        return frozenset()
    return abilities(_compiler(settings).ck_include)


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
        _say_passed_over(settings, say)
        toolchain = debian_setup.install(settings, say, force=force)
    return codegen.install(toolchain, settings, say, force=force)


def _say_passed_over(settings: Settings, progress: Progress) -> None:
    """Say why a ROCm installation that is there does not make the kernels: nobody forbade it."""
    root = rocm.root_of(settings)
    if settings.toolchain is ToolchainChoice.AUTO and root.is_dir():
        progress.step(f"ROCm in {root} is not used: {'; '.join(rocm.lacks(settings))}")
