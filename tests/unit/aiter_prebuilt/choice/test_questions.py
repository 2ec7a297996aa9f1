from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from aiter_prebuilt.choice import questions
from aiter_prebuilt.choice.questions import Question
from tests.unit.aiter_prebuilt import samples

QUESTION = Question(tokens=64, shape=samples.SHAPE)


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
    found = questions.read_questions(path, {"topk": 8, "experts": 384})
    other = Question(tokens=128, shape=dataclasses.replace(samples.SHAPE, inter_dim=512))
    assert found == [QUESTION, other]


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
        ("[" * 200_000, "shapes: "),
        ('{"tokens": "\u00b2", "model_dim": 1, "inter_dim": 8}', "tokens is '\u00b2'"),
        (f'{{"tokens": "{"9" * 5000}", "model_dim": 1, "inter_dim": 8}}', "tokens is '999"),
        (f"tokens,model_dim,inter_dim\n{'0' * 5000}1,1,8\n", "tokens is '000"),
        ("tokens,model_dim,size\n64,7168,1,2\n", "None is no field of a shape, size is no field"),
        (f"tokens,model_dim,inter_dim\n64,7168,{'8' * 200_000}\n", "larger than field limit"),
    ],
)
def test_a_bad_file_of_shapes_names_the_fault(text: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / "shapes"
    path.write_text(text)
    with pytest.raises(questions.ShapeError, match=what):
        questions.read_questions(path, {"topk": 8, "experts": 384})


def test_a_file_may_say_how_the_layer_is_spread(tmp_path: Path) -> None:
    path = tmp_path / "shapes"
    path.write_text("tokens,model_dim,inter_dim,tp,kernel_1\n64,7168,1024,2,x\n")
    (found,) = questions.read_questions(path, {"topk": 8, "experts": 384})
    assert (found.tp, found.ep, found.given) == (2, None, True)
    assert (found.kernel(1), found.kernel(2)) == ("x", "")
    assert not QUESTION.given


def test_a_file_that_cannot_be_read_is_named_once(tmp_path: Path) -> None:
    path = tmp_path / "absent.csv"
    with pytest.raises(questions.ShapeError) as error:
        questions.read_questions(path, {})
    assert str(error.value) == f"{path}: No such file or directory"
