from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aiter_prebuilt.choice import explain, lookup, verdict
from aiter_prebuilt.choice.explain import Supply
from aiter_prebuilt.choice.questions import Question
from aiter_prebuilt.choice.rules import Rules
from aiter_prebuilt.choice.verdict import Verdict
from aiter_prebuilt.generations import load
from aiter_prebuilt.wheel.manifest import Instead, Module, Reach
from tests.unit.aiter_prebuilt import samples

QUESTION = Question(tokens=64, shape=samples.SHAPE)
NEWEST = Rules(generation=load().newest, flydsl=False, cu_count=256)


def question(tokens: int = 64, **changes: Any) -> Question:
    """The usual question with other sizes or another choice."""
    own = {name: changes.pop(name) for name in ("block_m", "kernel_1") if name in changes}
    return Question(tokens=tokens, shape=dataclasses.replace(samples.SHAPE, **changes), **own)


def at(root: Path | None = None, *, checked: bool = True, **rules: Any) -> explain.AiterAt:
    if "release" in rules:
        rules["generation"] = load().generations[rules.pop("release")]
    tables = lookup.installed(root / "configs") if root is not None else ()
    rules = dataclasses.replace(NEWEST, **rules)
    return explain.AiterAt(tables=tables, rules=rules, checked=checked)


def _module(**changes: Any) -> Module:
    stage_2 = samples.instance("two", 2, reached_by=(Reach(block_m=32, inter_dim_min=257),))
    values = {"instances": (samples.instance("one"), stage_2), **changes}
    return samples.module(**values)


def served(*modules: Module, beyond: Verdict | None = None) -> Callable[[str], Supply]:
    """A host that serves these modules, in this order, whatever the name; none: it has none."""

    def supply(name: str) -> Supply:
        compiled = verdict.compiles("CK2stages", name, "no wheel has it")
        if not modules:
            return Supply(verdict=compiled)
        return Supply(
            verdict=verdict.prebuilt(modules[0].name, name),
            modules=modules,
            table=modules[0].instances,
            beyond=beyond or dataclasses.replace(compiled, why=""),
        )

    return supply


def _ask(asked: Question, *modules: Module, root: Path | None = None) -> list[explain.Answer]:
    return list(explain.explain([asked], samples.FEATURES, served(*modules), at(root)))


def _states(found: list[explain.Answer]) -> list[str]:
    return [answer.verdict.state for answer in found]


def test_aiters_names_of_modules() -> None:
    assert samples.FEATURES.stock_name == samples.STOCK


def test_both_stages_of_a_covered_shape() -> None:
    one, two = _ask(dataclasses.replace(QUESTION, tp=2, ep=4), _module())
    assert (one.call.stage, one.instance, one.call.block_m) == (1, "one", 32)
    assert (one.choice, one.tp, one.ep) == ("heuristic", 2, 4)
    assert (two.call.stage, two.instance) == (2, "two")
    assert (one.variant, one.kernel) == ((True, "even"), "kernel_True_even")
    assert one.verdict == verdict.prebuilt(samples.STOCK, samples.STOCK)


def test_a_shape_outside_the_coverage_compiles() -> None:
    left = samples.instance(
        "left", 2, reached_by=(Reach(block_m=32, inter_dim_max=256),), kernels=()
    )
    stage_2 = samples.instance("two", 2, reached_by=(Reach(block_m=32, inter_dim_min=257),))
    reduced = _module(instances=(samples.instance("one"), stage_2, left))
    one, two = _ask(question(inter_dim=256), reduced)
    assert (one.verdict.state, two.verdict.state, two.instance) == ("prebuilt", "compiles", None)
    assert two.verdict.by == "CK2stages"
    assert two.verdict.why == "left.nomain_odd is left out"


def test_where_no_build_is_allowed_such_a_call_is_refused() -> None:
    strict = verdict.refused("AITER_PREBUILT=strict", samples.STOCK, "no build is allowed")
    supply = served(_module(), beyond=strict)
    one, _ = explain.explain([question(model_dim=7168 + 256)], samples.FEATURES, supply, at())
    assert (one.verdict.state, one.verdict.by) == ("refused", "AITER_PREBUILT=strict")
    assert one.verdict.why == "one.main_odd is left out; no build is allowed"


def test_a_k_whose_kernel_was_not_built_compiles() -> None:
    one, _ = _ask(question(model_dim=7168 + 256), _module())
    assert one.verdict.state == "compiles"


