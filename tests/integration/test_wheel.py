"""The wheel itself: what is in it, what it promises, and that a fresh environment takes it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import zipfile
from pathlib import Path

import pytest
from packaging.utils import parse_wheel_filename

from prebuild.gfx950.bundle import code_objects
from prebuild.inspect.codeobject import kernel_facts
from prebuild.inspect.elf import elf_facts
from prebuild.toolchain import Toolchain
from tests.integration.calls import stage1, stage2
from tests.integration.conftest import KimiWheel

pytestmark = pytest.mark.toolchain
STOCK = "module_moe_ck2stages_fp4x2_fp4x2_preshuffle_on_b16_silu_per_1x32_mulWeightStage2"
MFMA = "v_mfma_scale_f32_16x16x128_f8f6f4"


def test_tags_come_from_the_binaries(kimi: KimiWheel) -> None:
    _, _, _, tags = parse_wheel_filename(kimi.path.name)
    assert {(tag.interpreter, tag.abi) for tag in tags} == {("cp310", "abi3")}
    glibc = [
        int(tag.platform.split("_")[2]) for tag in tags if tag.platform.startswith("manylinux_")
    ]
    assert glibc
    assert max(glibc) <= 31


def test_size_budget(kimi: KimiWheel) -> None:
    assert kimi.path.stat().st_size < 4_000_000


def test_the_manifest_is_what_the_files_are(kimi: KimiWheel, toolchain: Toolchain) -> None:
    (module,) = kimi.manifest.modules
    data = kimi.module.read_bytes()
    assert hashlib.sha256(data).hexdigest() == module.sha256
    assert len(data) == module.size
    assert module.stock_name == STOCK
    assert module.coverage == "deployed"
    assert len(module.instances) == 10
    build = kimi.manifest.build
    assert build.ck_version == toolchain.ck_version
    assert "-fgpu-flush-denormals-to-zero" in build.device_flags
    left_out = {entry.what: entry.reason for entry in build.left_out}
    unknown = [what for what in left_out if "coerce-illegal-types" in what]
    assert bool(unknown) == (toolchain.kind == "debian")


def test_every_kernel_of_the_module_is_planned_and_has_the_right_mfma(
    kimi: KimiWheel, toolchain: Toolchain, tmp_path: Path
) -> None:
    (module,) = kimi.manifest.modules
    from elftools.elf.elffile import ELFFile

    with kimi.module.open("rb") as file:
        section = ELFFile(file).get_section_by_name(".hip_fatbin")
        assert section is not None
        embedded = code_objects(section.data())
    kernels = {k.symbol: (i, k) for i in module.instances for k in i.kernels}
    assert len(embedded) == len(kernels) == sum(len(i.kernels) for i in module.instances)
    for position, data in enumerate(embedded):
        path = tmp_path / f"{position}.co"
        path.write_bytes(data)
        facts = kernel_facts(path, toolchain)
        instance, kernel = kernels.pop(facts.symbol)
        assert facts.opcodes[MFMA] > 0, instance.name
        assert (facts.vgprs, facts.lds_bytes) == (kernel.vgprs, kernel.lds_bytes)
        assert facts.kernarg_bytes == 200
    assert not kernels


def test_every_kernel_was_run_as_the_module_itself_launches_it(kimi: KimiWheel) -> None:
    (module,) = kimi.manifest.modules
    verdicts = [kernel.verified for each in module.instances for kernel in each.kernels]
    assert {verdict["launch"] for verdict in verdicts if verdict} == {"module"}
    assert all(verdicts)


def test_the_module_asks_for_nothing_unusual(kimi: KimiWheel) -> None:
    facts = elf_facts(kimi.module)
    assert "libamdhip64.so.7" in facts.needed
    assert not [name for name in facts.needed if "torch" in name or "python" in name]
    assert facts.run_paths == ()
    assert facts.exported == (f"PyInit_{kimi.name}",)
    assert facts.floor("GLIBC_") <= (2, 31)
    assert str(Path.home()) not in kimi.module.read_bytes().decode("latin-1")


def test_nothing_but_the_runtime_is_in_the_wheel(kimi: KimiWheel) -> None:
    with zipfile.ZipFile(kimi.path) as archive:
        tops = {name.split("/", 1)[0] for name in archive.namelist()}
        metadata = archive.read(
            next(n for n in archive.namelist() if n.endswith("dist-info/METADATA"))
        ).decode()
    names = {top for top in tops if not top.endswith(".dist-info")}
    assert names == {"aiter_prebuilt", "aiter_prebuilt.pth", "aiter_prebuilt.start"}
    assert "Requires-Dist" not in metadata


def test_a_fresh_environment_lists_and_verifies_it(installed: Path) -> None:
    tool = installed / "bin" / "aiter-prebuilt"
    listed = json.loads(
        subprocess.run([tool, "list", "--json"], check=True, capture_output=True).stdout
    )
    assert STOCK in json.dumps(listed)
    subprocess.run([tool, "verify"], check=True, capture_output=True)


def test_the_start_up_hook_loads_nothing_heavy(installed: Path) -> None:
    code = (
        "import sys; heavy = {'torch', 'aiter', 'json', 'dataclasses', 'typing', 'inspect'};"
        "ours = [f for f in sys.meta_path if 'aiter_prebuilt' in repr(f)];"
        "print(sorted(heavy & set(sys.modules)), len(ours))"
    )
    python = installed / "bin" / "python"
    done = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["[]", "1"]


def test_the_real_hip_runtime_takes_the_module(
    kimi: KimiWheel, toolchain: Toolchain, tmp_path: Path
) -> None:
    """Against the real libamdhip64.so.7, which has no GPU here: its own error comes back."""
    if toolchain.python is None:
        pytest.fail("the toolchain has no Python beside its HIP runtime; run make toolchain")
    from prebuild.recording.recorder import Recorder

    real = Recorder(runtime=tmp_path, python=toolchain.python)
    recorded = real.record(kimi.name, kimi.module, [stage1(), stage2()], log=tmp_path / "log")
    for result in recorded.results:
        assert result["raised"] == "RuntimeError"
        assert "no ROCm-capable device" in result["message"]
