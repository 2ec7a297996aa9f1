"""A whole module's binding with launchers that run no kernel, in this very process."""

from __future__ import annotations

import ctypes
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from prebuild.compile.flags import resolve_flags
from prebuild.core import identity, proc
from prebuild.core.contracts import Generation, Parameter, load_contracts
from prebuild.core.model import Plan, PlannedModule
from prebuild.core.project import Project
from prebuild.core.settings import Settings
from prebuild.generate.sources import generate
from prebuild.plan.make import make_plan
from prebuild.recipe.recipes import Recipe
from prebuild.recording import build_runtime, driver
from prebuild.toolchain import Toolchain

PROJECT = Project.here()
RECIPE = {
    "schema": 1, "name": "whole", "model": "m", "hidden_size": 4096, "moe_inter_dim": {1: 1024},
    "experts": 64, "top_k": 8, "coverage": "full", "activation_dtype": "fp4x2",
    "weight_dtype": "fp4x2", "output_dtypes": ["b16"], "quant": "per_1x32", "activation": "silu",
    "preshuffle": True, "routed_weight_stage": 2,
}  # fmt: skip


def made_up() -> Generation:
    """A second generation, of no AITER: other order, names, defaults and numbers, one more."""
    real = load_contracts()[0]
    functions = []
    for function in real.functions:
        first, w1, w2, *rest = function.parameters
        renamed = [
            item.model_copy(update={"name": "tile_m", "default": "64"})
            if item.argument == "block_m"
            else item
            for item in rest
        ]
        added = Parameter(name="colour", hint="int", argument="ignored", default="0")
        parameters = (w2, w1, first, *renamed, added)
        functions.append(function.model_copy(update={"parameters": parameters}))
    return real.model_copy(
        update={
            "name": "made-up",
            "functions": tuple(functions),
            "quant_types": {**real.quant_types, "per_1x32": 7},
        }
    )


@dataclass(frozen=True, kw_only=True)
class Built:
    """A module file and its functions for tests."""

    planned: PlannedModule
    path: Path

    @property
    def probe(self) -> ctypes.CDLL:
        return ctypes.CDLL(str(self.path))

    def load(self) -> Any:
        """A module object of its own."""
        loader = importlib.machinery.ExtensionFileLoader(self.planned.name, str(self.path))
        spec = importlib.util.spec_from_file_location(
            self.planned.name, str(self.path), loader=loader
        )
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
        return module


@dataclass(frozen=True, kw_only=True)
class Compiler:
    toolchain: Toolchain
    settings: Settings
    work: Path

    def objects(self, sources: Sequence[Path]) -> list[Path]:
        made = []
        for source in sources:
            made.append(self.work / f"{source.stem}.o")
            self._run("-c", source, "-o", made[-1])
        return made

    def link(self, objects: Sequence[Path], output: Path) -> None:
        self._run("-shared", *objects, "-lstdc++", "-o", output)

    def _run(self, *arguments: str | Path) -> None:
        flags = resolve_flags(self.toolchain, self.settings.cache_dir).host
        python = [f"-isystem{path}" for path in self.toolchain.python_include]
        command = [self.toolchain.clangxx, *self.toolchain.host_flags, *flags, *python]
        proc.run([*command, f"-I{PROJECT.csrc}", "-O1", *arguments])


@pytest.fixture(scope="session")
def hip(toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The recording runtime, whose functions the modules take from this process."""
    path = str(build_runtime(toolchain, tmp_path_factory.mktemp("hip")) / "libamdhip64.so.7")
    ctypes.CDLL(path, ctypes.RTLD_GLOBAL)
    return path


@pytest.fixture(scope="session")
def build(
    toolchain: Toolchain,
    settings: Settings,
    hip: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[PlannedModule], Built]:
    """Compile a planned module's table with the binding, which is compiled once."""
    assert hip
    work = tmp_path_factory.mktemp("binding")
    compiler = Compiler(toolchain=toolchain, settings=settings, work=work)
    fakes = Path(__file__).parent / "launchers.cpp"
    shared = compiler.objects([*sorted(PROJECT.csrc.glob("*.cpp")), fakes])

    def made(module: PlannedModule) -> Built:
        plan = Plan(modules=(module,), recipes={}, exclusions=())
        text = generate(plan, PROJECT.templates)[PurePosixPath(module.name) / "module.cpp"]
        for instance in module.built:
            text = text.replace(identity.launch_symbol(instance.name), "fake_launch")
        source = work / f"{module.name}.cpp"
        source.write_text(text)
        output = work / f"{module.name}.so"
        compiler.link([*compiler.objects([source]), *shared], output)
        return Built(planned=module, path=output)

    return made


@pytest.fixture(scope="session")
def built(build: Callable[[PlannedModule], Built]) -> Built:
    """The module of the real contract."""
    (module,) = make_plan([Recipe.model_validate(RECIPE)]).modules
    return build(module)


@pytest.fixture(scope="session")
def second(build: Callable[[PlannedModule], Built]) -> Built:
    """The module that the same plan has for a made-up second contract."""
    contracts = (*load_contracts(), made_up())
    modules = make_plan([Recipe.model_validate(RECIPE)], contracts=contracts).modules
    assert [[c.name for c in module.contracts] for module in modules] == [
        [each.name for each in contracts[:-1]],
        ["made-up"],
    ]
    return build(modules[1])


@pytest.fixture
def module(built: Built, monkeypatch: pytest.MonkeyPatch) -> Any:
    torch, inner = types.ModuleType("torch"), types.ModuleType("torch._C")
    vars(inner)["_cuda_getCurrentRawStream"] = lambda device: 0x9000 + device
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._C", inner)
    return built.load()


def tensor(dtype: str, *shape: int, exchange: bool = False) -> driver.Tensor:
    kind = driver.ExchangeTensor if exchange else driver.Tensor
    return kind(shape=list(shape), dtype=dtype, pointer=0x1000, device=0)


def arguments(*, tokens: int = 64, exchange: bool = False, **changes: Any) -> list[Any]:
    """A gate-up call by position, in the real contract's order; changes by the binding's words."""

    def make(dtype: str, *shape: int) -> driver.Tensor:
        return tensor(dtype, *shape, exchange=exchange)

    values = {
        "activations": make("uint8", tokens, 2048),
        "w1": make("uint8", 64, 2048, 2048),
        "w2": make("uint8", 64, 4096, 512),
        "sorted_token_ids": make("int32", 5000),
        "sorted_expert_ids": make("int32", 100),
        "num_valid_ids": make("int32", 2),
        "out": make("bfloat16", tokens, 8, 1024),
        "top_k": 8,
        "kernel_name": None,
        "weight_scale": make("float8_e8m0fnu", 10),
        "activation_scale": make("float8_e8m0fnu", 10),
        "block_m": 32,
        "sorted_weights": None,
        "quant_type": 3,
        "activation": 0,
        "split_k": 1,
        "is_shuffled": True,
    }
    assert set(changes) <= set(values)
    values |= changes
    function = load_contracts()[0].function(1)
    return [values.get(item.argument, item.value) for item in function.parameters]