def test_no_module_at_all() -> None:
    found = _ask(QUESTION)
    assert _states(found) == ["compiles"] * 2
    assert {answer.verdict.why for answer in found} == {"no wheel has it"}
    assert {answer.verdict.seconds for answer in found} == {
        verdict.seconds("CK2stages", samples.STOCK)
    }


def test_a_module_that_is_not_served_tells_what_cks_tiles_refuse_all_the_same() -> None:
    declined = verdict.compiles("CK2stages", samples.STOCK, "the GPU is another one")

    def supply(_: str) -> Supply:
        return Supply(verdict=declined, table=_module().instances)

    asked = question(inter_dim=1024 + 128, block_m=32)
    found = explain.explain([asked], samples.FEATURES, supply, at())
    assert found[0].verdict == declined
    assert (found[1].verdict.state, found[1].verdict.by) == ("refused", verdict.TILE)
    declined = verdict.refused("AITER_PREBUILT=strict", samples.STOCK, "the GPU is another one")
    found = explain.explain([asked], samples.FEATURES, supply, at())
    assert [answer.verdict for answer in found] == [declined, declined], "it is not even imported"


def test_an_aiters_own_build_that_a_wheel_packed_answers_for_all() -> None:
    harvest = samples.harvest()
    packed = samples.module(instances=(), harvest=harvest, features=None, contracts=())
    found = explain.explain([QUESTION], samples.FEATURES, served(packed), at(checked=False))
    assert [answer.verdict.state for answer in found] == ["prebuilt", "prebuilt"]
    assert "packed from an AITER" in found[0].verdict.why
    assert found[0].kernel is None


def _named(kernel_1: str, **changes: Any) -> explain.Question:
    return question(kernel_1=kernel_1, **changes)


@pytest.mark.parametrize("coverage", ["deployed", "sound"])
def test_the_reduced_module_comes_first_and_hands_names_on_that_it_left_out(coverage: str) -> None:
    reduced = _module(
        name=f"{samples.STOCK}__{coverage}_00000000",
        coverage=coverage,
        instances=(
            samples.instance("one"),
            samples.instance("three", reached_by=(), kernels=()),
        ),
    )
    full = _module(instances=(samples.instance("one"), samples.instance("three", reached_by=())))
    one, _ = _ask(QUESTION, reduced, full)
    assert one.coverage == coverage
    one, _ = _ask(_named("three"), reduced, full)
    assert (one.coverage, one.instance) == ("full", "three")
    one, _ = _ask(_named("three"), reduced)
    assert one.verdict.state == "compiles"


def test_a_name_that_nobody_knows_leaves_the_choice_to_block_m() -> None:
    reduced = _module(name=f"{samples.STOCK}__deployed_00000000", coverage="deployed")
    one, _ = _ask(_named("unheard_of"), reduced)
    assert (one.instance, one.verdict.state) == ("one", "prebuilt")
    assert "no unheard_of; it warns" in one.verdict.why


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (question(kernel_1="unheard_of"), "AITER's module has no unheard_of"),
        (question(block_m=16), "no instance for block_m 16"),
        (question(model_dim=7168 + 128), "K = 7296 is not a multiple of 256"),
    ],
)
def test_an_aiter_that_nobody_checked_gets_what_the_module_does_not_know(
    asked: Question, why: str
) -> None:
    one, _ = explain.explain([asked], samples.FEATURES, served(_module()), at(checked=False))
    assert (one.verdict.state, one.verdict.by) == ("compiles", "CK2stages")
    assert why in one.verdict.why
    assert "was not checked" in one.verdict.why
    found = explain.explain([QUESTION], samples.FEATURES, served(_module()), at(checked=False))
    assert [answer.verdict.state for answer in found] == ["prebuilt", "prebuilt"]


def test_an_instance_that_older_releases_have_not_is_a_name_that_they_do_not_know() -> None:
    name = f"moe_ck2stages_gemm1_{load().generations['v0.1.12'].unknown_instances[0]}_x"
    newer = samples.instance(name, reached_by=())
    module = _module(instances=(samples.instance("one"), newer))
    asked = _named(name)
    supply = served(module)
    (new, _) = explain.explain([asked], samples.FEATURES, supply, at(release="v0.1.13"))
    assert (new.instance, new.verdict.why) == (name, "")
    (old, _) = explain.explain([asked], samples.FEATURES, supply, at(release="v0.1.12"))
    assert old.instance == "one"
    assert f"AITER's module has no {name}" in old.verdict.why


