from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from aiter_prebuilt.choice import explain, lookup
from aiter_prebuilt.choice.rules import Rules
from aiter_prebuilt.generations import load
from aiter_prebuilt.wheel import store
from aiter_prebuilt.wheel.manifest import Instead, Module, Reach
from tests.unit.aiter_prebuilt import samples

QUESTION = explain.Question(tokens=64, shape=samples.SHAPE)
NEWEST = Rules(generation=load().newest, flydsl=False, cu_count=256)


def question(tokens: int = 64, **changes: Any) -> explain.Question:
    """The usual question with other sizes or another choice."""
    own = {name: changes.pop(name) for name in ("block_m", "kernel_1") if name in changes}
    return explain.Question(
        tokens=tokens, shape=dataclasses.replace(samples.SHAPE, **changes), **own
    )


def at(root: Path | None = None, **rules: Any) -> explain.AiterAt:
    if "release" in rules:
        rules["generation"] = load().generations[rules.pop("release")]
    tables = lookup.installed(root / "configs") if root is not None else ()
    return explain.AiterAt(tables=tables, rules=dataclasses.replace(NEWEST, **rules))


def _entry(**changes: Any) -> store.Entry:
    stage_2 = samples.instance("two", 2, reached_by=(Reach(block_m=32, inter_dim_min=257),))
    values = {"instances": (samples.instance("one"), stage_2), **changes}
    module: Module = samples.module(**values)
    return samples.entry(module)


def _ask(
    asked: explain.Question, *entries: store.Entry, root: Path | None = None
) -> list[explain.Answer]:
    return list(explain.explain([asked], samples.FEATURES, entries, at(root)))


def test_aiters_names_of_modules() -> None:
    assert samples.FEATURES.stock_name == samples.STOCK


def test_both_stages_of_a_covered_shape() -> None:
    one, two = _ask(QUESTION, _entry(aiter_seconds=1148.0))
    assert (one.call.stage, one.instance, one.call.block_m, one.choice) == (
        1,
        "one",
        32,
        "heuristic",
    )
    assert (two.call.stage, two.instance, two.compiles) == (2, "two", False)
    assert (one.variant, one.kernel) == ((True, "even"), "kernel_True_even")
    assert one.seconds_saved == 1148.0


def test_a_shape_outside_the_coverage_compiles() -> None:
    left = samples.instance(
        "left", 2, reached_by=(Reach(block_m=32, inter_dim_max=256),), kernels=()
    )
    stage_2 = samples.instance("two", 2, reached_by=(Reach(block_m=32, inter_dim_min=257),))
    reduced = _entry(instances=(samples.instance("one"), stage_2, left))
    one, two = _ask(question(inter_dim=256), reduced)
    assert not one.compiles
    assert two.compiles
    assert two.instance is None
    assert "no installed module covers" in two.note


def test_a_k_whose_kernel_was_not_built_compiles() -> None:
    one, _ = _ask(question(model_dim=7168 + 256), _entry())
    assert one.compiles


def test_no_module_at_all() -> None:
    assert [answer.note for answer in _ask(QUESTION)] == ["no wheel has this module"] * 2


def _named(kernel_1: str, **changes: Any) -> explain.Question:
    return question(kernel_1=kernel_1, **changes)


@pytest.mark.parametrize("coverage", ["deployed", "sound"])
def test_the_reduced_module_comes_first_and_hands_names_on_that_it_left_out(coverage: str) -> None:
    reduced = _entry(
        name=f"{samples.STOCK}__{coverage}_00000000",
        coverage=coverage,
        instances=(
            samples.instance("one"),
            samples.instance("three", reached_by=(), kernels=()),
        ),
    )
    full = _entry(instances=(samples.instance("one"), samples.instance("three", reached_by=())))
    one, _ = _ask(QUESTION, full, reduced)
    assert one.coverage == coverage
    one, _ = _ask(_named("three"), full, reduced)
    assert (one.coverage, one.instance) == ("full", "three")
    one, _ = _ask(_named("three"), reduced)
    assert one.compiles


def test_a_name_that_nobody_knows_leaves_the_choice_to_block_m() -> None:
    reduced = _entry(name=f"{samples.STOCK}__deployed_00000000", coverage="deployed")
    one, _ = _ask(_named("unheard_of"), reduced)
    assert (one.instance, one.compiles) == ("one", False)
    assert "no unheard_of; it warns" in one.note


