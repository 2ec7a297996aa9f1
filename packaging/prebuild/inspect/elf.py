"""Facts of a shared object: what it needs, what it shows, and whether it names a path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from elftools.elf.dynamic import DynamicSection, DynamicTag
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from elftools.elf.sections import SymbolTableSection

from aiter_prebuilt.errors import BinaryError
from aiter_prebuilt.wheel.bundle import named_targets
from prebuild.core.elffile import read_elf


@dataclass(frozen=True, kw_only=True)
class ElfFacts:
    """What the dynamic linker will see."""

    soname: str
    needed: tuple[str, ...]
    run_paths: tuple[str, ...]
    versions: tuple[tuple[str, str], ...]
    """(library, symbol version)."""
    undefined: tuple[str, ...]
    exported: tuple[str, ...]
    bundle_targets: tuple[str, ...]
    """GPU targets named by the offload bundles of ``.hip_fatbin``."""

    def floor(self, prefix: str) -> tuple[int, ...]:
        """The highest version of a kind (``GLIBC_``, ``GLIBCXX_``) that it asks for."""
        found = [
            tuple(int(part) for part in version.removeprefix(prefix).split("."))
            for _, version in self.versions
            if version.startswith(prefix) and version[len(prefix) :][:1].isdigit()
        ]
        return max(found, default=())


def elf_facts(path: Path) -> ElfFacts:
    """Read a shared object that our own linker wrote."""
    return read_elf(path, _facts)


def _facts(elf: ELFFile) -> ElfFacts:
    dynamic = elf.get_section_by_name(".dynamic")
    tags = list(dynamic.iter_tags()) if isinstance(dynamic, DynamicSection) else []
    symbols = elf.get_section_by_name(".dynsym")
    names = list(symbols.iter_symbols()) if isinstance(symbols, SymbolTableSection) else []
    fatbin = elf.get_section_by_name(".hip_fatbin")
    return ElfFacts(
        soname="".join(_texts(tags, "DT_SONAME")),
        needed=_texts(tags, "DT_NEEDED"),
        run_paths=_texts(tags, "DT_RPATH") + _texts(tags, "DT_RUNPATH"),
        versions=_versions(elf),
        undefined=tuple(s.name for s in names if s.name and s["st_shndx"] == "SHN_UNDEF"),
        exported=tuple(s.name for s in names if s.name and s["st_shndx"] != "SHN_UNDEF"),
        bundle_targets=_targets(fatbin.data() if fatbin else b""),
    )


def _versions(elf: ELFFile) -> tuple[tuple[str, str], ...]:
    section = elf.get_section_by_name(".gnu.version_r")
    if not isinstance(section, GNUVerNeedSection):
        return ()
    return tuple(
        (need.name or "", version.name)
        for need, versions in section.iter_versions()
        for version in versions
    )


def _texts(tags: list[DynamicTag], kind: str) -> tuple[str, ...]:
    """The texts of all dynamic entries of a kind; pyelftools names the field after the tag."""
    field = kind.removeprefix("DT_").lower()
    return tuple(getattr(tag, field) for tag in tags if tag.entry.d_tag == kind)


def _targets(fatbin: bytes) -> tuple[str, ...]:
    """What any bundle has code for; nothing where that cannot be read."""
    try:
        return tuple(sorted(named_targets(fatbin)))
    except BinaryError:
        return ()
