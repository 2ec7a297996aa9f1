from __future__ import annotations

import sys
from pathlib import Path

import pytest

from prebuild.compile.compiler_cache import (
    Launcher,
    LauncherError,
    environment,
    expand_config,
    find_launcher,
    relative,
)
from tests.unit.prebuild.samples import toolchain

ROOTS = {"toolchain": Path("/t"), "src": Path("/t/build/src"), "csrc": Path("/home/me/csrc")}


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("/t/bin/clang++", "toolchain/bin/clang++"),
        ("--sysroot=/t/sysroot", "--sysroot=toolchain/sysroot"),
        ("-I/home/me/csrc", "-Icsrc"),
        ("/t/build/src/m/kernels/k.cu", "src/m/kernels/k.cu"),
        ("-ffile-prefix-map=/t/=/toolchain/", "-ffile-prefix-map=toolchain/=/toolchain/"),
        ("/var/other", "/var/other"),
        ("-I/other/t/x", "-I/other/t/x"),
        ("-O3", "-O3"),
    ],
)
def test_roots_become_names_of_links(argument: str, expected: str) -> None:
    assert relative([argument], ROOTS) == [expected]


def test_configuration_file_is_expanded_as_clang_does(tmp_path: Path) -> None:
    root = tmp_path / "toolchain"
    (root / "usr/lib/llvm-22/lib/clang/22").mkdir(parents=True)
    config = root / "clang.cfg"
    config.write_text(
        "--sysroot=<CFGDIR>/sysroot\n-isystem <CFGDIR>/ck\n-ffile-prefix-map=<CFGDIR>=/x/\n"
    )
    arguments = [str(root / "bin" / "clang++"), f"--config={config}", "-c"]
    assert relative(expand_config(arguments), {"toolchain": root}) == [
        "toolchain/bin/clang++",
        "--sysroot=toolchain/sysroot",
        "-isystem",
        "toolchain/ck",
        "-ffile-prefix-map=toolchain/=/x/",
        "-resource-dir=toolchain/usr/lib/llvm-22/lib/clang/22",
        "-c",
    ]


def test_two_checkouts_give_a_launcher_the_same_command(tmp_path: Path) -> None:
    commands = []
    for place in (tmp_path / "one", tmp_path / "deep" / "two"):
        roots = {"toolchain": place / "t", "src": place / "build/src", "csrc": place / "csrc"}
        launcher = Launcher(program="ccache", folder=place / "build/launcher", roots=roots, env={})
        launcher.link()
        launcher.link()
        assert (launcher.folder / "csrc").readlink() == place / "csrc"
        command = [f"{place}/t/clang++", f"-I{place}/csrc", "-c", f"{place}/build/src/m/k.cu"]
        commands.append(launcher.command(command))
    assert commands[0] == commands[1]
    assert commands[0][1:] == ["toolchain/clang++", "-Icsrc", "-c", "src/m/k.cu"]


def test_a_link_that_points_elsewhere_is_made_again(tmp_path: Path) -> None:
    for target in (tmp_path / "old", tmp_path / "new"):
        roots = {"csrc": target}
        Launcher(program="x", folder=tmp_path / "launcher", roots=roots, env={}).link()
    assert (tmp_path / "launcher" / "csrc").readlink() == tmp_path / "new"


def test_identity_stands_for_the_compiler() -> None:
    assert environment("ccache", "abc")["CCACHE_COMPILERCHECK"] == "string:abc"
    assert environment("sccache", "abc") == {"SCCACHE_C_CUSTOM_CACHE_BUSTER": "abc"}
    assert environment("distcc", "abc") == {}


def test_missing_launcher_is_named(tmp_path: Path) -> None:
    with pytest.raises(LauncherError, match="no-such-launcher"):
        find_launcher(
            "no-such-launcher", work=tmp_path, csrc=tmp_path, toolchain=toolchain(tmp_path)
        )


def test_launcher_beside_the_interpreter_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "sccache"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    tools = toolchain(tmp_path / "t", identity="one")
    found = find_launcher("sccache", work=tmp_path / "w", csrc=tmp_path / "c", toolchain=tools)
    assert found.program == str(program)
    assert found.env == {"SCCACHE_C_CUSTOM_CACHE_BUSTER": "one"}
    assert found.roots["src"] == tmp_path / "w" / "src"
