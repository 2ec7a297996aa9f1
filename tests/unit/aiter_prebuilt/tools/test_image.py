from __future__ import annotations

import sys
from pathlib import Path

import pytest

from aiter_prebuilt.host import hip, torch_build
from aiter_prebuilt.settings import Settings
from aiter_prebuilt.tools import image

TORCH = "import sys\nsys.modules['__torch_was_here__'] = sys\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A torch for ROCm is installed, nothing is mapped."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(TORCH)
    (tmp_path / "torch" / "version.py").write_text("__version__ = '2.9.1'\nhip = '7.2'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(hip, "mapped_copies", lambda *_: ())
    for name in ("torch", "__torch_was_here__"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert torch_build.hip() == "7.2"
    return tmp_path


def _imported() -> bool:
    return sys.modules.pop("__torch_was_here__", None) is not None


@pytest.mark.usefixtures("site")
def test_torch_is_imported_where_it_brings_the_runtime() -> None:
    image.settle(Settings())
    assert _imported()
    sys.modules.pop("torch", None)


def test_a_torch_without_rocm_is_left_alone(site: Path) -> None:
    (site / "torch" / "version.py").write_text("__version__ = '2.9.1'\nhip = None\n")
    image.settle(Settings())
    assert not _imported()


def test_a_torch_that_does_not_start_is_an_error(site: Path) -> None:
    (site / "torch" / "__init__.py").write_text("raise OSError('no libamdhip64')\n")
    with pytest.raises(image.ImageError, match="no libamdhip64"):
        image.settle(Settings())
