from __future__ import annotations

import json
from pathlib import Path

from aiter_prebuilt.wheel.manifest import MANIFEST_NAME, parse
from prebuild.wheel.stage import PLAN_FILE, Staged, stage, write_manifest
from tests.unit.aiter_prebuilt import samples


def staged(folder: Path, *names: str) -> Staged:
    modules = []
    for name in names:
        path = folder / "built" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
        modules.append(path)
    licence = folder / "LICENSE"
    licence.write_text("MIT")
    return stage(
        samples.manifest(),
        modules,
        licences={"ck.txt": licence},
        sboms={"bill.cdx.json": "{}"},
        directory=folder / "stage",
    )


def test_what_is_laid_out_is_what_is_listed(tmp_path: Path) -> None:
    found = staged(tmp_path, "b.so", "a.so")
    root = tmp_path / "stage"
    listed = json.loads((root / PLAN_FILE).read_text())
    assert listed == found.include
    assert all((root / path).is_file() for path in listed)
    assert set(listed.values()) == {
        "aiter_prebuilt/modules/a.so",
        "aiter_prebuilt/modules/b.so",
        "aiter_prebuilt/licences/ck.txt",
        f"aiter_prebuilt/{MANIFEST_NAME}",
    }
    assert (root / "modules" / "a.so").read_bytes() == b"a.so"


def test_the_bill_of_materials_is_for_the_metadata_and_no_file_of_the_package(
    tmp_path: Path,
) -> None:
    found = staged(tmp_path, "a.so")
    assert (tmp_path / "stage" / "sboms" / "bill.cdx.json").read_text() == "{}"
    assert not any("bill" in path for path in found.include)


def test_what_an_earlier_wheel_left_is_gone(tmp_path: Path) -> None:
    staged(tmp_path, "old.so")
    staged(tmp_path, "new.so")
    names = [path.name for path in (tmp_path / "stage" / "modules").iterdir()]
    assert names == ["new.so"]


def test_a_manifest_takes_the_earlier_ones_place(tmp_path: Path) -> None:
    found = staged(tmp_path, "a.so")
    write_manifest(samples.manifest(version="9.9.9"), found)
    text = (tmp_path / "stage" / MANIFEST_NAME).read_text()
    assert parse(text).version == "9.9.9"
