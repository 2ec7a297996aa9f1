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


def test_a_name_that_another_thread_drops_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    class Dropping(dict[str, str]):
        def get(self, name: str, default: object = None) -> object:
            return None if name == "HIP_CLANG_PATH" else super().get(name, default)

        def __getitem__(self, name: str) -> str:
            raise KeyError(name)

    environ = Dropping(HIP_CLANG_PATH="x", AITER_PREBUILT="off")
    monkeypatch.setattr(settings.os, "environ", environ)
    assert settings.read().mode == "off"


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


def test_aiters_own_variables_are_read_as_aiter_reads_them() -> None:
    usual = settings.read_aiter({})
    assert (usual.cu_num, usual.ksplit, usual.bypass_tuned, usual.flydsl_force) == (
        0,
        0,
        False,
        True,
    )
    assert (usual.tables, usual.swiglu_bound, usual.problems) == ((), None, ())
    assert not usual.online_tune
    assert settings.read_aiter({"AITER_ONLINE_TUNE": "1"}).online_tune
    assert not settings.read_aiter({"AITER_ONLINE_TUNE": "yes"}).online_tune  # AITER's own word
    found = settings.read_aiter(
        {
            "CU_NUM": "64",
            "AITER_KSPLIT": "-1",
            "AITER_BYPASS_TUNE_CONFIG": "1",
            "AITER_FLYDSL_FORCE": "true",
            "AITER_CONFIG_FMOE": "/a.csv:/b.csv",
            "GPTOSS_SWIGLU_MXFP4_BF16_BOUND": "512",
        }
    )
    assert (found.cu_num, found.ksplit, found.bypass_tuned) == (64, -1, True)
    assert not found.flydsl_force  # AITER compares with "1"
    assert (found.tables, found.swiglu_bound) == (("/a.csv", "/b.csv"), 512)


def test_a_variable_for_which_aiter_raises_is_a_problem() -> None:
    found = settings.read_aiter({"AITER_KSPLIT": "two", "CU_NUM": ""})
    assert (found.ksplit, found.cu_num) == (0, 0)
    assert found.problems == (
        "CU_NUM is '', expected a whole number: AITER raises",
        "AITER_KSPLIT is 'two', expected a whole number: AITER raises",
    )
