from __future__ import annotations

import errno
import io
import json
import sys
from pathlib import Path

import pytest

from aiter_prebuilt import settings
from aiter_prebuilt.choice import verdict
from aiter_prebuilt.host import aiter as contract
from aiter_prebuilt.reason import Reason
from aiter_prebuilt.tools import cli, doctor, jitdir, tables
from aiter_prebuilt.wheel import store
from aiter_prebuilt.wheel.manifest import Deployment
from tests.unit.aiter_prebuilt import samples


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    deployment = Deployment(
        recipe="kimi",
        tp=2,
        shape=samples.SHAPE,
        tokens_min=1,
        tokens_max=5,
        features=samples.FEATURES,
    )
    manifest = samples.manifest(deployments=(deployment,))
    shelf = store.Shelf(folder=Path("site/aiter_prebuilt"), manifest=manifest, reason=None)
    monkeypatch.setattr(store, "read_all", lambda *_: (shelf,))
    monkeypatch.setattr(contract, "locate", lambda: None)


def _json(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    assert found["schema"] == cli.JSON_SCHEMA
    return found


@pytest.mark.usefixtures("installed")
def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list"]) == cli.OK
    assert samples.STOCK in capsys.readouterr().out
    assert cli.main(["list", "--json"]) == cli.OK
    (module,) = _json(capsys)["modules"]  # type: ignore[misc]
    assert module["instances"] == ["one"]


@pytest.mark.usefixtures("installed")
def test_what_a_terminal_cannot_show_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    shelf = store.Shelf(
        folder=Path("/\u00e4"), manifest=None, reason=Reason(code="x", message="/\u00e4: gone")
    )
    monkeypatch.setattr(store, "read_all", lambda *_: (shelf,))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    assert cli.main(["list"]) == cli.FOUND
    sys.stdout.flush()
    assert b"/\\xe4: gone" in raw.getvalue()


class _Full(io.StringIO):
    """A standard output on a full disk."""

    def write(self, _text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.usefixtures("installed")
def test_a_full_and_a_closed_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", _Full())
    assert cli.main(["list"]) == cli.FAILED
    assert capsys.readouterr().err == "aiter-prebuilt: cannot write: No space left on device\n"
    monkeypatch.setattr(sys, "stdout", None)
    assert cli.main(["list"]) == cli.OK
    sys.stdout.close()


@pytest.mark.usefixtures("installed")
def test_verify_finds_the_missing_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["verify", "--json"]) == cli.FOUND
    found = _json(capsys)
    assert found["sound"] is False
    assert found["files"][0]["problem"]["code"] == "file-missing"  # type: ignore[index]


@pytest.mark.usefixtures("installed")
def test_doctor_in_words_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor"]) == cli.FOUND
    assert "compiles:" in capsys.readouterr().out
    assert cli.main(["doctor", "--json"]) == cli.FOUND
    (module,) = _json(capsys)["modules"]  # type: ignore[misc]
    assert module["verdict"]["state"] == "compiles"
    assert module["reasons"]


@pytest.mark.usefixtures("installed")
def test_explain_a_shape_and_a_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    shape = ["--tokens", "64", "--model-dim", "7168", "--inter-dim", "1024", "--no-flydsl"]
    code = cli.main(["explain", *shape])
    text = capsys.readouterr().out
    assert code == verdict.EXIT_CODES["refused"], "the sample's module has no stage 2"
    assert "2 calls: 0 prebuilt, 1 compiles, 1 refused" in text, "its file is not there"
    assert "see below" in text
    assert cli.main(["explain", "--recipe", "kimi", "--tp", "2", "--no-flydsl", "--json"]) == code
    answers = _json(capsys)["answers"]
    tokens = [answer["call"]["tokens"] for answer in answers if answer["call"]["stage"] == 1]  # type: ignore[attr-defined]
    assert tokens == [1, 2, 4, 5]
    assert {answer["tp"] for answer in answers} == {2}  # type: ignore[attr-defined]
    states = {answer["verdict"]["state"] for answer in answers}  # type: ignore[attr-defined]
    assert states == {"compiles", "refused"}


@pytest.mark.usefixtures("installed")
def test_explain_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "--tokens", "64"]) == cli.FAILED
    assert "model_dim is missing, inter_dim is missing" in capsys.readouterr().err
    assert cli.main(["explain", "--recipe", "kimi", "--ep", "2"]) == cli.USAGE
    assert "--ep does not go with --recipe" in capsys.readouterr().err
    assert cli.main(["explain", "--recipe", "other"]) == cli.FAILED
    assert "known are: kimi" in capsys.readouterr().err


