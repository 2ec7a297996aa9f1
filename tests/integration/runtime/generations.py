"""A stand-in for each generation of AITER, made of the project's data: names, stubs, enums."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from aiter_prebuilt.generations import Generation, load
from aiter_prebuilt.host.aiter import fingerprint
from prebuild.core.contracts import find_contract, load_contracts
from prebuild.core.contracts.reader import Generation as Contract
from tests.integration.runtime.sitemaker import ROOT

STANDIN = ROOT / "tests" / "standin"
SOURCES = Path("csrc", "ck_gemm_moe_2stages_codegen")
GENERATORS = ("cmdGenFunc_ck_moe_stage", "cmdGenFunc_ck_moe_stage2")

STUBS = '''
import inspect
import types
from typing import Optional

from aiter.jit.core import compile_ops
from aiter.ops.naming import name_of


class Tensor:
    """What the stubs' hints name."""


torch = types.SimpleNamespace(Tensor=Tensor)
'''
STUB = """

def {generator}(*args, **kwargs):
    given = inspect.signature({function}).bind(*args, **kwargs)
    given.apply_defaults()
    name = name_of({stage}, given.arguments, ending={ending!r})
    return {{"md_name": name, "blob_gen_cmd": f"generate {{name}}"}}


@compile_ops("module_moe_ck2stages", gen_func={generator})
def {signature}: ...
"""


def contract_of(generation: Generation) -> Contract:
    """The contract that a generation has: the last one that is not newer."""
    order = list(load().generations)
    contracts = {each.name.replace("aiter-", "v"): each.name for each in load_contracts()}
    mine = order[: order.index(generation.name) + 1]
    return find_contract(contracts[next(name for name in reversed(mine) if name in contracts)])


def make_standin(folder: Path, generation: Generation) -> Path:
    """Write the stand-in of a generation; returns its folder, which goes on ``sys.path``."""
    contract = contract_of(generation)
    shutil.copytree(STANDIN / "aiter", folder / "aiter")
    ending = "_" if generation.names == "joined" else ""
    stubs = (
        STUB.format(
            generator=generator,
            function=function.name,
            stage=function.stage,
            ending=ending,
            signature=function.signature,
        )
        for function, generator in zip(contract.functions, GENERATORS, strict=True)
    )
    enums = (
        f"enum class {name} : int {{ {', '.join(f'{key} = {n}' for key, n in values.items())} }};\n"
        for name, values in (
            ("QuantType", contract.quant_types),
            ("ActivationType", contract.activation_types),
        )
    )
    files = {
        "aiter/ops/moe_op.py": STUBS + "".join(stubs),
        "aiter/_version.py": f'__version__ = "{generation.name}+standin"\n',
        "csrc/include/aiter_enum.h": "".join(enums),
        SOURCES / "standin.cuh": f"// Stand-in for the sources of {generation.name}.\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def know(package: Path, folder: Path, generation: Generation) -> None:
    """Count a stand-in's sources among those that the wheel in ``package`` was checked with."""
    path = package / "data" / "aiter.json"
    book = json.loads(path.read_text())
    last = next(each for each in book["releases"] if each["generation"] == generation.name)
    parts = {**last["parts"], "sources": fingerprint(folder / SOURCES)}
    book["releases"].append({**last, "tag": f"{generation.name}+standin", "parts": parts})
    path.write_text(json.dumps(book))
