from __future__ import annotations

import base64
import hashlib
import os
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.utils import parse_wheel_filename
from packaging.version import Version

from aiter_prebuilt.wheel.manifest import MANIFEST_NAME, Harvest, parse
from prebuild.harvest import wheel
from prebuild.harvest.read import Harvested
from tests.unit.aiter_prebuilt import samples


def harvested(folder: Path, name: str, cpython: str | None = "3.12") -> Harvested:
    path = folder / f"{name}.so"
    path.write_bytes(name.encode())
    bound = Harvest(aiter_version="0.1.19", aiter_sources="0" * 64, cpython=cpython, torch="2.9")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    module = samples.module(
        name=name,
        stock_name=name,
        sha256=digest,
        harvest=bound,
        contracts=(),
        file=f"modules/{path.name}",
    )
    return Harvested(path=path, module=module)


def metadata(path: Path) -> dict[str, list[str]]:
    with zipfile.ZipFile(path) as packed:
        (name,) = (name for name in packed.namelist() if name.endswith("/METADATA"))
        found = Parser().parsestr(packed.read(name).decode())
    return {key: found.get_all(key, []) for key in set(found.keys())}


def test_the_wheel_asks_for_what_its_modules_are_bound_to(tmp_path: Path) -> None:
    modules = [harvested(tmp_path, "module_a"), harvested(tmp_path, "module_b", None)]
    path = wheel.write_wheel(modules, version="1.2.3", out=tmp_path / "dist")
    found = metadata(path)
    assert found["Requires-Dist"] == ["aiter-prebuilt-gfx950>=1.2.3", "torch==2.9.*"]
    assert found["Requires-Python"] == ["==3.12.*"]
    _, version, _, tags = parse_wheel_filename(path.name)
    assert str(version) == found["Version"][0]
    assert {str(tag) for tag in tags} == {"cp312-cp312-linux_x86_64"}


@pytest.mark.parametrize("digest", ["01234567", "0a1b2c3d", "12345678"])
def test_the_version_is_in_normal_form(
    digest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel, "_digest", lambda _: digest)
    path = wheel.write_wheel([harvested(tmp_path, "module_a")], version="1.0.0", out=tmp_path)
    (version,) = metadata(path)["Version"]
    assert str(Version(version)) == version


def test_the_same_modules_give_the_same_bytes_at_another_time(tmp_path: Path) -> None:
    found = [harvested(tmp_path, "module_a"), harvested(tmp_path, "module_b")]
    first = wheel.write_wheel(found, version="1.0.0", out=tmp_path / "first")
    for module in found:
        os.utime(module.path, (1_000_000_000, 1_000_000_000))
        module.path.chmod(0o600)
    second = wheel.write_wheel(found, version="1.0.0", out=tmp_path / "second")
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()


def test_the_record_names_every_file_with_its_hash(tmp_path: Path) -> None:
    modules = [harvested(tmp_path, "module_a")]
    path = wheel.write_wheel(modules, version="1.0.0", out=tmp_path / "dist")
    with zipfile.ZipFile(path) as packed:
        content = {name: packed.read(name) for name in packed.namelist()}
    (record,) = (name for name in content if name.endswith("/RECORD"))
    rows = [line.split(",") for line in content[record].decode().splitlines()]
    assert {name for name, _, _ in rows} == set(content)
    for name, digest, size in rows:
        if name != record:
            wanted = base64.urlsafe_b64encode(hashlib.sha256(content[name]).digest()).rstrip(b"=")
            assert digest == f"sha256={wanted.decode()}"
            assert int(size) == len(content[name])
    (manifest,) = (name for name in content if name.endswith(MANIFEST_NAME))
    assert [each.name for each in parse(content[manifest].decode()).modules] == ["module_a"]
