"""A run of kernels: what it hands on, what it prints, how it fails."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from prebuild.core.settings import Settings
from prebuild.pipeline import kernels
from prebuild.verify.errors import NoKernelError, VerificationError
from prebuild.verify.subject import Found, Subject
from prebuild.verify.verdict import Verdict


@pytest.fixture
def patched(subject: Subject, verdict: Verdict, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    state: dict[str, Any] = {"verdict": verdict, "found": Found(subjects=(subject,), unknown=())}
    monkeypatch.setattr(kernels, "collect", lambda *_: state["found"])

    def verify(subjects: list[Subject], **options: Any) -> list[Verdict]:
        state["options"] = options
        return [replace(state["verdict"], symbol=one.symbol) for one in subjects]

    monkeypatch.setattr(kernels, "verify", verify)
    return state


def start(tmp_path: Path, **options: Any) -> tuple[list[Verdict], str]:
    text = io.StringIO()
    with pytest.MonkeyPatch.context() as context:
        context.setattr(kernels.console, "err", Console(width=120, file=text))
        verdicts = kernels.run(
            tmp_path,
            settings=Settings(cache_dir=tmp_path / "cache"),
            objdump=Path("objdump"),
            failures=tmp_path / "failures",
            **options,
        )
    return verdicts, text.getvalue()


def test_figures_are_printed(patched: dict[str, Any], tmp_path: Path) -> None:
    verdicts, text = start(tmp_path)
    assert len(verdicts) == 1
    assert "1 kernels (0 from the cache), 0 wrong" in text
    assert patched["options"]["cache"] == tmp_path / "cache" / "verified"


def test_fresh_leaves_the_cache_alone(patched: dict[str, Any], tmp_path: Path) -> None:
    start(tmp_path, fresh=True)
    assert patched["options"]["cache"] is None


def test_only_some(patched: dict[str, Any], tmp_path: Path) -> None:
    assert patched
    with pytest.raises(NoKernelError, match="no kernel with 'gemm7' in its name") as caught:
        start(tmp_path, only="gemm7")
    assert caught.value.exit_code == 2
    assert len(start(tmp_path, only="gemm1_64x32")[0]) == 1


def test_a_kernel_without_a_problem_stops_like_a_wrong_one(
    patched: dict[str, Any], tmp_path: Path
) -> None:
    patched["found"] = replace(patched["found"], unknown=("other", "gemm1 too"))
    with pytest.raises(VerificationError, match="no problem is known for kernel other") as caught:
        start(tmp_path)
    assert caught.value.exit_code == 8
    assert len(caught.value.problems) == 2
    assert "packaging/prebuild/verify/subject.py" in str(caught.value)


def test_only_some_of_the_unknown(patched: dict[str, Any], tmp_path: Path) -> None:
    patched["found"] = replace(patched["found"], unknown=("other",))
    assert len(start(tmp_path, only="gemm1_64x32")[0]) == 1


def test_unknown_kernels_are_told_where_nothing_stops(
    patched: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patched["found"] = replace(patched["found"], unknown=("other",))
    text = io.StringIO()
    monkeypatch.setattr(kernels.console, "err", Console(width=120, file=text))
    found = kernels.examine(
        tmp_path, settings=Settings(cache_dir=tmp_path / "cache"), objdump=Path("objdump")
    )
    assert found.unknown == ("other",)
    assert "1 kernels were not run" in text.getvalue()


def test_a_wrong_kernel_is_an_error_with_a_file(patched: dict[str, Any], tmp_path: Path) -> None:
    patched["verdict"] = replace(patched["verdict"], ok=False, failure="bad\ntrace")
    with pytest.raises(VerificationError, match="gemm1: bad") as caught:
        start(tmp_path)
    assert caught.value.exit_code == 8
    (written,) = (tmp_path / "failures").iterdir()
    assert written.name.startswith("gemm1.")
    assert written.read_text().endswith("trace\n")
    assert str(written) in str(caught.value)


def test_mnemonics_of_all_kernels(
    patched: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patched["found"] = replace(patched["found"], subjects=patched["found"].subjects * 2)
    monkeypatch.setattr(kernels, "collect", lambda _path: patched["found"])
    monkeypatch.setattr(kernels, "census", lambda subjects, _: {"s_nop": len(subjects)})
    text = kernels.mnemonics(
        tmp_path, settings=Settings(cache_dir=tmp_path), objdump=Path("objdump")
    )
    assert "of = 2" in text
    assert "s_nop = 2" in text
