from __future__ import annotations

from pathlib import Path

import pytest

from prebuild.report.record import FILE, RecordError, read, write
from tests.unit.prebuild.report.samples import record


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write(record(launcher="ccache"), tmp_path)
    assert read(tmp_path) == record(launcher="ccache")
    assert [unit.id for unit in read(tmp_path).cached] == ["binding"]


@pytest.mark.parametrize(
    "text",
    [
        *(None, "", "[]", '{"schema": 99}', '{"schema": 3}', '{"schema": 3, "units": [1]}'),
        '{"schema": 3, "units": [], "modules": [], "more": 1}',
    ],
)
def test_no_build_or_another_version_is_said(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / FILE).write_text(text)
    with pytest.raises(RecordError, match=r"build\.json"):
        read(tmp_path)
