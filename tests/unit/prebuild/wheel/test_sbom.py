from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from aiter_prebuilt.wheel.manifest import Manifest
from prebuild.toolchain import Toolchain
from prebuild.toolchain.model import PackageRef
from prebuild.wheel.sbom import SbomError, make_sbom, validate
from tests.unit.aiter_prebuilt import samples

EPOCH = 1_700_000_000
CLANG = PackageRef(name="clang-22", version="1:22.1.8-3", sha256="ab" * 32)
LIBC = PackageRef(name="libc6-dev", version="2.31", sha256="cd" * 32)


@pytest.fixture
def manifest() -> Manifest:
    return samples.manifest()


@pytest.fixture
def toolchain() -> Toolchain:
    return Toolchain(
        kind="debian",
        root=Path("/t"),
        clangxx=Path("/t/clang++"),
        hip_flags=(),
        host_flags=(),
        llvm_bin=Path("/t"),
        ck_include=Path("/t"),
        ck_version="7.2",
        ck_licence=None,
        hip_version="7.2",
        compiler_version="clang",
        python_include=(),
        hip_runtime=None,
        python=None,
        packages=(LIBC, CLANG, CLANG),
        identity="0" * 64,
    )


def test_it_names_modules_headers_and_every_package_once(
    manifest: Manifest, toolchain: Toolchain
) -> None:
    bill = json.loads(make_sbom(manifest, toolchain, epoch=EPOCH))
    parts = {part["name"]: part for part in bill["components"]}
    module = manifest.modules[0]
    assert parts.keys() == {module.file, "composable_kernel", "hip"}
    assert parts[module.file]["hashes"] == [{"alg": "SHA-256", "content": module.sha256}]
    assert parts["composable_kernel"]["licenses"] == [{"license": {"id": "MIT"}}]
    tools = bill["metadata"]["tools"]["components"]
    assert sorted(tool["name"] for tool in tools) == ["clang", "clang-22", "libc6-dev"]
    assert bill["metadata"]["timestamp"].startswith("2023-11-14T22:13:20")


def test_a_package_is_named_by_where_it_came_from(manifest: Manifest, toolchain: Toolchain) -> None:
    wheel = PackageRef(name="rocm-llvm-python", version="7.2", sha256="ef" * 32, origin="pypi")
    tools = dataclasses.replace(toolchain, packages=(CLANG, wheel))
    bill = json.loads(make_sbom(manifest, tools, epoch=EPOCH))
    found = {tool["name"]: tool.get("purl") for tool in bill["metadata"]["tools"]["components"]}
    assert found["rocm-llvm-python"] == "pkg:pypi/rocm-llvm-python@7.2"
    assert found["clang-22"].startswith("pkg:deb/debian/clang-22@")


def test_the_compiler_says_whose_code_generator_it_was(
    manifest: Manifest, toolchain: Toolchain
) -> None:
    record = dataclasses.replace(manifest.build, code_generator="AMD LLVM 22")
    bill = json.loads(
        make_sbom(dataclasses.replace(manifest, build=record), toolchain, epoch=EPOCH)
    )
    (clang,) = (part for part in bill["metadata"]["tools"]["components"] if part["name"] == "clang")
    named = {entry["name"]: entry["value"] for entry in clang["properties"]}
    assert named["aiter-prebuilt:code-generator"] == "AMD LLVM 22"


def test_the_same_build_has_the_same_bill_and_another_has_another(
    manifest: Manifest, toolchain: Toolchain
) -> None:
    text = make_sbom(manifest, toolchain, epoch=EPOCH)
    reordered = dataclasses.replace(toolchain, packages=(CLANG, LIBC))
    assert make_sbom(manifest, reordered, epoch=EPOCH) == text
    record = dataclasses.replace(manifest.build, container="localhost/a@sha256:1")
    other = dataclasses.replace(manifest, build=record)
    changed = json.loads(make_sbom(other, toolchain, epoch=EPOCH))
    assert changed["serialNumber"] != json.loads(text)["serialNumber"]
    assert "localhost/a@sha256:1" in json.dumps(changed)


NAMELESS = '{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"type": "file"}]}'


@pytest.mark.parametrize("text", ["{}", NAMELESS])
def test_what_is_no_bill_of_materials_is_refused(text: str) -> None:
    with pytest.raises(SbomError, match=r"CycloneDX 1\.6"):
        validate(text)
