from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from aiter_prebuilt.host import gpu
from tests.integration.runtime.sitemaker import make_sysfs


@pytest.mark.parametrize(
    ("version", "name"),
    [
        (90500, "gfx950"),
        (90402, "gfx942"),
        (90010, "gfx90a"),
        (110001, "gfx1101"),
        (120001, "gfx1201"),
    ],
)
def test_names(version: int, name: str) -> None:
    assert gpu.gfx_name(version) == name


def test_topology_in_order_without_cpus(tmp_path: Path) -> None:
    make_sysfs(tmp_path, 90500, 90500, 90402)
    assert gpu.from_topology(tmp_path) == ("gfx950", "gfx950", "gfx942")


def test_compute_units_of_partitions(tmp_path: Path) -> None:
    make_sysfs(tmp_path, 90500, 90500, 90500)
    nodes = tmp_path / "class/kfd/kfd/topology/nodes"
    for index, simds in ((1, 1024), (2, 256)):
        text = f"simd_count {simds}\nsimd_per_cu 4\ngfx_target_version 90500\n"
        (nodes / str(index) / "properties").write_text(text)
    assert gpu.compute_units(tmp_path) == (256, 64)  # the third does not say
    assert gpu.compute_units(tmp_path / "nothing") == ()


def test_no_driver(tmp_path: Path) -> None:
    assert gpu.gather(str(tmp_path)) == gpu.GpuFacts(source="none", targets=())


def test_a_node_that_cannot_be_read_is_not_ours(tmp_path: Path) -> None:
    make_sysfs(tmp_path, 90500, 90402)
    properties = tmp_path / "class/kfd/kfd/topology/nodes/2/properties"
    properties.unlink()
    properties.mkdir()
    assert gpu.from_topology(tmp_path) == ("gfx950",)


def _torch(*names: str, initialised: bool) -> types.ModuleType:
    torch = types.ModuleType("torch")
    devices = [types.SimpleNamespace(gcnArchName=name) for name in names]
    torch.cuda = types.SimpleNamespace(  # type: ignore[attr-defined]
        is_initialized=lambda: initialised,
        device_count=lambda: len(devices),
        get_device_properties=lambda index: devices[index],
    )
    return torch


def test_torch_knows_better_once_it_is_initialised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_sysfs(tmp_path, 90500, 90402)
    torch = _torch("gfx950:sramecc+:xnack-", initialised=True)
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert gpu.gather(str(tmp_path)) == gpu.GpuFacts(source="torch", targets=("gfx950",))


def test_torch_is_never_initialised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_sysfs(tmp_path, 90500)
    monkeypatch.setitem(sys.modules, "torch", _torch("gfx942", initialised=False))
    assert gpu.gather(str(tmp_path)).source == "kfd"


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["gfx950"], "gfx950"),
        (["gfx950"] * 64, "64 x gfx950"),
        (["gfx950", "gfx942", "gfx950"], "2 x gfx950, gfx942"),
    ],
)
def test_equal_names_are_counted(names: list[str], text: str) -> None:
    assert gpu.counted(names) == text


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        ({}, "abcd"),
        ({"HIP_VISIBLE_DEVICES": "2,0"}, "ca"),
        ({"CUDA_VISIBLE_DEVICES": "1"}, "b"),
        ({"HIP_VISIBLE_DEVICES": "0", "CUDA_VISIBLE_DEVICES": "1"}, "a"),
        ({"ROCR_VISIBLE_DEVICES": "1,3", "HIP_VISIBLE_DEVICES": "1"}, "d"),
        ({"HIP_VISIBLE_DEVICES": "1,9,2"}, "b"),
        ({"HIP_VISIBLE_DEVICES": "-1"}, ""),
        ({"ROCR_VISIBLE_DEVICES": "GPU-1234"}, None),
        ({"HIP_VISIBLE_DEVICES": ""}, None),
        ({"GPU_DEVICE_ORDINAL": "0"}, None),
    ],
)
def test_which_gpus_variables_leave(asked: dict[str, str], left: str | None) -> None:
    found = gpu.left_visible(tuple("abcd"), tuple(asked.items()))
    assert found == (None if left is None else tuple(left))