def test_a_kernel_that_is_left_out_as_wrong_is_aiters_to_compile() -> None:
    right = samples.kernel(main_loop=False, tail="odd")
    sound = _entry(
        name=f"{samples.STOCK}__sound_00000000",
        coverage="sound",
        instances=(samples.instance("one", kernels=(right,)),),
    )
    one, _ = _ask(_named("one", model_dim=256), sound)
    assert (one.coverage, one.kernel, one.compiles) == ("sound", "kernel_False_odd", False)
    one, _ = _ask(_named("one", model_dim=512), sound)
    assert (one.coverage, one.compiles) == (None, True)


def test_a_right_kernel_for_a_wrong_one_is_an_answer_that_says_so() -> None:
    rule = Instead(main_loop=True, tail="even", instance="one", reason="it races")
    wrong = samples.instance("named", reached_by=(), n_per_block=32, kernels=(), instead=(rule,))
    module = _entry(instances=(samples.instance("one"), wrong))
    one, _ = _ask(_named("named"), module)
    assert (one.instance, one.kernel, one.compiles) == ("one", "kernel_True_even", False)
    assert one.note == "instead of named: it races"
    one, _ = _ask(_named("named", inter_dim=1024 + 32), module)
    assert (one.instance, one.compiles) == (None, True)


def test_a_kernel_for_odd_and_even_steps_keeps_its_name() -> None:
    whole = samples.instance("one", tails="full", kernels=(samples.kernel(tail="full"),))
    one, _ = _ask(QUESTION, _entry(instances=(whole,)))
    assert (one.variant, one.kernel) == ((True, "full"), "kernel_True_full")


def test_a_given_block_m() -> None:
    one, _ = _ask(question(block_m=64), _entry())
    assert (one.call.block_m, one.choice, one.compiles) == (64, "given", False)
    assert one.refused
    assert one.note == "AITER's module has no instance for block_m 64"


def test_what_a_tile_cannot_divide_is_refused_and_compiles_nothing() -> None:
    one, two = _ask(question(inter_dim=1024 + 128, block_m=32), _entry())
    assert (one.instance, one.refused, one.note) == ("one", False, "")
    assert (two.module, two.refused, two.compiles) == (None, True, False)
    assert two.note.startswith("K = 1152 is not a multiple of 256 (stage 2")


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
    one, two = explain.explain([QUESTION], samples.FEATURES, (_entry(),), with_flydsl)
    assert (one.call.block_m, one.choice, one.compiles) == (64, "tuned_fmoe.csv", True)
    assert one.note == (
        "AITER takes flydsl (row-named), the table's flydsl_y, which is compiled on its first call"
    )
    assert (two.call.block_m, two.backend) == (64, "ck2stages")


def test_a_row_that_aiter_cannot_follow_is_refused(tmp_path: Path) -> None:
    _write_table(tmp_path, {"kernelName1": "flydsl_y"})
    one, two = _ask(QUESTION, _entry(), root=tmp_path)
    assert (one.backend, one.refused, one.compiles) == ("asm", True, False)
    assert one.note == "AITER takes asm and fails: its assembly has no kernel flydsl_y"
    assert two.refused


def test_tables_that_aiter_cannot_read_are_its_error(tmp_path: Path) -> None:
    missing = dataclasses.replace(at(), tables=(tmp_path / "none.csv",))
    for answer in explain.explain([QUESTION], samples.FEATURES, (_entry(),), missing):
        assert answer.refused
        assert "none.csv: No such file" in answer.note


def test_a_row_of_one_stage_asks_ck2stages_for_neither(tmp_path: Path) -> None:
    _write_table(tmp_path, {"kernelName1": "_ZN5aiter3one", "kernelName2": "", "run_1stage": 1})
    for answer in _ask(QUESTION, root=tmp_path):
        assert (answer.compiles, answer.module) == (False, None)
        assert answer.note == "AITER takes one-stage (row-one-stage), the table's _ZN5aiter3one"


def test_a_row_that_only_replaces_flydsl_is_none(tmp_path: Path) -> None:
    _write_table(tmp_path, {"_tag": "flydsl_fallback"})
    assert {answer.choice for answer in _ask(QUESTION, _entry(), root=tmp_path)} == {"heuristic"}


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
    found = explain.explain([QUESTION], blockscale, (), at(tmp_path))
    assert [answer.stock_name.endswith("_splitk") for answer in found] == [splits, False]


