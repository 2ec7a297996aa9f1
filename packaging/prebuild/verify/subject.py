"""What is under test: one kernel, its code object, and the facts that its symbol states.

A kernel's mangled name lists CK's template arguments.  The facts are read from there, so that a
problem is made for what the machine code was instantiated with, whatever a manifest says.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from elftools.elf.elffile import ELFFile

from aiter_prebuilt import target
from aiter_prebuilt.call import Stage
from aiter_prebuilt.kinds import ACTIVATIONS
from prebuild.gfx950 import bundle, codeobject
from prebuild.gfx950.launch import Launch
from prebuild.verify.errors import NoKernelError, UnknownKernelError
from prebuild.verify.launches import Tile
from prebuild.verify.problems import Batch, Kind

_OPERATION = re.compile(r"(GridwiseMoeGemm(?:MX_BPreshuffle|MXBNS|BlockScale)?)IN")
_TYPES = re.compile(
    r"EEES\d*_(?P<operands>.*?)(?P<accumulator>ff)(?:NS\d*_IJf+EEE)(?P<out>t|f|DF16_)NS_16tensor"
)
_NUMBERS = re.compile(r"GemmSpecializationE\d(?P<list>(?:ELi\d+)+)E")
_FLAGS = re.compile(
    r"BlockGemmPipelineVersionE(?P<version>\d)ELi(?P<activation>\d)ELb(?P<swizzle>[01])"
    r"ELb(?P<input>[01])(?P<others>(?:ELb[01])+)E"
)
_KERNEL = re.compile(
    r"ELb(?P<main>[01])ELNS_25InMemoryDataOperationEnumE\d.*?TailNumberE(?P<tail>\d+)E"
)
_MX_SHUFFLED, _MX_PLAIN = "GridwiseMoeGemmMX_BPreshuffle", "GridwiseMoeGemmMXBNS"
_BLOCKSCALE, _PLAIN = "GridwiseMoeGemmBlockScale", "GridwiseMoeGemm"
_OUT = {"t": "bf16", "DF16_": "f16", "f": "f32"}
_TAILS = {"0": "odd", "1": "even", "10": "full"}
_ACTIVATIONS = {str(each.ck): each.name for each in ACTIVATIONS.values()}
_HELPER = "flush_icache"
_EMPTY = 4
"""Bytes of a kernel that ends at once: CK's wave32 stand-ins, which nobody launches on gfx950."""
_PREFETCH = 2
"""CK's pipelines enter the main loop where there are more K steps than this."""
_PREFETCH_PLAIN_V1 = 1
"""The same of v1 for MX operands without preshuffled weights."""
_EXPERTS = 4
SPLITS = {2: 14, 3: 8, 4: 8, 6: 8, 7: 4, 8: 6, 12: 2, 14: 2, 16: 3}
"""Steps in a part of K -> the most parts of so many that AITER's rule gives for the recipes.

The rule is get_ksplit (``aiter/fused_moe.py``), or the ksplit of a row of AITER's tuned tables;
a part of one step is no part to CK, and nobody launches it.
"""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Template arguments of a kernel that decide its problem and its launch."""

    kind: Kind
    stage: Stage
    block_size: int
    m: int
    n: int
    k: int
    """Stored elements (bytes for fp4) of one step of the main loop."""
    k1: int
    """Stored elements of one vector of A."""
    bk1: int
    """The same of B."""
    pipeline: int
    activation: str
    routed_weight: bool
    main_loop: bool
    tail: str
    out: str
    preshuffled: bool = True
    """Whether the weights are in AITER's shuffled layout."""
    split_k: bool = False
    """Whether it adds a part of K's sums of gate and up to the output."""

    def name(self) -> str:
        """Return a short name of the kernel."""
        tile = f"{self.block_size}x{self.m}x{self.n}x{self.k}"
        loop = "main" if self.main_loop else "nomain"
        kind = "" if self.kind is Kind.MX_FP4 else f" {self.kind.value}"
        kind += "" if self.preshuffled else " plain"
        kind += " split" if self.split_k else ""
        return f"gemm{self.stage}_{tile}_v{self.pipeline} {loop}_{self.tail} {self.out}{kind}"

    @property
    def tile(self) -> Tile:
        """Return what a launch depends on."""
        return Tile(
            block_size=self.block_size, m=self.m, n=self.n, k=self.k, k1=self.k1, bk1=self.bk1
        )


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One kernel to run."""

    symbol: str
    facts: Facts
    data: bytes
    """Its code object."""
    sha256: str
    launches: Mapping[str, Launch] = field(default_factory=dict)
    """Name of a problem's batch -> the launch that the module itself makes for it."""
    launch_problem: str = ""
    """What is wrong with the module's own launch, empty where nothing is."""
    batches: tuple[Batch, ...]
    """Its problems."""

    @classmethod
    def of(cls, symbol: str, facts: Facts, *, data: bytes, sha256: str) -> Subject:
        """Return a kernel with the problems that every one gets."""
        return cls(
            symbol=symbol, facts=facts, data=data, sha256=sha256, batches=tuple(batches(facts))
        )