def test_a_kernel_that_is_left_out_as_wrong_is_aiters_to_compile() -> None:
    right = samples.kernel(main_loop=False, tail="odd")
    sound = _module(
        name=f"{samples.STOCK}__sound_00000000",
        coverage="sound",
        instances=(samples.instance("one", kernels=(right,)),),
    )
    one, _ = _ask(_named("one", model_dim=256), sound)
    assert (one.coverage, one.kernel) == ("sound", "kernel_False_odd")
    one, _ = _ask(_named("one", model_dim=512), sound)
    assert (one.coverage, one.verdict.state) == (None, "compiles")


def test_a_right_kernel_for_a_wrong_one_is_an_answer_that_says_so() -> None:
    rule = Instead(main_loop=True, tail="even", instance="one", reason="it races")
    wrong = samples.instance("named", reached_by=(), n_per_block=32, kernels=(), instead=(rule,))
    module = _module(instances=(samples.instance("one"), wrong))
    one, _ = _ask(_named("named"), module)
    assert (one.instance, one.kernel) == ("one", "kernel_True_even")
    assert (one.verdict.state, one.verdict.note) == ("prebuilt", "instead of named (it races)")
    one, _ = _ask(_named("named", inter_dim=1024 + 32), module)
    assert (one.kernel, one.verdict.state) == (None, "compiles")
    assert one.verdict.why.startswith("named.main_even is left out (it races)")


def test_a_kernel_for_odd_and_even_steps_keeps_its_name() -> None:
    whole = samples.instance("one", tails="full", kernels=(samples.kernel(tail="full"),))
    one, _ = _ask(QUESTION, _module(instances=(whole,)))
    assert (one.variant, one.kernel) == ((True, "full"), "kernel_True_full")


def test_a_given_block_m() -> None:
    one, _ = _ask(question(block_m=64), _module())
    assert (one.call.block_m, one.choice) == (64, "given")
    why = "AITER's module has no instance for block_m 64"
    assert one.verdict == verdict.refused(verdict.HEURISTIC, samples.STOCK, why)


def test_what_a_tile_cannot_divide_is_refused_and_compiles_nothing() -> None:
    one, two = _ask(question(inter_dim=1024 + 128, block_m=32), _module())
    assert (one.instance, one.verdict.why) == ("one", "")
    assert (two.verdict.state, two.verdict.by) == ("refused", verdict.TILE)
    assert two.verdict.why.startswith("K = 1152 is not a multiple of 256 (stage 2")


def _write_table(root: Path, *rows: dict[str, object]) -> None:
    """Write AITER's table with a row of A4W4 for each of ``rows``, which says what differs."""
    columns = {
        "cu_num": 256, "token": 64, "model_dim": 7168, "inter_dim": 1024, "expert": 384, "topk": 8,
        "act_type": "ActivationType.Silu", "use_g1u1": 1, "dtype": "torch.bfloat16",
        "q_dtype_a": "torch.float4_e2m1fn_x2", "q_dtype_w": "torch.float4_e2m1fn_x2",
        "q_type": "QuantType.per_1x32", "doweight_stage1": 0, "block_m": 64, "ksplit": 0, "us": 20,
        "kernelName1": "moe_ck2stages_none", "kernelName2": "moe_ck2stages_none",
        "run_1stage": 0, "_tag": "",
    }  # fmt: skip
    lines = [",".join(columns)]
    lines += [",".join(map(str, {**columns, **row}.values())) for row in rows]
    (root / "configs").mkdir()
    (root / "configs" / "tuned_fmoe.csv").write_text("\n".join(lines))


def test_a_tuned_row_comes_before_the_heuristic(tmp_path: Path) -> None:
    slow = {"block_m": 128, "us": 50, "kernelName1": "x"}
    _write_table(tmp_path, {"kernelName1": "flydsl_y"}, slow)
    with_flydsl = at(tmp_path, flydsl=True, release="v0.1.15")
    one, two = explain.explain([QUESTION], samples.FEATURES, served(_module()), with_flydsl)
    assert (one.call.block_m, one.choice) == (64, "tuned_fmoe.csv")
    assert (one.verdict.state, one.verdict.by, one.verdict.module) == ("compiles", "FlyDSL", None)
    assert (one.verdict.why, one.call.kernel_name) == ("rule row-named", "flydsl_y")
    assert (two.call.block_m, two.backend) == (64, "ck2stages")


