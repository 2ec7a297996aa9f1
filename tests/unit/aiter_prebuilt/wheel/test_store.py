from __future__ import annotations

from pathlib import Path

import pytest

from aiter_prebuilt.wheel import manifest as m
from aiter_prebuilt.wheel import store
from tests.unit.aiter_prebuilt import samples


def _write(folder: Path, *modules: m.Module) -> Path:
    folder.mkdir(parents=True)
    (folder / m.MANIFEST_NAME).write_text(m.dump(samples.manifest(*modules)))
    return folder


def test_reduced_modules_come_before_full_ones(tmp_path: Path) -> None:
    sound, reduced = (
        samples.module(
            name=f"{samples.STOCK}__{coverage}_0",
            coverage=coverage,
            file=f"modules/{file}.so",
            key=file * 64,
        )
        for coverage, file in (("sound", "a"), ("deployed", "r"))
    )
    package = _write(tmp_path / "aiter_prebuilt", samples.module(), sound, reduced)
    found = store.candidates(store.read_all(package), samples.STOCK)
    assert [entry.module.coverage for entry in found] == ["deployed", "sound", "full"]
    assert found[0].path == package / "modules" / "r.so"
    assert store.candidates(store.read_all(package), "module_other") == ()


def test_a_module_is_found_by_the_name_that_each_of_its_contracts_gives_it(tmp_path: Path) -> None:
    agreed = {"new": samples.contract(), "old": samples.contract(endings=("_",))}
    module = samples.module(contracts=("new", "old"))
    package = tmp_path / "aiter_prebuilt"
    package.mkdir()
    text = m.dump(samples.manifest(module, contracts=agreed))
    (package / m.MANIFEST_NAME).write_text(text)
    shelves = store.read_all(package)
    for name, contract in ((samples.STOCK, "new"), (f"{samples.STOCK}_", "old")):
        (entry,) = store.candidates(shelves, name)
        assert entry.contracts == {contract: agreed[contract]}
    assert store.candidates(shelves, f"{samples.STOCK}__") == ()


def test_harvested_folders_beside_the_package_count(tmp_path: Path) -> None:
    package = _write(tmp_path / "aiter_prebuilt", samples.module())
    _write(tmp_path / "aiter_prebuilt_b", samples.module())
    (tmp_path / "aiter_prebuilt_empty").mkdir()
    assert [shelf.folder.name for shelf in store.read_all(package)] == [
        "aiter_prebuilt",
        "aiter_prebuilt_b",
    ]


@pytest.mark.parametrize(
    ("content", "code"),
    [(None, "manifest-missing"), (b"\xff", "manifest-invalid"), (b"{}", "manifest-invalid")],
)
def test_why_a_manifest_cannot_be_used(content: bytes | None, code: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / m.MANIFEST_NAME).write_bytes(content)
    shelf = store.read_shelf(tmp_path)
    assert shelf.manifest is None
    assert shelf.reason is not None
    assert shelf.reason.code == code


def test_one_broken_manifest_leaves_the_others(tmp_path: Path) -> None:
    package = tmp_path / "aiter_prebuilt"
    package.mkdir()
    _write(tmp_path / "aiter_prebuilt_b", samples.module())
    assert len(store.entries(store.read_all(package))) == 1


@pytest.mark.parametrize("asked", [samples.STOCK, f"{samples.STOCK}_"])
def test_both_ways_of_aiter_to_name_a_module_find_it(asked: str) -> None:
    contracts = {"one": samples.contract(endings=("", "_"))}
    manifest = samples.manifest(contracts=contracts)
    shelf = store.Shelf(folder=Path("site"), manifest=manifest, reason=None)
    (found,) = store.candidates((shelf,), asked)
    assert found.module.stock_name == samples.STOCK
