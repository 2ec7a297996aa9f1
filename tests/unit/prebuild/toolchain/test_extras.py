from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prebuild.core.errors import ToolchainError
from prebuild.core.settings import Settings, ToolchainChoice
from prebuild.toolchain import extras, fetch, unpack
from prebuild.toolchain.lock import Component, Lock, read_components, read_lock
from prebuild.toolchain.model import Silent


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        cache_dir=tmp_path / "cache",
        toolchain=ToolchainChoice.DEBIAN,
        debian_mirrors=("https://a.example/debian",),
        rocm_path=tmp_path / "rocm",
    )


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stands in for apt and dpkg-deb; holds the names of what was unpacked."""
    names: list[str] = []

    def get(lock: Lock, folder: Path, *_rest: Any, **_options: Any) -> dict[str, Path]:
        return {package.sha256: folder / package.name for package in lock.packages}

    def extract(_deb: Path, into: Path, _component: Component, package: str) -> None:
        names.append(package)
        header = into / "usr/include/thrust/complex.h"
        header.parent.mkdir(parents=True, exist_ok=True)
        header.write_text("")

    monkeypatch.setattr(fetch, "fetch", get)
    monkeypatch.setattr(unpack, "extract", extract)
    monkeypatch.setattr("prebuild.toolchain.apt.require_tools", lambda _tools: None)
    return names


def test_the_toolchain_s_identity_knows_no_extra() -> None:
    """It is in the key of every object: an extra in it would compile everything anew."""
    names = {package.name for package in read_lock().packages}
    extra = {package.name for package in read_lock(extras.EXTRAS_LOCK).packages}
    assert names.isdisjoint(extra)
    own = {component.name for component in read_components()}
    assert own.isdisjoint(component.name for component in read_components(extras.EXTRAS_FILE))


def test_an_absent_extra_says_what_to_run(settings: Settings) -> None:
    with pytest.raises(ToolchainError, match=r"(?s)toolchain extra rocthrust.*thrust/complex\.h"):
        extras.include_of(settings, "rocthrust")


def test_an_extra_is_fetched_once_into_a_folder_of_its_own(
    settings: Settings, fetched: list[str]
) -> None:
    folder = extras.install(settings, "rocthrust", Silent())
    assert fetched == ["librocprim-dev", "librocthrust-dev"]
    assert folder == extras.install(settings, "rocthrust", Silent())
    assert folder == extras.include_of(settings, "rocthrust")
    assert len(fetched) == 2
    own = folder.relative_to(settings.cache_dir / "toolchain").parts[0]
    assert own.startswith("extra-rocthrust-")


def test_an_interrupted_unpacking_leaves_nothing_that_counts(
    settings: Settings, fetched: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(unpack, "extract", stop)
        with pytest.raises(KeyboardInterrupt):
            extras.install(settings, "rocthrust", Silent())
    assert extras.install(settings, "rocthrust", Silent()).is_dir()
    assert len(fetched) == 2


def test_a_rocm_installation_has_its_own(tmp_path: Path, settings: Settings) -> None:
    rocm = replace(settings, toolchain=ToolchainChoice.ROCM)
    with pytest.raises(ToolchainError, match="rocthrust-dev"):
        extras.install(rocm, "rocthrust", Silent())
    header = tmp_path / "rocm/include/thrust/complex.h"
    header.parent.mkdir(parents=True)
    header.write_text("")
    assert extras.install(rocm, "rocthrust", Silent()) == tmp_path / "rocm" / "include"


def test_an_unknown_extra_is_refused_with_those_there_are(settings: Settings) -> None:
    with pytest.raises(ToolchainError, match=r"(?s)'torch'.*rocthrust"):
        extras.include_of(settings, "torch")