def test_a_row_that_aiter_cannot_follow_is_refused(tmp_path: Path) -> None:
    _write_table(tmp_path, {"kernelName1": "flydsl_y"})
    one, two = _ask(QUESTION, _module(), root=tmp_path)
    why = "AITER takes AITER's assembly and fails: its assembly has no kernel flydsl_y"
    assert one.verdict == verdict.refused("AITER", None, why)
    assert two.verdict.state == "refused"


def test_tables_that_aiter_cannot_read_are_its_error(tmp_path: Path) -> None:
    missing = dataclasses.replace(at(), tables=(tmp_path / "none.csv",))
    for answer in explain.explain([QUESTION], samples.FEATURES, served(_module()), missing):
        assert answer.verdict.state == "refused"
        assert "none.csv: No such file" in answer.verdict.why


def test_what_aiter_raises_for_in_every_call_is_its_error() -> None:
    wrong = dataclasses.replace(at(), problem="CU_NUM is '', expected a whole number")
    for answer in explain.explain([QUESTION], samples.FEATURES, served(_module()), wrong):
        assert (answer.verdict.state, answer.verdict.by) == ("refused", "AITER")
        assert "CU_NUM is ''" in answer.verdict.why


def test_a_row_of_one_stage_asks_ck2stages_for_neither(tmp_path: Path) -> None:
    _write_table(tmp_path, {"kernelName1": "_ZN5aiter3one", "kernelName2": "", "run_1stage": 1})
    for answer in _ask(QUESTION, root=tmp_path):
        why = "rule row-one-stage"
        assert answer.verdict == verdict.prebuilt(verdict.ASSEMBLY, None, why)


def test_a_row_that_only_replaces_flydsl_is_none(tmp_path: Path) -> None:
    _write_table(tmp_path, {"_tag": "flydsl_fallback"})
    assert {answer.choice for answer in _ask(QUESTION, _module(), root=tmp_path)} == {"heuristic"}


@pytest.mark.parametrize(
    ("name", "ksplit", "splits"),
    [
        ("", 0, False),
        ("", 2, True),
        ("moe_ck2stages_Splitk", 2, True),
        ("moe_ck2stages_x", 2, False),
    ],
)
def test_a_row_that_splits_k_asks_for_the_split_module(
    tmp_path: Path, name: str, ksplit: int, splits: bool
) -> None:
    f8 = "torch.float8_e4m3fn"
    row = {"q_dtype_a": f8, "q_dtype_w": f8, "q_type": "QuantType.per_1x128", "ksplit": ksplit}
    _write_table(tmp_path, {**row, "kernelName1": name, "kernelName2": ""})
    blockscale = dataclasses.replace(
        samples.FEATURES, a_dtype="f8", b_dtype="f8", quant="per_1x128"
    )
    found = explain.explain([QUESTION], blockscale, served(), at(tmp_path))
    assert [answer.stock_name.endswith("_splitk") for answer in found] == [splits, False]


def test_calls_that_aiter_gives_to_another_back_end() -> None:
    newest = at(flydsl=True)
    for answer in explain.explain([QUESTION], samples.FEATURES, served(_module()), newest):
        assert (answer.verdict.state, answer.backend) == ("compiles", "flydsl")
        assert answer.verdict.why == "rule mxfp4-flydsl"
    older = at(release="v0.1.15", flydsl=True)
    (one, _) = explain.explain([QUESTION], samples.FEATURES, served(_module()), older)
    assert one.instance == "one"


@pytest.mark.parametrize("already", [True, False])
def test_ck_tiles_own_module_may_be_there(already: bool) -> None:
    """Few tokens split K, which CK-Tile does for MXFP4."""

    def supply(name: str) -> Supply:
        assert name == "module_moe_cktile2stages"
        if already:
            return Supply(verdict=verdict.prebuilt("AITER's own build", name, "its file"))
        return Supply(verdict=verdict.compiles("CK-Tile", name))

    for answer in explain.explain([question(1)], samples.FEATURES, supply, at()):
        told = answer.verdict
        state, by = ("prebuilt", "AITER's own build") if already else ("compiles", "CK-Tile")
        assert (told.state, told.by) == (state, by)
        assert told.why == "rule mxfp4-split-k" + ("; its file" if already else "")