@pytest.mark.usefixtures("installed")
def test_seed_reports_a_module_that_it_cannot_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["seed", "--jit-dir", str(tmp_path / "jit"), "--json"]) == cli.FOUND
    (step,) = _json(capsys)["steps"]  # type: ignore[misc]
    assert step["action"] == "fail"
    assert list((tmp_path / "jit").iterdir()) == []


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("option", "code"), [("--dry-run", cli.OK), ("--remove", cli.OK)])
def test_seed_makes_no_directory_without_a_file_to_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, code: int
) -> None:
    assert cli.main(["seed", "--jit-dir", str(tmp_path / "jit"), "--json", option]) == code
    steps = _json(capsys)["steps"]
    actions = [step["action"] for step in steps]  # type: ignore[attr-defined]
    assert actions == (["place"] if option == "--dry-run" else [])
    assert not (tmp_path / "jit").exists()


@pytest.mark.usefixtures("installed")
def test_a_process_that_is_not_there_needs_attention(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--pid", str(1 << 30)]) == cli.FOUND
    assert f"there is no process {1 << 30}" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == cli.OK
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["dance"], "invalid choice: 'dance'"),
        (["list", "--fast"], "unrecognized arguments: --fast"),
        (["seed"], "the following arguments are required: --jit-dir"),
        (["seed", "--jit-dir"], "expected one argument"),
        (["seed", "--jit-dir", ""], "is empty"),
        (["seed", "--jit-dir", " "], "is empty"),
        (["doctor", "--image", "--pid", "1"], "not allowed with"),
        (["explain", "--tokens", "many"], "'many' is no whole number of 1 or more"),
    ],
)
def test_a_wrong_command_line_is_one_line_or_json(
    given: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(given) == cli.USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert "--help" in line
    if given:
        assert cli.main([*given[:1], "--json", *given[1:]]) == cli.USAGE
        found = _json(capsys)
        assert said in found["error"]["message"]  # type: ignore[index]
        assert found["command"] == given[0]


def test_tables_align_and_keep_the_last_column_whole() -> None:
    assert tables.table(("a", "b"), [("xxx", "a long sentence")]) == "a    b\nxxx  a long sentence"
    assert [tables.size(count) for count in (12, 3_500_000)] == ["12 B", "3.5 MB"]


def test_whose_runtime_a_path_is() -> None:
    paths = (
        "/v/torch/lib/libamdhip64.so",
        "/v/_rocm_sdk_core/lib/x",
        "/opt/rocm-7/lib/x",
        "/usr/lib/x",
    )
    assert [doctor.owner(path) for path in paths] == [
        "torch",
        "ROCm from pip",
        "ROCm installation",
        "system",
    ]


def test_locks_and_hidden_modules_of_a_jit_directory(tmp_path: Path) -> None:
    own, chosen = tmp_path / "aiter" / "jit", tmp_path / "chosen"
    own.mkdir(parents=True)
    (own / "module_x.so").touch()
    (chosen / "build").mkdir(parents=True)
    host = jitdir.socket.gethostname()
    for name, text in (
        ("a", f"999999999\n{host}\n"),
        ("b", f"1\n{host}\n"),
        ("c", "1\nelsewhere\n"),
        ("d", ""),
    ):
        (chosen / "build" / f"lock_{name}").write_text(text)
    found = jitdir.gather(settings.Settings(jit_dir=str(chosen)), tmp_path / "aiter")
    assert found is not None
    assert [lock.state for lock in found.locks] == ["stale", "held", "unknown", "unknown"]
    assert found.hidden == ("module_x.so",)
    assert found.import_name == "<module>"


def test_aiters_own_file_is_seen(tmp_path: Path) -> None:
    assert jitdir.own_file(tmp_path, "module_x") is None
    (tmp_path / "module_x.so").touch()
    assert jitdir.own_file(tmp_path, "module_x") == tmp_path / "module_x.so"


@pytest.mark.usefixtures("installed")
def test_errors_of_json_commands_are_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "--recipe", "other", "--json"]) == cli.FAILED
    found = _json(capsys)
    assert found["error"]["kind"] == "ShapeError"  # type: ignore[index]
    assert "known are: kimi" in found["error"]["message"]  # type: ignore[index]


def test_an_interrupt_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.store, "read_all", interrupted)
    assert cli.main(["list"]) == 130
    assert capsys.readouterr().err == "aiter-prebuilt: interrupted\n"


def test_seed_stops_at_a_damaged_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reason = Reason(code="manifest-invalid", message="manifest is not JSON")
    shelf = store.Shelf(folder=Path("site"), manifest=None, reason=reason)
    monkeypatch.setattr(store, "read_all", lambda *_: (shelf,))
    assert cli.main(["seed", "--jit-dir", str(tmp_path / "jit")]) == 4
    assert "manifest is not JSON" in capsys.readouterr().err
    assert not (tmp_path / "jit").exists()


def test_a_skipped_module_is_said_and_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"{samples.STOCK}__sound_0"
    reduced = samples.module(name=name, coverage="sound")
    shelf = store.Shelf(folder=Path("site"), manifest=samples.manifest(reduced), reason=None)
    monkeypatch.setattr(store, "read_all", lambda *_: (shelf,))
    assert cli.main(["seed", "--jit-dir", str(tmp_path / "jit")]) == cli.OK
    assert "does not bear AITER's name" in " ".join(capsys.readouterr().out.split())
