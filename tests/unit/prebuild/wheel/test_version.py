from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from packaging.version import Version

from aiter_prebuilt.wheel.manifest import BuildRecord, Module
from prebuild.wheel import version
from prebuild.wheel.version import package_digest, package_files, project_version
from tests.unit.aiter_prebuilt import samples
from tests.unit.prebuild.samples import PROJECT

PACKAGE = "0" * 64


def record(**changes: object) -> BuildRecord:
    return dataclasses.replace(samples.manifest().build, **changes)  # type: ignore[arg-type]


def module(key: str = "0" * 64, coverage: str = "full") -> Module:
    name = samples.STOCK if coverage == "full" else f"{samples.STOCK}__{coverage}_{key[:8]}"
    return samples.module(name=name, coverage=coverage, key=key)


def own_version(
    base: str,
    modules: list[Module],
    build: BuildRecord,
    package: str = PACKAGE,
    *,
    verified: bool = True,
) -> str:
    return version.own_version(base, modules, build, package, verified=verified)


def test_the_published_version_stands_in_pyproject() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", project_version(PROJECT.root))


@pytest.mark.parametrize("coverage", ["full", "deployed", "sound"])
def test_ones_own_is_another_version_for_pip(coverage: str) -> None:
    own = own_version("1.2.3", [module(coverage=coverage)], record())
    assert Version(own) > Version("1.2.3")
    assert str(Version(own)) == own, "not in PEP 440's normal form"
    assert Version(own).base_version == "1.2.3"
    assert ("+deployed.k" in own) == (coverage == "deployed")


def test_a_wheel_whose_kernels_may_be_wrong_says_so() -> None:
    own = own_version("1.2.3", [module()], record(), verified=False)
    assert own.startswith("1.2.3+full.unverified.k")
    assert str(Version(own)) == own


def test_the_same_content_has_the_same_version() -> None:
    one, two = module("1" * 64), module("2" * 64)
    assert own_version("1.0.0", [one, two], record()) == own_version("1.0.0", [two, one], record())


@pytest.mark.parametrize(
    "changed",
    [
        {"compiler": "another"},
        {"code_generator": "another"},
        {"ck_version": "commit 1"},
        {"device_flags": ("-O1",)},
        {"left_out": ()},
    ],
)
def test_another_maker_is_another_version(changed: dict[str, object]) -> None:
    before = own_version("1.0.0", [module()], record())
    assert own_version("1.0.0", [module()], record(**changed)) != before


def test_another_comparison_with_aiter_is_another_version() -> None:
    kernel = dataclasses.replace(samples.kernel(), as_aiter=("AITER v1",))
    other = samples.module(instances=(samples.instance(kernels=(kernel,)),))
    one = own_version("1.0.0", [samples.module()], record())
    assert one != own_version("1.0.0", [other], record())


def test_other_modules_are_another_version() -> None:
    one = own_version("1.0.0", [module("1" * 64)], record())
    assert one != own_version("1.0.0", [module("2" * 64)], record())


def test_other_bytes_of_a_module_are_another_version() -> None:
    other = dataclasses.replace(module(), sha256="f" * 64)
    one = own_version("1.0.0", [module()], record())
    assert one != own_version("1.0.0", [other], record())


def test_another_runtime_is_another_version(tmp_path: Path) -> None:
    package = tmp_path / "aiter_prebuilt"
    (package / "tools" / "__pycache__").mkdir(parents=True)
    (package / "tools" / "cli.py").write_text("one")
    before = package_digest(tmp_path)
    (package / "tools" / "__pycache__" / "cli.pyc").write_text("not packed")
    assert package_files(tmp_path) == [package / "tools" / "cli.py"]
    assert package_digest(tmp_path) == before
    (package / "tools" / "cli.py").write_text("two")
    changed = package_digest(tmp_path)
    assert changed != before
    versions = {own_version("1.0.0", [module()], record(), each) for each in (before, changed)}
    assert len(versions) == 2


def test_where_it_was_built_does_not_count() -> None:
    here = own_version("1.0.0", [module()], record())
    there = record(container="image@sha256:0", source_commit="f" * 40)
    assert own_version("1.0.0", [module()], there) == here


def test_a_checkout_without_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        project_version(tmp_path)