@pytest.mark.parametrize("row", [True, False])
def test_a_batch_that_no_row_answers_is_tuned_where_aiter_is_asked_to(
    tmp_path: Path, row: bool
) -> None:
    _write_table(tmp_path, {"token": 64 if row else 128, "kernelName1": "one"})
    tuning = at(tmp_path, online_tune=True)
    found = explain.explain([QUESTION], samples.FEATURES, served(_module()), tuning)
    tunes = [answer.verdict.by == explain.TUNER for answer in found]
    assert tunes == [not row, not row]
    if not row:
        assert [answer.verdict.state for answer in found] == ["compiles", "compiles"]
        assert "what it takes then is not known" in found[0].verdict.why
    given = explain.explain([question(block_m=32)], samples.FEATURES, served(_module()), tuning)
    assert given[0].verdict.state == "prebuilt"


def test_assembly_compiles_nothing() -> None:
    blockscale = dataclasses.replace(
        samples.FEATURES, a_dtype="f8", b_dtype="f8", quant="per_1x128"
    )
    for answer in explain.explain([QUESTION], blockscale, served(), at()):
        why = "rule one-stage-assembly"
        assert answer.verdict == verdict.prebuilt(verdict.ASSEMBLY, None, why)


def test_an_activation_that_aiters_generator_refuses() -> None:
    swiglu = dataclasses.replace(
        samples.FEATURES, a_dtype="f8", b_dtype="f8", quant="per_tensor", activation="swiglu"
    )
    (one, _) = explain.explain([QUESTION], swiglu, served(), at(release="v0.1.18"))
    assert (one.verdict.state, one.verdict.by) == ("refused", "AITER's generator")
    assert one.verdict.why == "AITER v0.1.18 generates kernels for silu, gelu alone"
    (one, _) = explain.explain([QUESTION], swiglu, served(), at())
    assert one.verdict.state == "compiles"


def test_the_name_that_an_old_aiter_asks_for() -> None:
    old = at(release="v0.1.12")
    (one, _) = explain.explain([QUESTION], samples.FEATURES, served(_module()), old)
    assert (one.stock_name, one.instance) == (f"{samples.STOCK}_", "one")
    assert one.verdict.module == f"{samples.STOCK}_"


def test_split_k_of_blockscale_asks_for_its_own_module() -> None:
    blockscale = dataclasses.replace(
        samples.FEATURES, a_dtype="f8", b_dtype="f8", quant="per_1x128", preshuffle=False
    )
    few = question(1, inter_dim=256, experts=256)

    def supply(name: str) -> Supply:
        return Supply(verdict=verdict.compiles(verdict.builder_of(name), name))

    one, two = explain.explain([few], blockscale, supply, at())
    assert one.stock_name == two.stock_name + "_splitk"
    assert (one.verdict.by, two.verdict.by) == ("split-K CK2stages", "CK2stages")


@pytest.mark.parametrize(
    ("model_dim", "ksplit", "takes"),
    [(7168, 7, (True, "even")), (7168, 14, (False, "even")), (7168, 28, None), (7168, 3, None)],
)
def test_the_parts_of_k_choose_the_kernel_of_a_split_k_module(
    model_dim: int, ksplit: int, takes: tuple[bool, str] | None
) -> None:
    blockscale = dataclasses.replace(
        samples.FEATURES, a_dtype="f8", b_dtype="f8", quant="per_1x128", preshuffle=False
    )
    kernels = tuple(
        samples.kernel(main_loop=loop, tail=tail)
        for loop, tail in ((True, "odd"), (True, "even"), (False, "even"))
    )
    one = samples.instance(reached_by=(Reach(block_m=16),), kernels=kernels)
    features = dataclasses.replace(blockscale, splitk=True)
    built = samples.module(
        features=features, stock_name=features.stock_name, instances=(one,), coverage="sound"
    )
    few = question(1, inter_dim=256, experts=256, model_dim=model_dim)
    answer, _ = explain.explain([few], blockscale, served(built), at(ksplit=ksplit))
    assert (answer.call.parts, answer.variant) == (ksplit, takes)
    told = answer.verdict
    if takes is not None:
        assert (told.state, told.by) == ("prebuilt", built.name)
    elif ksplit == 28:  # parts of one step
        assert told.state == "compiles"
        assert "AITER_KSPLIT=-1" in told.why
    else:  # AITER refuses parts of unequal size
        assert told.state == "refused"
        assert "3 parts" in told.why
