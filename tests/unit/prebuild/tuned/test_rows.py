from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prebuild.tuned.rows import TableError, read_tables
from tests.unit.prebuild.samples import kimi
from tests.unit.prebuild.tuned.samples import COLUMNS, UNTUNED, row, write


def test_a_row_is_read(tmp_path: Path) -> None:
    (entry,) = read_tables([write(tmp_path / "t.csv", row(block_m="128.0", ksplit=""))]).entries
    assert (entry.kind, entry.where) == ("tuned", "t.csv:2")
    assert entry.row.features(preshuffle=True) == kimi().features()[0]
    assert (entry.row.block_m, entry.row.split_k) == (128, 0)
    assert entry.row.gpu == "gfx950"


@pytest.mark.parametrize(
    ("changes", "gpu"),
    [
        ({"cu_num": 80}, "gfx942"),
        ({"cu_num": 304}, "gfx942"),
        ({"cu_num": 64}, "cu_num 64"),
        ({"cu_num": 256, "gfx": "gfx1250"}, "gfx1250"),
        ({"cu_num": 256, "gfx": "0"}, "gfx950"),
        ({"cu_num": 256, "gfx": ""}, "gfx950"),
    ],
)
def test_the_gpu_of_a_row(tmp_path: Path, changes: dict[str, Any], gpu: str) -> None:
    columns = ["gfx", *COLUMNS] if "gfx" in changes else COLUMNS
    (entry,) = read_tables([write(tmp_path / "t.csv", row(**changes), columns=columns)]).entries
    assert entry.row.gpu == gpu


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"token": "many"}, ["token", "many"]),
        ({"inter_dim": -8}, ["inter_dim", "-8"]),
        ({"topk": ""}, ["topk"]),
        ({"act_type": "Silu"}, ["act_type", "Silu"]),
        ({"q_type": "4"}, ["q_type"]),
        ({"use_g1u1": "perhaps"}, ["use_g1u1", "perhaps"]),
        ({"block_m": "1.5"}, ["block_m", "1.5"]),
    ],
)
def test_a_bad_row_is_one_clear_line(
    tmp_path: Path, changes: dict[str, Any], words: list[str]
) -> None:
    table = read_tables([write(tmp_path / "t.csv", row(), row(**{"token": 2, **changes}))])
    (line,) = table.bad
    assert line.startswith("t.csv:3: ")
    assert all(word in line for word in words)
    assert len(table.entries) == 1


def test_repeated_keys_name_the_row_that_counts(tmp_path: Path) -> None:
    rows = [row(), row(block_m=64), row(_tag="flydsl_fallback"), row(token=2048)]
    table = read_tables([write(tmp_path / "t.csv", *rows)])
    assert [entry.where for entry in table.entries] == ["t.csv:2", "t.csv:4", "t.csv:5"]
    (line,) = table.repeated
    assert "t.csv:3" in line
    assert "t.csv:2" in line


def test_short_rows_have_empty_ends_and_long_ones_are_bad(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", row())
    lines = path.read_text().splitlines()
    other = lines[1].replace(",1024,", ",2048,", 1)
    path.write_text("\n".join([*lines, other.removesuffix(","), lines[1] + ",more", ""]))
    table = read_tables([path])
    assert [entry.where for entry in table.entries] == ["t.csv:2", "t.csv:3"]
    assert table.bad == ("t.csv:4: 22 values, the header has 21",)


def test_missing_columns_and_files_are_all_named(tmp_path: Path) -> None:
    columns = [name for name in COLUMNS if name not in ("kernelName2", "expert")]
    one = write(tmp_path / "one.csv", row(), columns=columns)
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    with pytest.raises(TableError) as caught:
        read_tables([one, tmp_path / "none.csv", empty])
    text = str(caught.value)
    assert "one.csv: no column expert, kernelName2" in text
    assert "none.csv: cannot be read" in text
    assert "empty.csv: no column token" in text


def test_an_untuned_table_needs_no_kernel_names(tmp_path: Path) -> None:
    (entry,) = read_tables([write(tmp_path / "u.csv", row(), columns=UNTUNED)]).entries
    assert entry.kind == "untuned"


cells = st.sampled_from(["", "0", "1", "32", "64.0", "x", "nan", "-1", "ActivationType.Gelu"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=st.lists(st.dictionaries(st.sampled_from(COLUMNS), cells, max_size=4), max_size=12))
def test_no_row_is_ever_lost(tmp_path: Path, rows: list[dict[str, str]]) -> None:
    table = read_tables([write(tmp_path / "t.csv", *(row(**changes) for changes in rows))])
    assert len(table.entries) + len(table.bad) + len(table.repeated) == len(rows)
