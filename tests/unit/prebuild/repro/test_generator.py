from __future__ import annotations

from dataclasses import replace

from prebuild.repro.generator import Listing, as_json, as_text, listings, verdict
from tests.unit.prebuild.samples import PROJECT, kimi


def found() -> tuple[Listing, Listing]:
    return listings(kimi(), tp=2, templates=PROJECT.templates)


def test_full_module_has_the_issues_ten_files_and_three_small_ones() -> None:
    full, _ = found()
    names = [name for name, _ in full.files]
    assert len(names) == 10
    assert [name.split("_Mul")[0].removeprefix("moe_ck2stages_") for name in full.small] == [
        "gemm2_64x128x128x128_1x1",
        "gemm2_64x32x32x128_1x1",
        "gemm2_64x64x128x128_1x1",
    ]
    assert all(size > 0 for _, size in full.files)


def test_deployed_module_has_none_and_the_same_dispatch() -> None:
    full, deployed = found()
    assert deployed.small == ()
    assert deployed.dispatch == full.dispatch
    assert [(block_m, name.split("_")[3]) for block_m, name in deployed.dispatch] == [
        (32, "256x32x128x128"),
        (64, "256x64x128x128"),
        (128, "256x128x128x128"),
    ]
    assert verdict((full, deployed)) == "holds"
    assert deployed.module != full.module


def test_criterion_fails_for_a_small_file_or_another_dispatch() -> None:
    full, deployed = found()
    for changed in (
        replace(deployed, files=full.files),
        replace(deployed, dispatch=deployed.dispatch[:2]),
    ):
        assert verdict((full, changed)) == "does not hold"


def test_small_inter_dim_keeps_its_instances() -> None:
    full, deployed = listings(kimi(), tp=8, templates=PROJECT.templates)
    assert len(deployed.small) == 3
    assert verdict((full, deployed)) == "does not apply"


def test_text_and_json_say_the_same() -> None:
    listing = found()
    assert "10 instances, 3 of them gemm2_64x*" in as_text(listing)
    assert as_text(listing).endswith("criterion of issue 1 at inter_dim 1024: holds")
    assert as_json(listing)["criterion"] == "holds"
    assert len(as_json(listing)["modules"][0]["instances"]) == 10
