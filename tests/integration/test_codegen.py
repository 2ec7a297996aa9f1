"""Another LLVM's passes and code generation behind Debian's clang; the check of the way itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from prebuild.compile.build import compile_units, compiler_command
from prebuild.compile.units import Unit
from prebuild.core import proc
from prebuild.core.errors import CommandError
from prebuild.core.project import Project
from prebuild.core.settings import CodegenChoice, Settings, ToolchainChoice
from prebuild.gfx950.codeobject import parse as parse_code_object
from prebuild.gfx950.disassembly import disassemble, parse
from prebuild.gfx950.program import build_program
from prebuild.inspect.codeobject import kernel_facts
from prebuild.pipeline import build as pipeline
from prebuild.plan.make import make_plan
from prebuild.recipe.recipes import find_recipes, load_recipes, narrow
from prebuild.toolchain import Toolchain, install
from prebuild.toolchain.debian import LIBRARY_FOLDERS
from prebuild.toolchain.model import CodeGenerator

pytestmark = pytest.mark.toolchain

KERNEL = "gemm2_256x32x128x128"
VARIANT = ".nomain_odd"
"""No main loop: the cheapest to compile that has all of CK in it."""


@pytest.fixture(scope="module")
def debian(settings: Settings) -> Settings:
    return dataclasses.replace(settings, toolchain=ToolchainChoice.DEBIAN)


def prepared(settings: Settings, work: Path) -> tuple[pipeline.Prepared, Unit]:
    project = Project.here()
    (recipe,) = load_recipes(find_recipes(["kimi-k2.5-mxfp4"], project.recipes))
    plan = make_plan([narrow(recipe, tp=[8])])
    made = pipeline.prepare(plan, project=project, settings=settings, work=work)
    (unit,) = [unit for unit in made.units if KERNEL in unit.id and unit.id.endswith(VARIANT)]
    return made, unit


def clangs_own(tools: Toolchain) -> Toolchain:
    """The toolchain with the library that its clang is linked to as code generator."""
    assert tools.python is not None
    own = CodeGenerator(
        version="Debian's own",
        python=tools.python,
        library=tools.root / LIBRARY_FOLDERS[0] / "libLLVM.so.22.1",
        identity="own",
    )
    return dataclasses.replace(tools, codegen=own)


SMALL = """\
#include <hip/hip_runtime.h>
extern "C" __global__ void probe(float* out, const float* in, int n) {
    __shared__ float tile[256];
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    tile[threadIdx.x] = in[i];
    __syncthreads();
    float sum = 0;
    for (int k = 0; k < n; ++k) sum += __expf(tile[(threadIdx.x + k) & 255]) + sqrtf(in[k]);
    asm volatile("v_add_f32 %0, %0, %0" : "+v"(sum));
    out[i] = sum + __shfl_xor(sum, 1);
}
"""


def test_the_way_takes_what_a_kernel_can_hold(debian: Settings, tmp_path: Path) -> None:
    """LDS, a loop, a library function, assembly in the source; at the flags of the kernels."""
    made, unit = prepared(debian, tmp_path)
    source = tmp_path / "small.cu"
    source.write_text(SMALL)
    small = dataclasses.replace(unit, source=source)
    for name, tools in (("one", made.toolchain), ("own", clangs_own(made.toolchain))):
        proc.run([*compiler_command(small, tools), "-o", str(tmp_path / name)])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "own").read_bytes()


def test_the_way_itself_changes_no_byte(debian: Settings, tmp_path: Path) -> None:
    """Front end, text, library, lld: with clang's own LLVM they make what clang makes in one go."""
    made, unit = prepared(debian, tmp_path)
    compile_units([unit], toolchain=made.toolchain, work=tmp_path, book=made.book)
    output = tmp_path / "own.co"
    proc.run([*compiler_command(unit, clangs_own(made.toolchain)), "-o", str(output)])
    assert output.read_bytes() == unit.object.read_bytes()


def test_amds_code_is_other_code_that_the_executor_knows_all_of(
    debian: Settings, tmp_path: Path
) -> None:
    amd = dataclasses.replace(debian, codegen=CodegenChoice.AMD)
    install(amd)
    made, unit = prepared(amd, tmp_path)
    _, plain = prepared(debian, tmp_path)
    assert unit.key != plain.key
    for each in (unit, plain):
        tools = (
            made.toolchain if each is unit else dataclasses.replace(made.toolchain, codegen=None)
        )
        compile_units([each], toolchain=tools, work=tmp_path, book=made.book)
    facts, clangs = (kernel_facts(each.object, made.toolchain) for each in (unit, plain))
    assert facts.symbol == clangs.symbol
    assert facts.target == "amdgcn-amd-amdhsa--gfx950"
    assert unit.object.read_bytes() != plain.object.read_bytes()
    data = unit.object.read_bytes()
    instructions = parse(disassemble(data, made.toolchain.tool("llvm-objdump")))
    assert build_program(parse_code_object(data), instructions, facts.symbol).operations


def test_what_the_library_does_not_know_stops_the_compile(debian: Settings, tmp_path: Path) -> None:
    amd = dataclasses.replace(debian, codegen=CodegenChoice.AMD)
    tools = install(amd)
    assert tools.codegen is not None
    strict = dataclasses.replace(tools.codegen, dropped_features={})
    source = tmp_path / "k.hip"
    source.write_text('extern "C" __attribute__((global)) void probe() {}\n')
    _, unit = prepared(amd, tmp_path)
    bare = dataclasses.replace(
        unit, source=source, flags=("-x", "hip", "--cuda-device-only", "--no-gpu-bundle-output",
        "-nogpuinc", "-O1", "--offload-arch=gfx950"),
    )  # fmt: skip
    command = compiler_command(bare, dataclasses.replace(tools, codegen=strict))
    named = r"(?s)unknown target features: cube-insts.*codegen\.toml"
    with pytest.raises(CommandError, match=named):
        proc.run([*command, "-o", str(tmp_path / "k.co")])
    assert not (tmp_path / "k.co").exists()
    proc.run([*compiler_command(bare, tools), "-o", str(tmp_path / "k.co")])
