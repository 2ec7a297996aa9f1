"""Versioned dynamic symbols: what a module binds to, and what a library offers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerDefSection, GNUVerNeedSection, GNUVerSymSection
from elftools.elf.sections import Symbol, SymbolTableSection


@dataclass(frozen=True, kw_only=True)
class Bound:
    """An undefined symbol with the version and the library that it asks for."""

    name: str
    version: str
    """Empty where it asks for none."""
    library: str
    weak: bool

    @property
    def hip(self) -> bool:
        """Whether the HIP runtime has to offer it."""
        return self.library.startswith("libamdhip64")

    def __str__(self) -> str:
        return f"{self.name}@{self.version}" if self.version else self.name


def bound_symbols(path: Path) -> tuple[Bound, ...]:
    """The undefined symbols of a shared object."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        needs = _needs(elf)
        return tuple(
            Bound(name=symbol.name, version=version, library=library, weak=weak)
            for symbol, index in _symbols(elf)
            if symbol["st_shndx"] == "SHN_UNDEF"
            for version, library in [needs.get(index, ("", ""))]
            for weak in [symbol["st_info"]["bind"] == "STB_WEAK"]
        )


def offered(path: Path) -> frozenset[str]:
    """``name@version`` of each symbol that a library defines; ``name`` where it has no version."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        versions = _definitions(elf)
        return frozenset(
            f"{symbol.name}@{versions[index]}" if index in versions else symbol.name
            for symbol, index in _symbols(elf)
            if symbol["st_shndx"] != "SHN_UNDEF"
        )


def _symbols(elf: ELFFile) -> Iterator[tuple[Symbol, int]]:
    """Each named dynamic symbol with its version index (1 and less: none of its own)."""
    table = elf.get_section_by_name(".dynsym")
    versions = elf.get_section_by_name(".gnu.version")
    if not isinstance(table, SymbolTableSection):
        return
    for position, symbol in enumerate(table.iter_symbols()):
        if symbol.name:
            yield symbol, _index(versions, position)


def _index(versions: object, position: int) -> int:
    if not isinstance(versions, GNUVerSymSection):
        return 1
    index = versions.get_symbol(position)["ndx"]
    # The top bit says that a definition is not the default of its name.
    return int(index) & 0x7FFF if isinstance(index, int) else 1


def _needs(elf: ELFFile) -> dict[int, tuple[str, str]]:
    section = elf.get_section_by_name(".gnu.version_r")
    if not isinstance(section, GNUVerNeedSection):
        return {}
    return {
        entry["vna_other"]: (entry.name, need.name or "")
        for need, entries in section.iter_versions()
        for entry in entries
    }


def _definitions(elf: ELFFile) -> dict[int, str]:
    section = elf.get_section_by_name(".gnu.version_d")
    if not isinstance(section, GNUVerDefSection):
        return {}
    return {
        definition["vd_ndx"]: next(iter(names)).name
        for definition, names in section.iter_versions()
        if definition["vd_ndx"] > 1
    }
