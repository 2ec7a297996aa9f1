from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from aiter_prebuilt.tools import wheelcheck
from aiter_prebuilt.wheel import manifest as m
from tests.unit.aiter_prebuilt import samples


@pytest.fixture
def site(tmp_path: Path) -> Path:
    package = tmp_path / "aiter_prebuilt"
    package.mkdir()
    manifest = samples.manifest()
    empty = m.Manifest(**{**vars(manifest), "modules": ()})
    (package / m.MANIFEST_NAME).write_text(m.dump(empty))
    (package / "__init__.py").write_text("# code\n")
    info = tmp_path / "aiter_prebuilt_gfx950-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: aiter-prebuilt-gfx950\nVersion: 0.1.0\n"
    )
    lines = []
    for path in sorted(package.iterdir()):
        digest = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest())
        lines.append(f"{path.relative_to(tmp_path)},sha256={digest.rstrip(b'=').decode()},1")
    lines += [f"{info.name}/RECORD,,", f"{info.name}/bundle.sigstore.json,,"]
    (info / "RECORD").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_an_untouched_wheel_is_sound(site: Path) -> None:
    report = wheelcheck.verify(site / "aiter_prebuilt")
    assert report.sound
    assert len(report.files) == 2
    assert any("Sigstore" in note for note in report.notes)


def test_changed_code_and_a_changed_manifest_are_found(site: Path) -> None:
    (site / "aiter_prebuilt" / "__init__.py").write_text("# other code\n")
    path = site / "aiter_prebuilt" / m.MANIFEST_NAME
    path.write_text(path.read_text().replace("0.1.0", "0.1.1"))
    report = wheelcheck.verify(site / "aiter_prebuilt")
    bad = [check for check in report.files if check.problem is not None]
    assert {Path(check.path).name for check in bad} == {"__init__.py", m.MANIFEST_NAME}
    assert not report.sound


def test_a_missing_file_is_found(site: Path) -> None:
    (site / "aiter_prebuilt" / "__init__.py").unlink()
    report = wheelcheck.verify(site / "aiter_prebuilt")
    assert [check.problem.code for check in report.files if check.problem] == ["file-unreadable"]


def test_without_a_record_it_is_not_sound(site: Path) -> None:
    (site / "aiter_prebuilt_gfx950-0.1.0.dist-info" / "RECORD").unlink()
    report = wheelcheck.verify(site / "aiter_prebuilt")
    assert [check.problem.code for check in report.files if check.problem] == ["record-missing"]
    assert not report.sound


@pytest.mark.parametrize("damage", ["\n", "aiter_prebuilt/__init__.py\n", "a,b,c,d\n"])
def test_a_damaged_record_is_found(damage: str, site: Path) -> None:
    record = site / "aiter_prebuilt_gfx950-0.1.0.dist-info" / "RECORD"
    record.write_text(damage + record.read_text())
    report = wheelcheck.verify(site / "aiter_prebuilt")
    codes = {check.problem.code for check in report.files if check.problem}
    assert codes == {"record-missing"}
    assert not report.sound


def test_a_record_that_is_no_text_is_found(site: Path) -> None:
    record = site / "aiter_prebuilt_gfx950-0.1.0.dist-info" / "RECORD"
    record.write_bytes(b"\xff" + record.read_bytes())
    assert not wheelcheck.verify(site / "aiter_prebuilt").sound


@pytest.mark.parametrize("content", [b"\xe4,,\n", b"\n\n"])
def test_a_damaged_record_of_another_package_is_not_ours(content: bytes, site: Path) -> None:
    other = site / "other-1.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (other / "RECORD").write_bytes(content)
    assert wheelcheck.verify(site / "aiter_prebuilt").sound


@pytest.mark.parametrize("name", ["module_foreign.so", "modules/libfoo.so.1"])
def test_a_foreign_shared_object_is_found(site: Path, name: str) -> None:
    path = site / "aiter_prebuilt" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"\x7fELF")
    report = wheelcheck.verify(site / "aiter_prebuilt")
    (found,) = [check for check in report.files if check.problem]
    assert found.problem is not None
    assert found.problem.code == "stranger"
    assert found.path == str(path)


def test_scripts_of_pip_target_are_found_where_pip_moved_them(site: Path) -> None:
    script = site / "bin" / "aiter-prebuilt"
    script.parent.mkdir()
    script.write_text("#!python\n")
    digest = base64.urlsafe_b64encode(hashlib.sha256(script.read_bytes()).digest())
    record = site / "aiter_prebuilt_gfx950-0.1.0.dist-info" / "RECORD"
    line = f"../../bin/aiter-prebuilt,sha256={digest.rstrip(b'=').decode()},9\n"
    record.write_text(record.read_text() + line)
    assert wheelcheck.verify(site / "aiter_prebuilt").sound
    script.write_text("#!other\n")
    assert not wheelcheck.verify(site / "aiter_prebuilt").sound
