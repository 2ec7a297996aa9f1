from __future__ import annotations

from pathlib import Path

import pytest

from prebuild.bench.fourinone import TorchHeaders, TorchHeadersError, command, source
from prebuild.compile.flags import Flags
from tests.unit.prebuild.samples import toolchain

FLAGS = Flags(device=("-O3",), host=("-O2",), left_out=())


def test_source_goes_through_ck_s_own_invoker() -> None:
    text = source("moe_x", torch=False)
    assert '#include "moe_x.hpp"' in text
    assert "MakeInvoker().Run" in text
    assert "torch" not in text


def test_torch_s_headers_come_first_where_asked_for() -> None:
    text = source("moe_x", torch=True)
    assert text.index("<torch/all.h>") < text.index("moe_x.hpp")


def test_one_command_holds_both_passes_unless_the_device_alone_is_asked_for(tmp_path: Path) -> None:
    both, device = (
        command(
            tmp_path / "u.cu",
            tmp_path / "u.o",
            toolchain=toolchain(tmp_path),
            flags=FLAGS,
            include=(tmp_path,),
            device_only=only,
        )
        for only in (False, True)
    )
    assert not [part for part in both if part.startswith("--cuda-")]
    assert "-O3" in both
    assert "--cuda-device-only" in device


def test_torch_headers_are_found_or_all_missing_folders_named(tmp_path: Path) -> None:
    with pytest.raises(TorchHeadersError) as caught:
        TorchHeaders.find(tmp_path, [tmp_path / "thrust"])
    assert "thrust" in str(caught.value)
    assert "csrc/api/include" in str(caught.value)
    assert "make bench TORCH=1" in str(caught.value)


@pytest.mark.parametrize("inside", ["", "lib/python3.11/site-packages"])
def test_torch_headers_are_found_in_an_environment_and_in_its_site_packages(
    tmp_path: Path, inside: str
) -> None:
    base = tmp_path / inside / "torch" / "include"
    (base / "torch/csrc/api/include").mkdir(parents=True)
    try:
        found = TorchHeaders.find(tmp_path).include
    except TorchHeadersError as error:  # an interpreter without its headers
        assert "torch/include" not in str(error).replace("api/include", "")  # noqa: PT017
    else:
        assert found[0] == base
