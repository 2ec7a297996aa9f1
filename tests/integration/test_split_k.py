"""The launcher where K is split: which kernel, which grid, what is cleared, what is not taken.

CK's operation is a stand-in with the interface of one that can split (no CK at hand need have it);
the numbers are those of AITER's launcher and of CK's own invoker.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from prebuild.core import proc
from prebuild.core.project import Project
from prebuild.gfx950.memory import Memory
from prebuild.recording.recorder import LaunchRecord, Recorder, read_log
from prebuild.toolchain import Toolchain
from prebuild.verify import launches
from prebuild.verify.problems import Batch, Kind, make_problem

pytestmark = pytest.mark.toolchain
OUT, TOKENS, TOP_K, SORTED = 0x70000, 3, 2, 68
LAUNCHED, NOT_DIVISIBLE, NO_KERNEL = 0, 1, 2

PROGRAM = """\
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <tuple>
namespace ck { enum class TailNumber { Odd, Even }; }
#include "launcher.hpp"

struct Argument { int M, N, K, KBatch; };
struct Splitting
{
    struct Gridwise
    {
        static bool CheckValidity(const Argument& a) { return a.K % (a.KBatch * 128) == 0; }
        static bool CalculateHasMainKBlockLoop(int k) { return k / 128 > 2; }
        static ck::TailNumber CalculateKBlockLoopTailNum(int k)
        {
            return k / 128 % 2 ? ck::TailNumber::Odd : ck::TailNumber::Even;
        }
        static auto CalculateGridSize(int m, int n, int k, int batch)
        {
            return std::make_tuple(n / 128, (m + 15) / 16, batch == 1 ? 1 : k / (128 * batch));
        }
    };
    using Argument = ::Argument;
    static constexpr int kBlockSize = 256, kNPerBlock = 128, kKPerBlock = 128, kOutputs = 2;
    static int k_batch(const aiter_prebuilt::Problem& p)
    {
        const int tiles = p.split_k > 0 ? p.k / 128 / p.split_k : 0;
        return tiles > 1 && tiles * p.split_k * 128 == p.k ? tiles : 0;
    }
    static Argument make_argument(const aiter_prebuilt::Problem& p)
    {
        return {p.sorted_size, p.n, p.k, k_batch(p)};
    }
};

extern "C" void** __hipRegisterFatBinary(const void*);
extern "C" void __hipRegisterFunction(void**, const void*, char*, const char*, unsigned, void*,
                                      void*, dim3*, dim3*, int*);

static char handles[4];

