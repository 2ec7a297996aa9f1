"""The real module on the real HIP runtime: all kernels, a broken one, the way through AITER."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from aiter_prebuilt.wheel.manifest import MANIFEST_NAME
from prebuild.gfx950 import codeobject
from prebuild.verify.subject import subjects_in
from tests.device.conftest import Run

SERVE = Path(__file__).parent / "serve.py"
END_PROGRAM = bytes.fromhex("000081bf")
"""s_endpgm: the wave is over, and nothing says so."""


def test_every_kernel_is_right(run: Run) -> None:
    done = run("-m", "aiter_prebuilt", "selftest", "--json")
    report = json.loads(done.stdout)
    wrong = [kernel for kernel in report["kernels"] if kernel["verdict"] != "right"]
    assert wrong == []
    assert report["proven"] is True
    assert done.returncode == 0
    assert report["device"]["arch"].startswith("gfx950")
    assert all(len(kernel["launches"]) >= 4 for kernel in report["kernels"])


def test_a_kernel_that_ends_at_once_is_found(run: Run, site: Path) -> None:
    package = site / "aiter_prebuilt"
    manifest = json.loads((package / MANIFEST_NAME).read_text())
    described = manifest["modules"][0]
    file = package / described["file"]
    subject = subjects_in(file).subjects[0]
    broken = end_at_once(file.read_bytes(), subject.data, subject.symbol)
    file.write_bytes(broken)
    described["sha256"] = hashlib.sha256(broken).hexdigest()
    (package / MANIFEST_NAME).write_text(json.dumps(manifest))
    done = run("-m", "aiter_prebuilt", "selftest", "--json", "--quick")
    report = json.loads(done.stdout)
    wrong = [kernel for kernel in report["kernels"] if kernel["verdict"] != "right"]
    assert {kernel["symbol"] for kernel in wrong} == {subject.symbol}
    codes = {
        finding["code"]
        for kernel in wrong
        for launch in kernel["launches"]
        for finding in launch["findings"]
    }
    assert codes == {"left"}
    assert done.returncode == 5


def end_at_once(module: bytes, code_object: bytes, symbol: str) -> bytes:
    """The module with the first instruction of one kernel replaced."""
    parsed = codeobject.parse(code_object)
    entry = parsed.kernels[symbol].entry
    segment = next(s for s in parsed.segments if s.address <= entry < s.address + len(s.data))
    start = code_object.index(bytes(segment.data)) + entry - segment.address
    at = module.index(code_object) + start
    return module[:at] + END_PROGRAM + module[at + len(END_PROGRAM) :]


def test_the_loader_serves_aiter_and_the_guard_takes_the_rest(run: Run, site: Path) -> None:
    """No setting says which GPU this is: the kernel driver's own facts decide."""
    done = run(SERVE, site, AITER_PREBUILT="strict", AITER_PREBUILT_UNCOVERED="error")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [launch["findings"] for launch in found["covered"]] == [[]] * 8
    assert "served" in found["events"]
    modules = json.loads((site / "aiter_prebuilt" / MANIFEST_NAME).read_text())["modules"]
    gaps = any(module["coverage"] == "deployed" for module in modules)
    assert len(found["uncovered"]) == gaps
    assert ("uncovered" in found["events"]) == gaps
    for launch in found["uncovered"]:
        (finding,) = launch["findings"]
        assert finding["code"] == "call"
        assert "UncoveredShapeError" in finding["message"]