def k_steps(facts: Facts) -> int:
    """Return the fewest K steps for which CK launches this kernel; ValueError where none do."""
    found = next((steps for steps in range(1, 5) if takes(facts, steps)), None)
    if found is None:
        raise ValueError(f"CK launches {facts.name()} for no K")
    return found


def takes(facts: Facts, steps: int) -> bool:
    """Whether CK launches this one of an instance's kernels for so many K steps."""
    plain_v1 = not facts.preshuffled and facts.pipeline == 1
    prefetch = _PREFETCH_PLAIN_V1 if plain_v1 else _PREFETCH
    right_tail = facts.tail == "full" or (steps % 2 == 1) == (facts.tail == "odd")
    return right_tail and (steps > prefetch) == facts.main_loop


def steps_of(facts: Facts, k: int) -> int:
    """Return the K steps of a GEMM that sums ``k`` values."""
    return -(-k // (_values(facts) * facts.k))


def _values(facts: Facts) -> int:
    """Values of a stored element."""
    return 2 if facts.kind is Kind.MX_FP4 else 1


def batches(facts: Facts) -> list[Batch]:
    """Return the problems of a kernel.

    The first has an expert with two blocks, the second one nearly all padding, an empty expert,
    tokens that name an expert twice and blocks beyond ``num_valid_ids``; the second a single row;
    the third one block of columns, and rows of extreme values.
    """
    if facts.split_k:
        return _split_batches(facts)
    n, k = 2 * facts.n, _values(facts) * facts.k * k_steps(facts)
    many, one = facts.m + facts.m // 16 + 1, 1
    return [
        Batch.of(
            stage=facts.stage, tokens=many, topk=2, experts=_EXPERTS, n=n, k=k, block_m=facts.m
        ),
        Batch.of(
            stage=facts.stage, tokens=one, topk=3, experts=_EXPERTS, n=n, k=k, block_m=facts.m
        ),
        Batch.of_extremes(stage=facts.stage, n=facts.n, k=k, block_m=facts.m),
    ]


def _split_batches(facts: Facts) -> list[Batch]:
    """Return the same where K is split, the single row in every split."""
    own = [steps for steps in SPLITS if takes(facts, steps)]
    if not own:
        return []
    sizes = [(facts.m + facts.m // 16 + 1, 2, own[0], 2)]
    sizes += [(1, 3, steps, SPLITS[steps]) for steps in own]
    extremes = Batch.of_extremes(
        stage=facts.stage, n=facts.n, k=2 * facts.k * own[0], block_m=facts.m, parts=2
    )
    made = [
        Batch.of(
            stage=facts.stage,
            tokens=tokens,
            topk=topk,
            experts=_EXPERTS,
            n=2 * facts.n,
            k=facts.k * steps * parts,
            block_m=facts.m,
            parts=parts,
        )
        for tokens, topk, steps, parts in sizes
    ]
    return [*made, extremes]


def facts_of(symbol: str) -> Facts:
    """Read the facts from a mangled symbol; raises :class:`UnknownKernelError`."""
    matches = [one.search(symbol) for one in (_OPERATION, _TYPES, _NUMBERS, _FLAGS, _KERNEL)]
    operation, types, numbers, flags, kernel = matches
    if not (operation and types and numbers and flags and kernel) or flags["swizzle"] != "0":
        raise UnknownKernelError(symbol)
    values = [int(one) for one in numbers["list"].split("ELi")[1:]]
    # CK lists ScaleBlockSize before BlockSize (MX), or three scale blocks after it.
    block_size, *tile = values[operation[1] in (_MX_SHUFFLED, _MX_PLAIN) :]
    tile = tile[3:] if operation[1] == _BLOCKSCALE else tile
    split_k, routed, *rows = _others(operation[1], flags["others"])
    return Facts(
        kind=_kind(symbol, operation[1], types["operands"], rows),
        stage=1 if flags["input"] == "1" else 2,
        block_size=block_size,
        m=tile[0],
        n=tile[1],
        k=tile[2],
        k1=tile[3],
        bk1=tile[4],
        pipeline=int(flags["version"]) + 1,
        activation=_ACTIVATIONS.get(flags["activation"], flags["activation"]),
        routed_weight=routed,
        main_loop=kernel["main"] == "1",
        tail=_TAILS.get(kernel["tail"], kernel["tail"]),
        out=_OUT[types["out"]],
        preshuffled=operation[1] != _MX_PLAIN,
        split_k=split_k,
    )


def _others(operation: str, flags: str) -> list[bool]:
    """Return what follows IsInputGemm, IsSplitK first, which newer block-scale ones alone have."""
    found = [flag == "1" for flag in flags.split("ELb")[1:]]
    newer = operation == _BLOCKSCALE and len(found) > 1
    return found if newer else [False, *found]


def _kind(symbol: str, operation: str, operands: str, rows: Sequence[bool]) -> Kind:
    """Return how a kernel's operands are."""
    if operation in (_MX_SHUFFLED, _MX_PLAIN) and "f4x2_pk_t" in operands:
        return Kind.MX_FP4
    if operation == _BLOCKSCALE and _is_fp8(operands):
        return Kind.FP8_BLOCK
    if operation == _PLAIN and operands in ("tt", "DF16_DF16_"):
        return Kind.BF16 if operands == "tt" else Kind.F16
    if operation == _PLAIN and "f8_" in operands and "pk_i4_t" in operands and any(rows):
        return Kind.INT4_ROW
    if operation == _PLAIN and _is_fp8(operands):
        return Kind.FP8_ROW if any(rows) else Kind.FP8_TENSOR
    raise UnknownKernelError(symbol)


def _is_fp8(operands: str) -> bool:
    # CK may call it f8_fnuz_t; the matrix instructions of gfx950 read OCP e4m3 whatever its name.
    return "i4" not in operands and "f8_" in operands


@dataclass(frozen=True, kw_only=True)
class Found:
    """The kernels of a file."""

    subjects: tuple[Subject, ...]
    unknown: tuple[str, ...]
    """Symbols for which there is no problem yet."""


def subjects_in(path: Path) -> Found:
    """Return every kernel of a module, an object file or a code object, in file order."""
    data = path.read_bytes()
    subjects: list[Subject] = []
    unknown: list[str] = []
    for code_object in _code_objects(path, data):
        parsed = codeobject.parse(code_object)
        for symbol, descriptor in parsed.kernels.items():
            if _HELPER in symbol or descriptor.size <= _EMPTY:
                continue
            try:
                facts = facts_of(symbol)
            except UnknownKernelError:
                unknown.append(symbol)
                continue
            subjects.append(Subject.of(symbol, facts, data=code_object, sha256=parsed.sha256))
    if not subjects and not unknown:
        raise NoKernelError(f"{path} holds no kernel for {target.load().gfx}")
    return Found(subjects=tuple(subjects), unknown=tuple(unknown))


def _code_objects(path: Path, data: bytes) -> Iterator[bytes]:
    if not data.startswith(bundle.ELF_MAGIC):
        yield from bundle.code_objects(data)
        return
    elf = ELFFile(io.BytesIO(data))
    if elf["e_machine"] != "EM_X86_64":
        yield data
        return
    section = elf.get_section_by_name(".hip_fatbin")
    if section is None:
        raise NoKernelError(f"{path} has no section .hip_fatbin")
    yield from bundle.code_objects(section.data())
