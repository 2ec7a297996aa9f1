from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from aiter_prebuilt.host import aiter as contract

STANDIN = Path(__file__).parents[3] / "standin"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return Path(shutil.copytree(STANDIN, tmp_path / "site"))


def test_the_stand_ins_contract(site: Path) -> None:
    found = contract.gather(site / "aiter", None)
    assert found.problems == ()
    assert found.version == "0.0.1+standin"
    assert [len(found.signatures[name]) for name in contract.STUBS] == [19, 19]
    assert found.quant_types["per_1x32"] == 3
    assert found.activation_types["No"] == -1
    assert found.fingerprint is not None


def test_both_spellings_of_a_hint_are_one() -> None:
    old = contract.parse_signature("f(a: torch.Tensor, b: Optional[torch.Tensor] = None)")
    new = contract.parse_signature("f(a: Tensor, b: Tensor | None = None)")
    assert old == new
    assert old[1] == contract.Parameter(name="b", hint="Optional[Tensor]", default="None")


@pytest.mark.parametrize("line", ["", "f(", "f(a b)", "f(a=1, b)", "f()\nimport os"])
def test_what_is_no_signature(line: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        contract.parse_signature(line)


def test_the_fingerprint_follows_content_and_names_only(site: Path) -> None:
    folder = site / "csrc" / "ck_gemm_moe_2stages_codegen"
    before = contract.fingerprint(folder)
    (folder / "README.md").write_text("new words")
    (folder / "gemm_moe_tune.py").write_text("# a tuner")
    (folder / "__pycache__").mkdir()
    assert contract.fingerprint(folder) == before
    (folder / "standin.cuh").rename(folder / "renamed.cuh")
    renamed = contract.fingerprint(folder)
    (folder / "renamed.cuh").write_text("new content")
    assert len({before, renamed, contract.fingerprint(folder)}) == 3


def test_no_sources_no_fingerprint(site: Path) -> None:
    shutil.rmtree(site / "csrc" / "ck_gemm_moe_2stages_codegen")
    assert contract.gather(site / "aiter", None).fingerprint is None


@pytest.mark.parametrize("name", ["aiter/ops/moe_op.py", "csrc/include/aiter_enum.h"])
def test_a_missing_file_is_a_problem(site: Path, name: str) -> None:
    (site / name).unlink()
    (problem,) = contract.gather(site / "aiter", None).problems
    assert name in problem


def test_a_stub_that_is_not_python_is_a_problem(site: Path) -> None:
    (site / "aiter/ops/moe_op.py").write_text("def ck_moe_stage1(:\n")
    assert contract.gather(site / "aiter", None).problems


def test_a_wheels_sources_lie_in_aiter_meta(site: Path) -> None:
    shutil.move(site / "csrc", site / "aiter_meta" / "csrc")
    assert contract.gather(site / "aiter", None).problems == ()
    shutil.move(site / "aiter_meta", site / "elsewhere")
    assert contract.gather(site / "aiter", None).problems
    assert contract.gather(site / "aiter", str(site / "elsewhere")).problems == ()


def test_stubs_among_other_code_are_found_without_the_rest(site: Path) -> None:
    path = site / "aiter/ops/moe_op.py"
    before = contract.gather(site / "aiter", None).signatures
    path.write_text(path.read_text() + "\nthis is not python\n")
    assert contract.gather(site / "aiter", None).signatures == before


def test_enum_values_count_on_from_the_last_given_one() -> None:
    assert contract._enumerators(" A, B = 7, C, D = -1, E ,") == {
        "A": 0,
        "B": 7,
        "C": 8,
        "D": -1,
        "E": 0,
    }
