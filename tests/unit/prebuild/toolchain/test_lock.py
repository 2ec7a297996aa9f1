from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from prebuild.core.errors import ToolchainError
from prebuild.toolchain.extras import EXTRAS_FILE, EXTRAS_LOCK
from prebuild.toolchain.lock import (
    COMPONENTS_FILE,
    LOCK_FILE,
    Lock,
    read_components,
    read_lock,
)

PACKAGE = {
    "name": "libz3-4",
    "version": "4.13.3-1.1",
    "suite": "sid",
    "sha256": "a" * 64,
    "size": 12,
    "filename": "pool/main/z/z3/libz3-4_4.13.3-1.1_amd64.deb",
}


def lock_data(*packages: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": 1,
        "architecture": "amd64",
        "components": [{"name": "compiler", "packages": list(packages)}],
    }


def write(tmp_path: Path, data: object) -> Path:
    file = tmp_path / "debian.lock.json"
    file.write_text(data if isinstance(data, str) else json.dumps(data))
    return file


def test_the_locked_file_is_what_dumps_writes(tmp_path: Path) -> None:
    lock = read_lock()
    assert read_lock(write(tmp_path, lock.dumps())) == lock


@pytest.mark.parametrize(
    ("source", "locked_in"), [(COMPONENTS_FILE, LOCK_FILE), (EXTRAS_FILE, EXTRAS_LOCK)]
)
def test_the_lock_and_the_components_fit(source: Path, locked_in: Path) -> None:
    components, lock = read_components(source), read_lock(locked_in)
    assert [part.name for part in lock.components] == [part.name for part in components]
    for component, locked in zip(components, lock.components, strict=True):
        names = {package.name for package in locked.packages}
        assert set(component.roots) <= names
        assert set(component.keep) <= names, "a `keep` for a package that is not there"
        assert {package.suite for package in locked.packages} <= set(component.suites)
        assert names.isdisjoint(set(component.assume) - {"*"})


def test_the_host_side_is_old_and_the_compiler_knows_gfx950() -> None:
    versions = {
        (part.name, package.name): package.version
        for part in read_lock().components
        for package in part.packages
    }
    assert versions["sysroot", "libc6"].startswith("2.31-")
    assert versions["compiler", "clang-22"].startswith("1:22.")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"sha256": "A" * 64}, "components.0.packages.0.sha256"),
        ({"size": 0}, "components.0.packages.0.size"),
        ({"version": "1; rm"}, "components.0.packages.0.version"),
        ({"filename": "/etc/passwd.deb"}, "components.0.packages.0.filename"),
        ({"filename": "../x.deb"}, "components.0.packages.0.filename"),
        ({"filename": "pool/x.tar"}, "components.0.packages.0.filename"),
        ({"colour": "red"}, "components.0.packages.0.colour"),
    ],
)
def test_a_wrong_key_is_named(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    with pytest.raises(ToolchainError) as caught:
        read_lock(write(tmp_path, lock_data(PACKAGE | change)))
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(f"{named}: ")


def test_all_errors_at_once(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError) as caught:
        read_lock(write(tmp_path, lock_data(PACKAGE | {"size": -1}, PACKAGE | {"sha256": ""})))
    assert len(caught.value.problems) == 2


def test_a_package_listed_twice(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="listed more than once in compiler: libz3-4"):
        read_lock(write(tmp_path, lock_data(PACKAGE, PACKAGE)))


@pytest.mark.parametrize("data", ["{", "[]", json.dumps({"version": 2})])
def test_no_lock_at_all(tmp_path: Path, data: str) -> None:
    with pytest.raises(ToolchainError, match="prebuild toolchain lock"):
        read_lock(write(tmp_path, data))


def test_an_absent_lock(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="No such file"):
        read_lock(tmp_path / "absent.json")


def test_wrong_components_name_the_key(tmp_path: Path) -> None:
    file = tmp_path / "components.toml"
    file.write_text('[[component]]\nname = "a"\ninto = "../up"\nsuites = []\nroots = ["x"]\n')
    with pytest.raises(ToolchainError) as caught:
        read_components(file)
    keys = [problem.partition(":")[0] for problem in caught.value.problems]
    assert keys == ["component.0.into", "component.0.suites"]


def test_one_lock_one_text() -> None:
    lock = Lock.model_validate(lock_data(PACKAGE))
    assert lock.dumps() == Lock.model_validate(json.loads(lock.dumps())).dumps()
