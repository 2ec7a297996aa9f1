"""The PEP 517 backend: what it leaves behind when it is ended."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

import prebuild_backend as backend
from prebuild.pipeline import wheel


def test_a_build_that_is_terminated_leaves_no_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []

    def pack(scratch: str) -> str:
        seen.append(Path(scratch))
        os.kill(os.getpid(), signal.SIGTERM)
        return "never.whl"

    before = signal.getsignal(signal.SIGTERM)
    prepared = SimpleNamespace(epoch=0, version="1.0")
    for name in ("SOURCE_DATE_EPOCH", "PREBUILD_WHEEL_VERSION"):
        monkeypatch.setenv(name, "")  # put back what the backend sets
    monkeypatch.setattr(wheel, "prepare_wheel", lambda _: prepared)
    monkeypatch.setattr(backend, "pack_wheel", pack)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        backend.build_wheel(str(tmp_path / "dist"), {"recipe": "kimi-k2.5-mxfp4"})
    assert seen
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) is before
