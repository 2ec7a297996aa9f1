from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aiter_prebuilt.tools import provenance, show
from aiter_prebuilt.wheel import manifest as m
from tests.unit.aiter_prebuilt import samples

Change = Callable[[dict[str, Any]], None]


def bill(manifest: m.Manifest) -> dict[str, Any]:
    module = manifest.modules[0]
    return {
        "metadata": {"component": {"version": manifest.version}},
        "components": [
            {"name": module.file, "hashes": [{"alg": "SHA-256", "content": module.sha256}]},
            {"name": "composable_kernel", "version": manifest.build.ck_version},
            {"name": "hip", "version": manifest.build.hip_version},
        ],
    }


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "aiter_prebuilt"
    folder.mkdir()
    manifest = samples.manifest()
    (folder / m.MANIFEST_NAME).write_text(m.dump(manifest))
    info = tmp_path / "aiter_prebuilt_gfx950-0.1.0.dist-info"
    (info / "sboms").mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: aiter-prebuilt-gfx950\nVersion: 0.1.0\n"
    )
    sbom = f"{info.name}/sboms/{provenance.SBOM_FILE}"
    (tmp_path / sbom).write_text(json.dumps(bill(manifest)))
    (info / "RECORD").write_text(f"aiter_prebuilt/{m.MANIFEST_NAME},,\n{sbom},,\n")
    return folder


def sbom_of(package: Path) -> Path:
    (found,) = package.parent.glob(f"*.dist-info/sboms/{provenance.SBOM_FILE}")
    return found


def codes(package: Path) -> list[str]:
    (entry,) = provenance.read(package)
    return [problem.code for problem in entry.problems]


def test_record_and_sbom_of_one_build_agree(package: Path) -> None:
    (entry,) = provenance.read(package)
    assert entry.problems == ()
    assert entry.sbom == str(sbom_of(package))
    assert entry.record.compiler == "clang"


def test_its_text_names_what_it_was_built_with(package: Path) -> None:
    (entry,) = provenance.read(package)
    text = show.provenance(entry)
    for word in ("0" * 40, "clang (debian)", "-x: unknown", "recipe kimi", "gfx950"):
        assert word in text


def test_what_no_kernel_was_left_out_for_is_named_and_not_counted(package: Path) -> None:
    raw = json.loads((package / m.MANIFEST_NAME).read_text())
    whats = ["-x", "attribute a", "feature b", "option c", "gemm1_256x32"]
    raw["build"]["left_out"] = [{"what": what, "reason": "why"} for what in whats]
    (package / m.MANIFEST_NAME).write_text(json.dumps(raw))
    (entry,) = provenance.read(package)
    text = show.provenance(entry)
    for what in whats[:-1]:
        assert f"{what}: why" in text
    assert "1, each with its rule in --json" in text


def test_text_and_json_count_the_kernels_that_are_an_aiters_own(package: Path) -> None:
    raw = json.loads((package / m.MANIFEST_NAME).read_text())
    built = [one for one in raw["modules"][0]["instances"] if one["kernels"]]
    built[0]["kernels"][0]["as_aiter"] = ["AITER v1 (commit c)"]
    (package / m.MANIFEST_NAME).write_text(json.dumps(raw))
    (entry,) = provenance.read(package)
    assert json.loads(json.dumps(dataclasses.asdict(entry)))["as_aiter"] == {
        "AITER v1 (commit c)": 1
    }
    said = f"1 of {entry.kernels} kernels, by the sources of AITER v1 (commit c)"
    assert said in show.provenance(entry)


def drop_module(raw: dict[str, Any]) -> None:
    del raw["components"][0]


def other_hash(raw: dict[str, Any]) -> None:
    raw["components"][0]["hashes"][0]["content"] = "f" * 64


def other_ck(raw: dict[str, Any]) -> None:
    raw["components"][1]["version"] = "6.0"


def nameless(raw: dict[str, Any]) -> None:
    raw["components"].append({"name": 5})


def stranger(raw: dict[str, Any]) -> None:
    raw["components"].append({"name": "modules/other.so"})


def other_version(raw: dict[str, Any]) -> None:
    raw["metadata"]["component"]["version"] = "9"


@pytest.mark.parametrize(
    "change", [drop_module, other_hash, other_ck, stranger, nameless, other_version]
)
def test_each_contradiction_is_found(package: Path, change: Change) -> None:
    path = sbom_of(package)
    raw = json.loads(path.read_text())
    change(raw)
    path.write_text(json.dumps(raw))
    assert codes(package) == ["sbom-differs"]


def test_a_missing_and_a_broken_sbom_are_said(package: Path) -> None:
    sbom_of(package).write_text("{")
    assert codes(package) == ["sbom-unreadable"]
    for hashes in (None, ["x"], {"alg": "SHA-256"}):
        part = {"name": 5, "hashes": hashes}
        sbom_of(package).write_text(json.dumps({"components": [part, {"name": "x"}]}))
        assert codes(package) == ["sbom-unreadable"], hashes
    info = next(package.parent.glob("*.dist-info"))
    (info / "RECORD").write_text(f"aiter_prebuilt/{m.MANIFEST_NAME},,\n")
    assert codes(package) == ["sbom-missing"]
