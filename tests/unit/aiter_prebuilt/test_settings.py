from __future__ import annotations

import pytest

from aiter_prebuilt import settings


def test_defaults() -> None:
    found = settings.read({})
    assert (found.mode, found.uncovered, found.jit_dir, found.rebuild) == ("auto", "auto", None, 0)
    assert (found.sysfs_root, found.problems) == ("/sys", ())


@pytest.mark.parametrize(
    ("value", "mode"),
    [
        ("", "auto"),
        ("0", "off"),
        ("1", "auto"),
        ("off", "off"),
        ("OFF", "off"),
        (" strict ", "strict"),
        ("prefer", "prefer"),
    ],
)
def test_modes(value: str, mode: str) -> None:
    found = settings.read({"AITER_PREBUILT": value})
    assert (found.mode, found.problems) == (mode, ())


@pytest.mark.parametrize("name", ["AITER_PREBUILT", "AITER_PREBUILT_UNCOVERED"])
def test_a_value_that_is_not_allowed_is_one_problem_and_the_default(name: str) -> None:
    found = settings.read({name: "yes please"})
    assert (found.mode, found.uncovered) == ("auto", "auto")
    assert len(found.problems) == 1
    assert name in found.problems[0]
    assert "'yes please'" in found.problems[0]


def test_a_rebuild_that_is_no_number_stands_aside() -> None:
    found = settings.read({"AITER_REBUILD": "true"})
    assert found.rebuild == 1
    assert "AITER_REBUILD" in found.problems[0]


def test_paths() -> None:
    found = settings.read(
        {"LD_LIBRARY_PATH": "/a::/b", "AITER_JIT_DIR": "", "AITER_META_DIR": "/m"}
    )
    assert found.library_path == ("/a", "/b")
    assert found.jit_dir == ""  # set, so AITER imports top-level names
    assert found.meta_dir == "/m"


def test_swapping_hip_clang_restores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HIP_CLANG_PATH", raising=False)
    assert settings.swap_hip_clang("/opt/clang") == ""
    assert settings.swap_hip_clang("") == "/opt/clang"
    assert settings.swap_hip_clang("") == ""


@pytest.mark.parametrize(
    ("word", "mode"),
    [("0", "off"), ("no", "off"), ("False", "off"), ("OFF", "off"), ("1", "auto"), ("yes", "auto")],
)
def test_what_people_write_for_on_and_off(word: str, mode: str) -> None:
    found = settings.read({"AITER_PREBUILT": word})
    assert found.mode == mode
    assert found.problems == ()


def test_what_hides_gpus_is_read_in_the_order_in_which_it_counts() -> None:
    env = {"HIP_VISIBLE_DEVICES": " 0,1 ", "ROCR_VISIBLE_DEVICES": "2", "HOME": "/root"}
    found = settings.visible(env)
    assert found == (("ROCR_VISIBLE_DEVICES", "2"), ("HIP_VISIBLE_DEVICES", "0,1"))
