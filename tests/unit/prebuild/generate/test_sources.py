from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from prebuild.core import identity
from prebuild.generate import fileset
from prebuild.generate.sources import generate
from prebuild.plan.make import make_plan
from prebuild.recipe.recipes import Recipe
from tests.unit.prebuild.samples import PROJECT, kimi_plan


def instances(sources: dict[PurePosixPath, str]) -> set[str]:
    return {p.stem for p in sources if p.parent.name == "instances"}


@pytest.mark.parametrize("tp", [1, 2, 4])
def test_no_file_of_a_small_second_gemm_for_a_large_inter_dim(tp: int) -> None:
    sources = dict(generate(kimi_plan(tp=[tp], coverage="deployed"), PROJECT.templates))
    assert not [path for path in sources if path.name.startswith("moe_ck2stages_gemm2_64x")]
    for stage in (1, 2):
        for rows in (32, 64, 128):
            prefix = f"moe_ck2stages_gemm{stage}_256x{rows}x128x128_1x4_"
            assert any(name.startswith(prefix) for name in instances(sources))


def test_full_coverage_writes_all_ten_instances_and_the_kernels_that_are_right() -> None:
    sources = dict(generate(kimi_plan(coverage="full"), PROJECT.templates))
    assert len(instances(sources)) == 10
    assert len([path for path in sources if path.parent.name == "kernels"]) == 40 - 3


def test_a_wrong_kernel_has_neither_a_file_nor_a_place_in_its_launcher() -> None:
    sources = dict(generate(kimi_plan(coverage="full"), PROJECT.templates))
    small = {path: text for path, text in sources.items() if "gemm2_64x32x32x128" in path.name}
    assert [path.name.split(".")[1] for path in small if path.parent.name == "kernels"] == [
        "nomain_odd"
    ]
    (launchers,) = [text for path, text in sources.items() if path.name == "launchers.cu"]
    assert launchers.count("nullptr") == 3


def test_the_first_gemm_of_a_split_k_module_stores_sums_in_fp32() -> None:
    split = Recipe.model_validate(
        {
            "schema": 1, "name": "r", "model": "m", "hidden_size": 4096, "moe_inter_dim": {1: 512},
            "experts": 128, "top_k": 8, "activation": "silu", "activation_dtype": "f8",
            "weight_dtype": "f8", "output_dtypes": ["b16"], "quant": "per_1x128", "splitk": True,
            "coverage": "full",
        }
    )  # fmt: skip
    sources = generate(make_plan([split], frozenset({"split-k"})), PROJECT.templates)
    specs = {p.stem: text for p, text in sources.items() if p.parent.name == "instances"}
    stages = {stage: [t for n, t in specs.items() if f"_gemm{stage}_" in n] for stage in (1, 2)}
    assert [len(texts) for texts in stages.values()] == [4, 5]  # v3 is wrong where K is split
    for stage, flag, dtype in ((1, "true", "float"), (2, "false", "ck::bhalf_t")):
        assert all(f"kSplitK          = {flag};" in text for text in stages[stage])
        assert all(f"EData     = {dtype};" in text for text in stages[stage])


def test_no_launcher_instantiates_a_kernel() -> None:
    sources = generate(kimi_plan(tp=[2]), PROJECT.templates)
    for path, text in sources.items():
        assert ("template __global__" in text) == (path.parent.name == "kernels")


def test_a_modules_launchers_stand_in_one_file_that_does_not_name_it() -> None:
    (module,) = (plan := kimi_plan(tp=[2])).modules
    sources = generate(plan, PROJECT.templates)
    (text,) = [text for path, text in sources.items() if path.name == "launchers.cu"]
    assert module.name not in text
    for instance in module.built:
        assert f'#include "{instance.name}.hpp"' in text
        assert f" {identity.launch_symbol(instance.name)}(" in text


def test_sources_are_the_same_every_time() -> None:
    plan = kimi_plan()
    first, second = (generate(plan, PROJECT.templates) for _ in range(2))
    assert first == second


def test_only_changed_files_are_written_and_stale_ones_removed(tmp_path: Path) -> None:
    wide = generate(kimi_plan(tp=[2]), PROJECT.templates)
    written = fileset.write(wide, tmp_path)
    assert len(written) == len(wide)
    assert fileset.write(wide, tmp_path) == ()
    victim = written[0]
    stale = victim.with_name("stale.cu")
    stale.write_text("old")
    victim.write_text("damaged")
    assert fileset.write(wide, tmp_path) == (victim,)
    assert not stale.exists()
