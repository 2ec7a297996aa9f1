"""Batches that ``aiter-prebuilt explain`` is asked about: given one by one, or read from a file."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiter_prebuilt.call import Shape, Stage
from aiter_prebuilt.digits import NUMBER
from aiter_prebuilt.errors import PrebuiltError
from aiter_prebuilt.values import value_class


class ShapeError(PrebuiltError):
    """A question is incomplete or holds no number; the message says which."""


@value_class(frozen=True, kw_only=True)
class Question:
    """A batch of a server's MoE layer."""

    shape: Shape
    tokens: int
    tp: int | None = None
    """Tensor-parallel size by which the shape came about; None where nobody said."""
    ep: int | None = None
    """Expert-parallel size, likewise."""
    block_m: int | None = None
    """None: as AITER chooses."""
    kernel_1: str = ""
    kernel_2: str = ""

    @property
    def given(self) -> bool:
        """Whether the caller chose a kernel itself, so that AITER's rules do not count."""
        return self.block_m is not None or bool(self.kernel_1 or self.kernel_2)

    def kernel(self, stage: Stage) -> str:
        """The kernel name that is given for a stage, empty where none is."""
        return self.kernel_1 if stage == 1 else self.kernel_2


def read_questions(path: Path, defaults: Mapping[str, int]) -> list[Question]:
    """Read a file of batches: CSV with a header, or JSON (a list of objects, or one a line).

    Raises ShapeError that names the row and the field.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = _json_rows(text) if text.lstrip()[:1] in ("[", "{") else _csv_rows(text)
    except OSError as error:  # its text names the path again
        raise ShapeError(f"{path}: {error.strerror}") from error
    except (ValueError, csv.Error, RecursionError) as error:  # brackets without end
        raise ShapeError(f"{path}: {error}") from error
    if not rows:
        raise ShapeError(f"{path} holds no shapes")
    return [
        question_of({**defaults, **row}, f"{path}, shape {i + 1}") for i, row in enumerate(rows)
    ]


_SIZES = tuple(field.name for field in dataclasses.fields(Shape))
_OTHERS = tuple(field.name for field in dataclasses.fields(Question) if field.name != "shape")
_OPTIONAL = ("tp", "ep", "block_m", "kernel_1", "kernel_2")


def question_of(raw: Mapping[str, Any], where: str) -> Question:
    """Build a question from loosely typed values; unknown fields are an error."""
    known = (*_OTHERS[:1], *_SIZES, *_OTHERS[1:])
    wrong = [
        f"{name} is missing"
        for name in known
        if name not in _OPTIONAL and raw.get(name) in (None, "")
    ]
    # A cell beyond the header of a CSV file has the name None.
    wrong += [f"{name} is no field of a shape" for name in sorted(map(str, set(raw) - set(known)))]
    if wrong:
        raise ShapeError(f"{where}: {', '.join(wrong)}")
    values: dict[str, Any] = {
        name: str(value) if name.startswith("kernel_") else _number(value, name, where)
        for name, value in raw.items()
        if value not in (None, "")
    }
    shape = Shape(**{name: values.pop(name) for name in _SIZES})
    return Question(shape=shape, **values)


def _number(value: Any, name: str, where: str) -> int:  # noqa: ANN401  from a file
    text = str(value).strip()
    if not NUMBER.fullmatch(text):
        raise ShapeError(f"{where}: {name} is {value!r}, expected a whole number of 1 or more")
    return int(text)


def _json_rows(text: str) -> list[dict[str, Any]]:
    try:
        raw = json.loads(text)
    except ValueError:
        raw = [json.loads(line) for line in text.splitlines() if line.strip()]
    rows = raw if isinstance(raw, list) else [raw]
    if not all(isinstance(row, dict) for row in rows):
        raise ShapeError("expected objects with the fields of a shape")
    return rows


def _csv_rows(text: str) -> list[dict[str, Any]]:
    return list(csv.DictReader(text.splitlines()))
