from __future__ import annotations

from pathlib import Path

from aiter_prebuilt import target
from aiter_prebuilt.host.gpu import gfx_name


def test_the_name_is_the_one_that_kfd_gives() -> None:
    assert target.load().gfx == gfx_name(90500)


def test_names_that_follow_from_it() -> None:
    found = target.load()
    assert found.isa == "amdgcn-amd-amdhsa--gfx950"
    assert found.distribution == "aiter-prebuilt-gfx950"
    assert found.offload_arch == "--offload-arch=gfx950"


def test_partitions_divide_the_gpu() -> None:
    found = target.load()
    assert found.cu_count == 256
    assert all(found.cu_count % part == 0 for part in found.compute_units.values())


def test_there_is_one_data_file_a_target() -> None:
    folder = Path(target.__file__).parent / "data"
    assert [path.stem for path in folder.glob("gfx*.json")] == [target.load().gfx]
