from __future__ import annotations

import threading
from pathlib import Path

from prebuild.core.lock import exclusive


def test_who_comes_second_says_so_and_waits(tmp_path: Path) -> None:
    file, waits, done = tmp_path / "new" / ".lock", threading.Event(), threading.Event()

    def second() -> None:
        with exclusive(file, waits.set):
            done.set()

    other = threading.Thread(target=second)
    with exclusive(file, waits.set):
        assert not waits.is_set()
        other.start()
        assert waits.wait(60)
        assert not done.is_set()
    other.join(60)
    assert done.is_set()