int main(int, char** argv)
{
    const struct { std::uint32_t magic, version; const void* bundle; void* unused; } wrapper
        = {0x48495046, 1, nullptr, nullptr};
    static char names[4][12] = {"main_odd", "main_even", "nomain_odd", "nomain_even"};
    void** binary = __hipRegisterFatBinary(&wrapper);
    for(int i = 0; i < 4; ++i)
    {
        __hipRegisterFunction(binary, &handles[i], names[i], names[i], 0, nullptr, nullptr, nullptr,
                              nullptr, nullptr);
    }
    aiter_prebuilt::Problem problem{};
    problem.out         = reinterpret_cast<void*>(0x70000);
    problem.tokens      = 3;
    problem.top_k       = 2;
    problem.sorted_size = 68;
    problem.n           = std::atoi(argv[1]);
    problem.k           = std::atoi(argv[2]);
    problem.split_k     = std::atoi(argv[3]);
    const auto result   = aiter_prebuilt::launch<Splitting>(
        problem, {&handles[0], &handles[1], &handles[2], &handles[3]});
    std::printf("%d", static_cast<int>(result.outcome));
}
"""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    code: int
    launches: tuple[LaunchRecord, ...]


@pytest.fixture(scope="module")
def launch(
    toolchain: Toolchain, recorder: Recorder, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[int, int, int], Outcome]:
    folder = tmp_path_factory.mktemp("launch")
    source, program, log = folder / "launch.cpp", folder / "launch", folder / "log"
    source.write_text(PROGRAM)
    flags = ["-std=c++17", "-D__HIP_PLATFORM_AMD__=1", f"-I{Project.here().csrc}", "-Wall"]
    library = [f"-L{recorder.runtime}", "-l:libamdhip64.so.7"]
    proc.run([toolchain.clangxx, *toolchain.host_flags, *flags, source, "-o", program, *library])

    def run(n: int, k: int, parts: int) -> Outcome:
        log.unlink(missing_ok=True)
        env = {
            "LD_LIBRARY_PATH": str(recorder.runtime),
            "HIP_RECORD_FILE": str(log),
            "HIP_RECORD_ARGUMENT_BYTES": "16",
        }
        code = proc.run([program, str(n), str(k), str(parts)], env=env)
        return Outcome(code=int(code), launches=read_log(log) if log.exists() else ())

    return run


@pytest.mark.parametrize(
    ("n", "k", "parts", "symbol", "k_batch"),
    [
        (256, 2048, 2, "main_even", 8),
        (384, 7168, 8, "main_odd", 7),
        (128, 2048, 8, "nomain_even", 2),
        (128, 768, 2, "main_odd", 3),
    ],
)
def test_the_part_of_k_decides_the_kernel(
    launch: Callable[[int, int, int], Outcome],
    n: int,
    k: int,
    parts: int,
    symbol: str,
    k_batch: int,
) -> None:
    found = launch(n, k, parts)
    assert found.code == LAUNCHED
    (record,) = found.launches
    assert record.symbol == symbol
    # Gate and up are columns of their own; the third dimension counts the parts.
    assert record.grid == (2 * n // 128, 5, parts)
    assert record.block == (256, 1, 1)
    words = [int.from_bytes(record.arguments[i : i + 4], "little") for i in range(0, 16, 4)]
    assert words == [SORTED, n, k, k_batch]


TILE = launches.Tile(block_size=256, m=16, n=128, k=128, k1=16, bk1=16)


@pytest.mark.parametrize(
    ("n", "k", "parts"), [(256, 2048, 2), (384, 7168, 8), (128, 2048, 8), (128, 768, 2)]
)
def test_the_verifier_expects_the_same_launch(
    launch: Callable[[int, int, int], Outcome], n: int, k: int, parts: int
) -> None:
    (record,) = launch(n, k, parts).launches
    batch = Batch.of(
        stage=1, tokens=TOKENS, topk=TOP_K, experts=4, n=n, k=k, block_m=16, parts=parts
    )  # fmt: skip
    problem = make_problem(Kind.FP8_BLOCK, batch)
    placed = launches.place(Memory(), problem)
    wanted = launches.launch(
        record.symbol, TILE, problem.kind, problem.batch, placed, routed_weight=False
    )
    assert (record.grid, record.block) == (wanted.grid, wanted.block)
    layout = launches.layout_of(problem.kind)
    values = struct.unpack_from(layout.format, wanted.kernarg, launches.HEAD)
    fields = dict(zip(layout.names, values, strict=True))
    found = struct.unpack_from("<4i", record.arguments)
    assert found == tuple(fields[name] for name in ("M", "N", "K", "KBatch"))
    cleared = launches.cleared(problem, placed)
    assert cleared is not None
    assert record.cleared == (OUT, *cleared[1:])


def test_the_rows_that_are_added_to_are_cleared_before(
    launch: Callable[[int, int, int], Outcome],
) -> None:
    (record,) = launch(256, 2048, 4).launches
    assert record.cleared == (OUT, TOKENS * TOP_K * 2 * 256 * 4, 0)


@pytest.mark.parametrize(
    ("n", "k", "parts", "code"),
    [
        (256, 2048, 3, NOT_DIVISIBLE),  # AITER refuses parts of unequal size
        (200, 2048, 2, NOT_DIVISIBLE),  # and CK this N
        (256, 2048, 16, NO_KERNEL),  # parts of one tile: nobody looks at them
        (256, 2048, 32, NO_KERNEL),
        (256, 2048, 0, NO_KERNEL),
    ],
)
def test_what_cannot_be_split_is_not_launched(
    launch: Callable[[int, int, int], Outcome], n: int, k: int, parts: int, code: int
) -> None:
    assert launch(n, k, parts) == Outcome(code=code, launches=())