@pytest.mark.parametrize(
    "text",
    [
        "tokens,model_dim,inter_dim\n64,7168,1024\n128,7168,512\n",
        json.dumps([{"tokens": 64, "model_dim": 7168, "inter_dim": 1024},
                    {"tokens": 128, "model_dim": 7168, "inter_dim": 512}]),
        (
            '{"tokens": 64, "model_dim": 7168, "inter_dim": 1024}\n'
            '{"tokens": 128, "model_dim": 7168, "inter_dim": 512}\n'
        ),
    ],
    ids=["csv", "json", "json lines"],
)  # fmt: skip
def test_files_of_shapes(text: str, tmp_path: Path) -> None:
    path = tmp_path / "shapes"
    path.write_text(text)
    found = explain.read_questions(path, {"topk": 8, "experts": 384})
    assert found == [QUESTION, question(128, inter_dim=512)]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "no shapes"),
        ("tokens,model_dim\n64,7168\n", "inter_dim"),
        ("tokens,model_dim,inter_dim\n64,seven,8\n", "shape 1: model_dim is 'seven'"),
        ("tokens,model_dim,inter_dim\n0,1,8\n", "tokens is '0'"),
        ("tokens,model_dim,inter_dim,color\n1,1,8,red\n", "color"),
        ("[1, 2]", "expected objects"),
        ("{not json", "shapes"),
    ],
)
def test_a_bad_file_of_shapes_names_the_fault(text: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / "shapes"
    path.write_text(text)
    with pytest.raises(explain.ShapeError, match=what):
        explain.read_questions(path, {"topk": 8, "experts": 384})


def test_calls_that_aiter_gives_to_another_back_end() -> None:
    newest = at(flydsl=True)
    for answer in explain.explain([QUESTION], samples.FEATURES, (_entry(),), newest):
        assert (answer.compiles, answer.module, answer.backend) == (True, None, "flydsl")
        assert (
            answer.note == "AITER takes flydsl (mxfp4-flydsl), which is compiled on its first call"
        )
    older = at(release="v0.1.15", flydsl=True)
    (one, _) = explain.explain([QUESTION], samples.FEATURES, (_entry(),), older)
    assert one.instance == "one"


def test_assembly_compiles_nothing() -> None:
    blockscale = dataclasses.replace(
        samples.FEATURES, a_dtype="f8", b_dtype="f8", quant="per_1x128"
    )
    for answer in explain.explain([QUESTION], blockscale, (), at()):
        assert (answer.backend, answer.compiles, answer.refused) == ("one-stage", False, False)
        assert answer.note == "AITER takes one-stage (one-stage-assembly)"


def test_an_activation_that_aiters_generator_refuses() -> None:
    swiglu = dataclasses.replace(
        samples.FEATURES, a_dtype="f8", b_dtype="f8", quant="per_tensor", activation="swiglu"
    )
    (one, _) = explain.explain([QUESTION], swiglu, (), at(release="v0.1.18"))
    assert one.refused
    assert one.note == "AITER v0.1.18 generates kernels for silu, gelu alone"
    (one, _) = explain.explain([QUESTION], swiglu, (), at())
    assert (one.refused, one.compiles) == (False, True)


def test_the_name_that_an_old_aiter_asks_for() -> None:
    (one, _) = explain.explain([QUESTION], samples.FEATURES, (_entry(),), at(release="v0.1.12"))
    assert (one.stock_name, one.instance) == (f"{samples.STOCK}_", "one")


def test_split_k_of_blockscale_asks_for_its_own_module() -> None:
    blockscale = dataclasses.replace(
        samples.FEATURES, a_dtype="f8", b_dtype="f8", quant="per_1x128", preshuffle=False
    )
    few = question(1, inter_dim=256, experts=256)
    one, two = explain.explain([few], blockscale, (), at())
    assert one.stock_name == two.stock_name + "_splitk"
    assert one.note == f"no wheel has this module: {explain.WITHOUT_SPLIT_K}"
    assert two.note == "no wheel has this module"


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
    asked = at(ksplit=ksplit)
    answer, _ = explain.explain([few], blockscale, (samples.entry(built),), asked)
    assert (answer.call.parts, answer.variant) == (ksplit, takes)
    if takes is not None:
        assert (answer.compiles, answer.module) == (False, built.name)
    elif ksplit == 28:  # parts of one step
        assert (answer.compiles, answer.refused) == (True, False)
        assert "AITER_KSPLIT=-1" in answer.note
    else:  # AITER refuses parts of unequal size
        assert (answer.compiles, answer.refused) == (False, True)
        assert "3 parts" in answer.note
