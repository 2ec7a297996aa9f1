from __future__ import annotations

import re
from pathlib import Path

import pytest

from prebuild.core import proc
from prebuild.core.errors import CommandError
from prebuild.core.project import Project
from prebuild.core.settings import CodegenChoice, Settings
from prebuild.release import container
from prebuild.release.engine import ContainerError, Engine
from prebuild.release.reproduce import reproduce
from prebuild.toolchain import pin


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Every command that was started, none of which runs; an image is there with a digest."""
    commands: list[list[str]] = []

    def note(command: list[str | Path], **_: object) -> bytes:
        commands.append([str(part) for part in command])
        return b"sha256:abc\n"

    def note_attached(command: list[str | Path], **_: object) -> int:
        note(command)
        return 0

    monkeypatch.setattr(proc, "run", note)
    monkeypatch.setattr(proc, "run_attached", note_attached)
    monkeypatch.setattr(Engine, "find", lambda _: Engine(environment={}))
    return commands


def test_a_run_mounts_a_checkout_the_objects_and_the_results(
    seen: list[list[str]], tmp_path: Path
) -> None:
    ck = tmp_path / "ck" / "include"
    settings = Settings(cache_dir=tmp_path / "c", ck_include=ck)
    container.run(Project(root=tmp_path), "img", ["make", "wheel"], settings=settings)
    run = seen[-1]
    assert run[-2:] == ["make", "wheel"]
    assert "img" in run
    text = " ".join(run)
    assert f"{tmp_path / 'c' / 'objects'}:{container.INSIDE}/objects" in text
    assert f"{tmp_path / 'wheelhouse'}:/project/wheelhouse" in text
    assert f"--volume={ck.parent}:/ck:ro" in run
    assert "--env=PREBUILD_CK_INCLUDE=/ck/include" in run
    assert "--env=PREBUILD_CONTAINER=img@sha256:abc" in run
    assert any(command[:2] == ["git", "clone"] for command in seen)
    assert "--env=PREBUILD_AITER=" in run


def test_amds_llvm_does_not_go_into_an_images_own_build(tmp_path: Path) -> None:
    settings = Settings(cache_dir=tmp_path, codegen=CodegenChoice.AMD)
    with pytest.raises(ContainerError, match="CODEGEN"):
        container.cibuildwheel(
            Project(root=tmp_path), settings, image="img", config={}, out=tmp_path
        )
    with pytest.raises(ContainerError, match="CODEGEN"):
        reproduce(
            Project(root=tmp_path), settings, image="img", config={}, kernels=1, say=lambda _: None
        )


def test_an_aiter_that_the_caller_names_takes_the_place_of_the_images(
    seen: list[list[str]], tmp_path: Path
) -> None:
    (tmp_path / "aiter" / "3rdparty" / "composable_kernel").mkdir(parents=True)
    settings = Settings(cache_dir=tmp_path / "c", aiter=tmp_path / "aiter")
    container.run(Project(root=tmp_path), "img", ["make", "wheel"], settings=settings)
    assert f"--volume={tmp_path / 'aiter'}:/aiter:ro" in seen[-1]
    assert "--env=PREBUILD_AITER=/aiter" in seen[-1]


def test_the_release_image_has_the_pinned_composable_kernel(
    seen: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[tuple[str, str]] = []

    def fetch(wanted: pin.Pin, folder: Path) -> None:
        fetched.append((wanted.ck.commit, folder.name))

    monkeypatch.setattr(pin, "fetch", fetch)
    project = Project.here()
    container.build_rocm(project, "rocm/image")
    assert fetched == [(pin.read_pin(project.matrix).ck.commit, "aiter")]
    build = next(command for command in seen if command[1] == "build")
    assert "ROCM_IMAGE=rocm/image" in build
    recipe = project.root / "packaging" / "containers" / "Containerfile.rocm"
    text = recipe.read_text(encoding="utf-8")
    (target,) = re.findall(r"^COPY aiter (\S+)$", text, re.MULTILINE)
    assert f"PREBUILD_AITER={target} " in text


def test_a_nameless_run_leaves_no_trace_of_the_container(
    seen: list[list[str]], tmp_path: Path
) -> None:
    container.run(
        Project(root=tmp_path),
        "img",
        ["true"],
        settings=Settings(cache_dir=tmp_path / "c"),
        named=False,
    )
    assert not any("PREBUILD_CONTAINER" in part for part in seen[-1])


def test_an_image_that_is_not_here_is_said_with_what_to_do(
    seen: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(command: list[str], **_: object) -> bytes:
        raise CommandError(command, 1, "")

    monkeypatch.setattr(proc, "run", absent)
    with pytest.raises(ContainerError, match="make container"):
        container.run(
            Project(root=tmp_path), "img", ["true"], settings=Settings(cache_dir=tmp_path / "c")
        )
    assert seen == []


def test_an_interpreter_of_the_system_is_not_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proc, "run", lambda *_args, **_more: b"/usr\n/usr/bin/python3.11\n")
    with pytest.raises(ContainerError, match="/usr"):
        container.fill_context(tmp_path, Project.here(), [Path("python3.11")])


def test_an_image_is_made_of_what_its_steps_read(tmp_path: Path) -> None:
    container.fill_context(tmp_path, Project.here(), [])
    package = tmp_path / "packaging" / "prebuild"
    assert (package / "toolchain" / "debian.lock.json").is_file()
    assert (tmp_path / "packaging" / "containers" / "tools.sh").is_file()
    assert not (package / "plan").exists()
    needed = {
        found
        for path in package.rglob("*.py")
        for found in re.findall(r"^from (prebuild\.[\w.]+) import", path.read_text(), re.MULTILINE)
    }
    assert "prebuild.core.errors" in needed
    assert (tmp_path / "aiter_prebuilt" / "data" / "gfx950.json").is_file()
    for found in needed - {"prebuild.core"}:
        place = tmp_path.joinpath("packaging", *found.split("."))
        assert place.with_suffix(".py").is_file() or (place / "__init__.py").is_file(), found


def test_the_base_is_made_anew_when_its_packages_change(monkeypatch: pytest.MonkeyPatch) -> None:
    before = container.base_tag()
    monkeypatch.setattr(container, "PACKAGES", ("one",))
    assert container.base_tag() != before
