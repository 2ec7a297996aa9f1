from __future__ import annotations

import sys
from pathlib import Path

import pytest

from aiter_prebuilt.host import hip, torch_build

ROCM = "__version__ = '2.10.0+rocm7.2'\nhip: Optional[str] = '7.2.26015'\n"
CPU = "__version__ = '2.10.0+cpu'\ncuda: Optional[str] = None\nhip: Optional[str] = None\n"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an installed torch without a version.py."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    # Other tests of this process may have mapped a stand-in of the runtime.
    monkeypatch.setattr(hip, "mapped_copies", lambda *_: ())
    folder = tmp_path / "torch"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('was imported')\n")
    return folder


@pytest.mark.parametrize(
    ("text", "version", "built", "pending"),
    [
        (ROCM, "2.10.0+rocm7.2", "7.2.26015", True),
        (CPU, "2.10.0+cpu", "", False),
        ("hip = None\n", None, "", False),
        ("debug = False\n", None, None, True),
    ],
)
def test_a_torch_without_rocm_brings_no_runtime(
    text: str, version: str | None, built: str | None, pending: bool, install: Path
) -> None:
    (install / "version.py").write_text(text)
    assert (torch_build.version(), torch_build.hip()) == (version, built)
    assert hip.gather("libamdhip64.so.7", ()).torch_pending == pending


def test_no_version_file_says_nothing(install: Path) -> None:
    assert install.is_dir()
    assert (torch_build.version(), torch_build.hip()) == (None, None)
