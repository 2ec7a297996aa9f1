from __future__ import annotations

from pathlib import Path

import pytest

from prebuild.core.settings import CodegenChoice, Settings, SettingsError, ToolchainChoice


def test_cache_dir_is_the_first_of_own_variable_xdg_and_home() -> None:
    environ = {"PREBUILD_CACHE_DIR": "/c", "XDG_CACHE_HOME": "/x", "HOME": "/h"}
    assert Settings.from_environ(environ).cache_dir == Path("/c")
    del environ["PREBUILD_CACHE_DIR"]
    assert Settings.from_environ(environ).cache_dir == Path("/x/aiter-prebuilt")
    environ["XDG_CACHE_HOME"] = ""
    assert Settings.from_environ(environ).cache_dir == Path("/h/.cache/aiter-prebuilt")


def test_relative_cache_dir_becomes_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings.from_environ({"PREBUILD_CACHE_DIR": "c", "HOME": "/h"})
    assert settings.cache_dir == tmp_path / "c"


def test_defaults() -> None:
    settings = Settings.from_environ({"HOME": "/h"})
    assert settings.toolchain is ToolchainChoice.AUTO
    assert settings.debian_mirrors == ()
    assert settings.rocm_path is None


def test_mirrors_are_split_and_lose_their_slash() -> None:
    settings = Settings.from_environ(
        {"HOME": "/h", "PREBUILD_DEBIAN_MIRROR": " https://a.example/debian/  file:/srv/debian "}
    )
    assert settings.debian_mirrors == ("https://a.example/debian", "file:/srv/debian")


def test_all_wrong_values_are_reported_at_once() -> None:
    environ = {
        "HOME": "/h",
        "PREBUILD_TOOLCHAIN": "cuda",
        "PREBUILD_DEBIAN_MIRROR": "a.example/debian",
    }
    with pytest.raises(SettingsError) as caught:
        Settings.from_environ(environ)
    assert len(caught.value.problems) == 2
    assert "'cuda'; allowed: auto, rocm, debian" in caught.value.problems[0]
    assert "a.example/debian" in caught.value.problems[1]


def test_the_code_generator_is_clangs_unless_amds_is_asked_for() -> None:
    assert Settings.from_environ({"HOME": "/h"}).codegen is CodegenChoice.CLANG
    assert Settings.from_environ({"HOME": "/h", "PREBUILD_CODEGEN": ""}).codegen == "clang"
    assert Settings.from_environ({"HOME": "/h", "PREBUILD_CODEGEN": "amd"}).codegen == "amd"
    with pytest.raises(SettingsError, match="PREBUILD_CODEGEN is 'rocm'; allowed: clang, amd"):
        Settings.from_environ({"HOME": "/h", "PREBUILD_CODEGEN": "rocm"})


def test_an_aiter_and_headers_cannot_both_be_named() -> None:
    named = {"HOME": "/h", "PREBUILD_AITER": "/aiter"}
    assert Settings.from_environ(named).aiter == Path("/aiter")
    with pytest.raises(SettingsError, match="PREBUILD_CK_INCLUDE and PREBUILD_AITER"):
        Settings.from_environ({**named, "PREBUILD_CK_INCLUDE": "/ck/include"})
    assert Settings.from_environ({**named, "PREBUILD_AITER": ""}).aiter is None


def test_only_github_says_that_nobody_needs_the_machine_afterwards() -> None:
    assert not Settings.from_environ({"HOME": "/h"}).hosted
    assert not Settings.from_environ({"HOME": "/h", "RUNNER_ENVIRONMENT": "self-hosted"}).hosted
    assert Settings.from_environ({"HOME": "/h", "RUNNER_ENVIRONMENT": "github-hosted"}).hosted
