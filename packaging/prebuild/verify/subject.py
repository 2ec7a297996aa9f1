"""What is under test: one kernel, its code object, and the facts that its symbol states.

A kernel's mangled name lists CK's template arguments.  The facts are read from there, so that a
problem is made for what the machine code was instantiated with, whatever a manifest says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from elftools.elf.elffile import ELFFile

from prebuild.gfx950 import bundle, codeobject
from prebuild.gfx950.errors import CodeObjectError
from prebuild.gfx950.launch import Launch
from prebuild.verify.errors import UnknownKernelError
from prebuild.verify.problems import Shape

_MX = re.compile(
    r"GridwiseMoeGemmMX_BPreshuffle.*?EEE(?P<out>t|DF16_)NS_16tensor_operation"
    r".*?Li32ELi(?P<block_size>\d+)ELi(?P<m>\d+)ELi(?P<n>\d+)ELi(?P<k>\d+)ELi16ELi16E"
    r".*?BlockGemmPipelineVersionE(?P<version>\d)ELi(?P<activation>\d)ELb(?P<swizzle>[01])"
    r"ELb(?P<input>[01])ELb(?P<routed>[01])E.*?ELb(?P<main>[01])E.*?InMemoryDataOperationEnumE"
    r"(?P<operation>\d).*?TailNumberE(?P<tail>\d+)E"
)
_OUT = {"t": "bf16", "DF16_": "f16"}
_TAILS = {"0": "odd", "1": "even"}
_ACTIVATIONS = {"0": "gelu", "1": "silu"}
_HELPER = "flush_icache"
_PREFETCH = 2
"""CK's MX pipelines v1 and v3 enter the main loop where there are more K steps than this."""
_EXPERTS = 4


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Template arguments of a kernel that decide its problem and its launch."""

    stage: int
    block_size: int
    m: int
    n: int
    k: int
    """Stored elements (bytes for fp4) of one step of the main loop."""
    pipeline: int
    activation: str
    routed_weight: bool
    main_loop: bool
    tail: str
    out: str

    def name(self) -> str:
        """Return a short name of the kernel."""
        tile = f"{self.block_size}x{self.m}x{self.n}x{self.k}"
        loop = "main" if self.main_loop else "nomain"
        return f"gemm{self.stage}_{tile}_v{self.pipeline} {loop}_{self.tail} {self.out}"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One kernel to run."""

    symbol: str
    facts: Facts
    data: bytes
    """Its code object."""
    sha256: str
    launches: Mapping[str, Launch] = field(default_factory=dict)
    """Name of a problem's shape -> the launch that the module itself makes for it."""
    launch_problem: str = ""
    """What is wrong with the module's own launch, empty where nothing is."""


def k_steps(facts: Facts) -> int:
    """Return the fewest K steps for which CK launches this kernel."""
    steps = _PREFETCH + 1 if facts.main_loop else 1
    while (steps % 2 == 1) != (facts.tail == "odd"):
        steps += 1
    return steps


def shapes(facts: Facts) -> list[Shape]:
    """Return the problems of a kernel.

    The first has an expert with two blocks, the second one nearly all padding, an empty expert,
    tokens that name an expert twice and blocks beyond ``num_valid_ids``; the second a single row.
    """
    n, k = 2 * facts.n, 2 * facts.k * k_steps(facts)
    many, one = facts.m + facts.m // 16 + 1, 1
    return [
        Shape(stage=facts.stage, tokens=many, topk=2, experts=_EXPERTS, n=n, k=k, block_m=facts.m),
        Shape(stage=facts.stage, tokens=one, topk=3, experts=_EXPERTS, n=n, k=k, block_m=facts.m),
    ]


def facts_of(symbol: str) -> Facts:
    """Read the facts from a mangled symbol; raises :class:`UnknownKernelError`."""
    match = _MX.search(symbol)
    if match is None or match["swizzle"] != "0":
        raise UnknownKernelError(symbol)
    return Facts(
        stage=1 if match["input"] == "1" else 2,
        block_size=int(match["block_size"]),
        m=int(match["m"]),
        n=int(match["n"]),
        k=int(match["k"]),
        pipeline=int(match["version"]) + 1,
        activation=_ACTIVATIONS.get(match["activation"], match["activation"]),
        routed_weight=match["routed"] == "1",
        main_loop=match["main"] == "1",
        tail=_TAILS.get(match["tail"], match["tail"]),
        out=_OUT[match["out"]],
    )


@dataclass(frozen=True, kw_only=True)
class Found:
    """The kernels of a file."""

    subjects: tuple[Subject, ...]
    unknown: tuple[str, ...]
    """Symbols for which there is no problem yet."""


def subjects_in(path: Path) -> Found:
    """Return every kernel of a module (``.so``) or of a code object (``.co``), in file order."""
    data = path.read_bytes()
    subjects: list[Subject] = []
    unknown: list[str] = []
    for code_object in _code_objects(path, data):
        parsed = codeobject.parse(code_object)
        for symbol in parsed.kernels:
            if _HELPER in symbol:
                continue
            try:
                facts = facts_of(symbol)
            except UnknownKernelError:
                unknown.append(symbol)
                continue
            subjects.append(
                Subject(symbol=symbol, facts=facts, data=code_object, sha256=parsed.sha256)
            )
    if not subjects and not unknown:
        raise CodeObjectError(f"{path} holds no gfx950 kernel")
    return Found(subjects=tuple(subjects), unknown=tuple(unknown))


def _code_objects(path: Path, data: bytes) -> Iterator[bytes]:
    if path.suffix != ".so":
        yield from bundle.code_objects(data)
        return
    with path.open("rb") as file:
        section = ELFFile(file).get_section_by_name(".hip_fatbin")
        if section is None:
            raise CodeObjectError(f"{path} has no section .hip_fatbin")
        yield from bundle.code_objects(section.data())
