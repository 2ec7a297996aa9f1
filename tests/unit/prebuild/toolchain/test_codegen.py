from __future__ import annotations

import dataclasses
import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from prebuild.core.errors import CommandError, ToolchainError
from prebuild.core.settings import CodegenChoice, Settings
from prebuild.toolchain import codegen
from prebuild.toolchain.codegen import Pin
from prebuild.toolchain.model import Silent
from tests.unit.prebuild.samples import toolchain

LIBRARY = b"a library"


def pin(content: bytes = LIBRARY) -> Pin:
    kept = codegen.read_pin().library.model_copy(
        update={"sha256": hashlib.sha256(content).hexdigest()}
    )
    return codegen.read_pin().model_copy(update={"library": kept})


def wheel(folder: Path, member: str) -> Path:
    path = folder / "one-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, LIBRARY)
        archive.writestr("one-1.dist-info/licenses/LICENSE", "MIT")
    return path


def test_every_dropped_name_of_the_pin_has_a_reason() -> None:
    found = codegen.read_pin()
    reasons = {**found.attributes, **found.features, **found.options}.values()
    assert all(len(reason) > 20 for reason in reasons)
    assert f"{found.name}=={found.version} --hash=sha256:" in codegen.requirement(found)


def test_a_pin_with_an_unknown_key_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "codegen.toml"
    file.write_text(codegen.PIN_FILE.read_text() + '\n[setting]\nx = "y"\n')
    with pytest.raises(ToolchainError, match="setting"):
        codegen.read_pin(file)


def test_the_library_and_the_licence_are_kept(tmp_path: Path) -> None:
    chosen = pin()
    codegen.unpack(wheel(tmp_path, chosen.library.member), chosen, tmp_path / "tree")
    kept = {path.name: path.read_bytes() for path in (tmp_path / "tree").iterdir()}
    assert kept == {"librocmllvm.so": LIBRARY, "LICENSE": b"MIT"}


def test_another_library_than_the_pinned_one_is_an_error(tmp_path: Path) -> None:
    chosen = pin(b"another")
    with pytest.raises(ToolchainError, match="not the pinned one"):
        codegen.unpack(wheel(tmp_path, chosen.library.member), chosen, tmp_path / "tree")


def test_a_wheel_without_the_library_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match=r"one-1-py3-none-any\.whl"):
        codegen.unpack(wheel(tmp_path, "other.so"), pin(), tmp_path / "tree")


def test_clang_needs_nothing_and_changes_nothing(tmp_path: Path) -> None:
    plain = toolchain(tmp_path)
    assert codegen.attached(plain, Settings(cache_dir=tmp_path)) is plain


def test_amds_is_attached_with_its_package_and_no_new_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = pin()
    monkeypatch.setattr(codegen, "read_pin", lambda: chosen)
    settings = Settings(cache_dir=tmp_path, codegen=CodegenChoice.AMD)
    plain = dataclasses.replace(toolchain(tmp_path), python=tmp_path / "python")
    with pytest.raises(ToolchainError, match="make toolchain CODEGEN=amd"):
        codegen.attached(plain, settings)
    folder = tmp_path / "toolchain" / f"codegen-{chosen.library.sha256[:16]}"
    folder.mkdir(parents=True)
    (folder / "librocmllvm.so").write_bytes(b"damaged")
    with pytest.raises(ToolchainError, match="has sha256"):
        codegen.attached(plain, settings)
    (folder / "librocmllvm.so").write_bytes(LIBRARY)
    made = codegen.attached(plain, settings)
    assert made.codegen is not None
    assert made.codegen.version == chosen.llvm
    assert (made.codegen.library, made.codegen.python) == (folder / "librocmllvm.so", plain.python)
    assert [package.origin for package in made.packages] == ["pypi"]
    assert made.identity == plain.identity


def test_rocms_clang_has_that_code_generator_itself_and_nothing_is_fetched(tmp_path: Path) -> None:
    rocm = dataclasses.replace(toolchain(tmp_path), kind="rocm", python=tmp_path / "python")
    settings = Settings(cache_dir=tmp_path / "cache", codegen=CodegenChoice.AMD)
    for refused in (
        lambda: codegen.attached(rocm, settings),
        lambda: codegen.install(rocm, settings, Silent()),
    ):
        with pytest.raises(ToolchainError, match="is ROCm's"):
            refused()
    assert not settings.cache_dir.exists()


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Stands in for pip: puts a wheel with the library where it is told to; holds its commands."""
    commands: list[list[str]] = []
    chosen = pin()

    def run(command: Sequence[str | Path], **_: object) -> bytes:
        words = [str(word) for word in command]
        commands.append(words)
        wheel(Path(words[words.index("--dest") + 1]), chosen.library.member)
        return b""

    monkeypatch.setattr(codegen.proc, "run", run)
    monkeypatch.setattr(codegen, "read_pin", lambda: chosen)
    return commands


def test_it_is_fetched_once_by_its_hash(tmp_path: Path, pip: list[list[str]]) -> None:
    settings = Settings(cache_dir=tmp_path / "cache", codegen=CodegenChoice.AMD)
    tools = dataclasses.replace(toolchain(tmp_path), python=tmp_path / "python")
    made = [codegen.install(tools, settings, Silent()) for _ in range(2)]
    assert made[0] == made[1]
    (command,) = pip
    assert {"--require-hashes", "--no-deps", "--only-binary=:all:"} <= set(command)
    assert made[0].codegen is not None
    assert made[0].codegen.library.read_bytes() == LIBRARY
    codegen.install(tools, settings, Silent(), force=True)
    assert len(pip) == 2
    made[0].codegen.library.write_bytes(b"damaged")
    assert codegen.install(tools, settings, Silent()) == made[0]
    assert (len(pip), made[0].codegen.library.read_bytes()) == (3, LIBRARY)
    folder = made[0].codegen.library.parent
    assert {path.name for path in folder.parent.iterdir()} == {folder.name, f"{folder.name}.lock"}


def test_what_pip_says_is_told_where_the_index_has_it_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: Sequence[str | Path], **_: object) -> bytes:
        raise CommandError([str(word) for word in command], 1, "ERROR: no matching distribution\n")

    monkeypatch.setattr(codegen.proc, "run", run)
    settings = Settings(cache_dir=tmp_path / "cache", codegen=CodegenChoice.AMD)
    tools = dataclasses.replace(toolchain(tmp_path), python=tmp_path / "python")
    with pytest.raises(ToolchainError, match="no matching distribution"):
        codegen.install(tools, settings, Silent())


def test_what_is_dropped_is_part_of_the_identity(tmp_path: Path) -> None:
    chosen = pin()
    less = chosen.model_copy(update={"features": {}})
    one = codegen.generator(chosen, tmp_path / "a", tmp_path)
    assert one.identity == codegen.generator(chosen, tmp_path / "b", tmp_path).identity
    assert one.identity != codegen.generator(less, tmp_path / "a", tmp_path).identity
