from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from prebuild.cli.toolchain import PlainProgress
from prebuild.core.errors import CommandError, ToolchainError
from prebuild.core.settings import Settings, ToolchainChoice
from prebuild.toolchain import debian, debian_setup, rocm, setup, unpack
from prebuild.toolchain.headers import CK_HEADER, hip_version
from prebuild.toolchain.lock import read_components, read_lock
from tests.unit.prebuild.samples import toolchain


def fill_rocm(root: Path) -> Path:
    for name in (
        "llvm/bin/clang++",
        "amdgcn/bitcode/ocml.bc",
        "include/hip/hip_runtime.h",
        f"include/{CK_HEADER}",
        "lib/libamdhip64.so",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def checkout(folder: Path) -> Path:
    """The headers of a composable kernel of one's own."""
    header = folder / "ck" / "include" / CK_HEADER
    header.parent.mkdir(parents=True)
    header.touch()
    return folder / "ck" / "include"


def test_auto_takes_a_rocm_that_has_all_parts(tmp_path: Path) -> None:
    settings = Settings(cache_dir=tmp_path, rocm_path=fill_rocm(tmp_path / "rocm"))
    assert setup.choose(settings) is ToolchainChoice.ROCM


def test_auto_takes_debian_where_a_part_lacks(tmp_path: Path) -> None:
    root = fill_rocm(tmp_path / "rocm")
    (root / "include" / CK_HEADER).unlink()
    settings = Settings(cache_dir=tmp_path, rocm_path=root)
    assert setup.choose(settings) is ToolchainChoice.DEBIAN
    (problem,) = rocm.problems(root)
    assert problem.startswith(f"no {root}/include/{CK_HEADER}; package composablekernel-dev")
    assert "PREBUILD_AITER" in problem


def test_a_rocm_without_ck_serves_where_a_checkout_is_named(tmp_path: Path) -> None:
    root = fill_rocm(tmp_path / "rocm")
    (root / "include" / CK_HEADER).unlink()
    settings = Settings(cache_dir=tmp_path, rocm_path=root, ck_include=checkout(tmp_path))
    assert setup.choose(settings) is ToolchainChoice.ROCM


@pytest.mark.parametrize(
    "bitcode",
    [
        "lib/llvm/amdgcn/bitcode",  # ROCm 7.10 to 7.14 by pip
        "lib/llvm/lib/clang/23/lib/amdgcn/bitcode",  # a newer clang, in its resource folder
        "lib/llvm/lib/clang/24/amdgcn/bitcode",
    ],
)
def test_a_newer_clang_below_lib_and_its_device_libraries_are_found(
    tmp_path: Path, bitcode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "rocm"
    for name in (
        "lib/llvm/bin/clang++",
        f"{bitcode}/ocml.bc",
        "include/hip/hip_runtime.h",
        "lib/libamdhip64.so",
        "lib/libamdhip64.so.7",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    numbers = "\n".join(f"#define HIP_VERSION_{part} 10" for part in ("MAJOR", "MINOR", "PATCH"))
    (root / "include/hip/hip_version.h").write_text(numbers)
    version = "AMD clang version 23.0.0git\nInstalledDir: /nowhere\n"
    monkeypatch.setattr(rocm.proc, "run", lambda *_args, **_more: version.encode())
    settings = Settings(cache_dir=tmp_path, rocm_path=root, ck_include=checkout(tmp_path))
    assert setup.choose(settings) is ToolchainChoice.ROCM
    found = rocm.load(settings)
    assert found.clangxx == root / "lib/llvm/bin/clang++"
    assert f"--rocm-device-lib-path={root / bitcode}" in found.hip_flags
    assert found.compiler_version == "AMD clang version 23.0.0git"
    assert (found.ck_version, found.hip_version) == ("none", "10.10.10")
    assert found.hip_runtime == root / "lib/libamdhip64.so.7"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """No ROCm of the machine; holds what pip's, which says /sdk, was asked."""
    commands: list[str] = []

    def run(command: Sequence[str | Path], **_: object) -> bytes:
        commands.append(" ".join(map(str, command[1:])))
        return b"expanding\n/sdk\n"

    monkeypatch.setattr(rocm, "DEFAULT", Path("/nowhere/rocm"))
    monkeypatch.setattr(rocm.proc, "run", run)
    rocm._of_pip.cache_clear()
    yield commands
    rocm._of_pip.cache_clear()


def test_the_rocm_of_pip_is_asked_for_its_root(
    asked: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(rocm.importlib.util, "find_spec", lambda name: name)
    assert rocm.root_of(Settings(cache_dir=tmp_path)) == Path("/sdk")
    assert asked == ["-m rocm_sdk path --root"]
    assert rocm.root_of(Settings(cache_dir=tmp_path, rocm_path=tmp_path)) == tmp_path
    assert len(asked) == 1


def test_where_pip_has_none_opt_rocm_is_what_is_missing(
    asked: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(rocm.importlib.util, "find_spec", lambda _name: None)
    assert rocm.root_of(Settings(cache_dir=tmp_path)) == Path("/nowhere/rocm")
    assert asked == []


def test_a_rocm_of_pip_without_its_devel_part_is_none(
    asked: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def run(command: list[str], **_: object) -> bytes:
        asked.append("asked")
        raise CommandError(command, 1, "rocm[devel] is required")

    monkeypatch.setattr(rocm.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(rocm.proc, "run", run)
    assert rocm.root_of(Settings(cache_dir=tmp_path)) == Path("/nowhere/rocm")
    assert asked == ["asked"]


def test_forced_rocm_names_all_that_lacks(tmp_path: Path) -> None:
    (tmp_path / "rocm").mkdir()
    settings = Settings(
        cache_dir=tmp_path, rocm_path=tmp_path / "rocm", toolchain=ToolchainChoice.ROCM
    )
    with pytest.raises(ToolchainError) as caught:
        setup.load(settings)
    assert len(caught.value.problems) == 5


def test_a_rocm_that_is_passed_over_is_told_with_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = fill_rocm(tmp_path / "rocm")
    (root / "include" / CK_HEADER).unlink()
    said: list[str] = []
    monkeypatch.setattr(debian_setup, "install", lambda *_, **__: toolchain(tmp_path))
    progress = PlainProgress()
    monkeypatch.setattr(progress, "step", lambda text, **_: said.append(text))
    settings = Settings(cache_dir=tmp_path, rocm_path=root)
    setup.install(settings, progress)
    (line,) = said
    assert line.startswith(f"ROCm in {root} is not used: no ")
    assert "AITER=" in line
    setup.install(dataclasses.replace(settings, rocm_path=tmp_path / "none"), progress)
    setup.install(dataclasses.replace(settings, toolchain=ToolchainChoice.DEBIAN), progress)
    assert said == [line]


def test_what_a_composable_kernel_can_is_asked_of_what_is_there(tmp_path: Path) -> None:
    nothing = Settings(cache_dir=tmp_path, toolchain=ToolchainChoice.DEBIAN)
    assert setup.ck_abilities(nothing) == frozenset()
    absent = Settings(
        cache_dir=tmp_path, toolchain=ToolchainChoice.ROCM, rocm_path=tmp_path / "none"
    )
    with pytest.raises(ToolchainError, match="not usable"):
        setup.ck_abilities(absent)


def test_forced_debian_passes_a_rocm_by(tmp_path: Path) -> None:
    settings = Settings(
        cache_dir=tmp_path,
        rocm_path=fill_rocm(tmp_path / "rocm"),
        toolchain=ToolchainChoice.DEBIAN,
    )
    assert setup.choose(settings) is ToolchainChoice.DEBIAN


def test_an_absent_toolchain_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="make toolchain"):
        debian.load(Settings(cache_dir=tmp_path))


def test_a_moved_toolchain_is_told(tmp_path: Path) -> None:
    settings = Settings(cache_dir=tmp_path)
    root = debian.folder_of(settings, read_lock())
    root.mkdir(parents=True)
    (root / debian.STAMP).write_text(json.dumps({"root": "/elsewhere", "compiler_version": "x"}))
    with pytest.raises(ToolchainError, match=r"(?s)install --force.*/elsewhere"):
        debian.load(settings)


def test_debian_identity_follows_packages_and_what_is_kept() -> None:
    lock, components = read_lock(), read_components()
    first = lock.components[0]
    other = first.packages[0].model_copy(update={"sha256": "0" * 64})
    changed = lock.model_copy(
        update={
            "components": (
                first.model_copy(update={"packages": (other, *first.packages[1:])}),
                *lock.components[1:],
            )
        }
    )
    trimmed = (components[0].model_copy(update={"drop": ()}), *components[1:])
    names = {
        debian.identity(lock, components),
        debian.identity(changed, components),
        debian.identity(lock, trimmed),
    }
    assert len(names) == 3
    assert debian.identity(lock) == debian.identity(lock, components)


def test_rocm_identity_follows_content_and_not_place(tmp_path: Path) -> None:
    one, two = fill_rocm(tmp_path / "one"), fill_rocm(tmp_path / "two")
    version = "clang version 20\nInstalledDir: {}/llvm/bin\n"

    def identity(root: Path) -> str:
        return rocm.identity(root, root / "amdgcn" / "bitcode", version.format(root))

    same = identity(one)
    assert identity(two) == same
    (two / "include" / CK_HEADER).write_text("changed")
    assert identity(two) != same


def test_hip_version_is_read_from_the_header(tmp_path: Path) -> None:
    header = tmp_path / "hip" / "hip_version.h"
    header.parent.mkdir()
    header.write_text(
        "#define HIP_VERSION_MAJOR 7\n#define HIP_VERSION_MINOR 2\n"
        "#define HIP_VERSION_PATCH 53211\n"
    )
    assert hip_version(tmp_path) == "7.2.53211"
    header.write_text("#define HIP_VERSION_MAJOR 7\n")
    with pytest.raises(ToolchainError, match="does not define HIP_VERSION_MINOR"):
        hip_version(tmp_path)


def test_relink_keeps_links_inside(tmp_path: Path) -> None:
    (tmp_path / "lib64").mkdir()
    link = tmp_path / "lib64" / "ld.so"
    link.symlink_to("/lib/x/ld-2.31.so")
    beside = tmp_path / "lib64" / "beside"
    beside.symlink_to("ld.so")
    unpack.relink(tmp_path)
    assert link.readlink() == Path("../lib/x/ld-2.31.so")
    assert beside.readlink() == Path("ld.so")
