"""Loads, stores, buffers, LDS, scratch and atomics: bounds, lanes, waits and races."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from prebuild.gfx950.errors import DataRace, MemoryFault, MissingWait, UndefinedValue
from prebuild.gfx950.wave import Wave

NOW = np.arange(64)


def data(count: int) -> np.ndarray:
    return (np.arange(count, dtype=np.uint32) * 7 + 1).view(np.uint8)


def descriptor(bench: Any, first: int, base: int, size: int) -> None:
    bench.set_scalar(first, base & 0xFFFFFFFF, base >> 32, size, 0x20000)


def test_global_load_by_pair_and_by_base(bench: Any) -> None:
    found = bench.memory.allocate("in", data(256))
    addresses = found.base + 4 * NOW
    bench.set(1, addresses & 0xFFFFFFFF)
    bench.set(2, addresses >> 32)
    bench.run("global_load_dwordx2 v[4:5], v[1:2], off offset:4")
    bench.land()
    assert bench.ints(4) == [(i + 1) * 7 + 1 for i in range(64)]
    assert bench.ints(5) == [(i + 2) * 7 + 1 for i in range(64)]
    bench.set(3, 8 * NOW)
    bench.set_scalar(6, found.base & 0xFFFFFFFF, found.base >> 32)
    bench.run("global_load_dword v7, v3, s[6:7]")
    bench.land()
    assert bench.ints(7) == [2 * i * 7 + 1 for i in range(64)]


def test_a_load_outside_every_allocation_is_an_error(bench: Any) -> None:
    found = bench.memory.allocate("in", data(64))
    bench.set_scalar(6, found.base & 0xFFFFFFFF, found.base >> 32)
    bench.set(3, 4 * NOW + 4)
    with pytest.raises(MemoryFault, match="in of 256 bytes"):
        bench.run("global_load_dword v7, v3, s[6:7]")


def test_a_load_may_span_two_allocations_lane_by_lane(bench: Any) -> None:
    first, second = bench.memory.allocate("a", data(4)), bench.memory.allocate("b", data(4))
    addresses = np.where(NOW % 2 == 0, first.base, second.base + 4)
    bench.set(1, addresses & 0xFFFFFFFF)
    bench.set(2, addresses >> 32)
    bench.run("global_load_dword v4, v[1:2], off")
    bench.land()
    assert bench.ints(4)[:2] == [1, 8]


def test_buffer_reads_zero_beyond_its_records(bench: Any) -> None:
    found = bench.memory.allocate("in", data(256))
    descriptor(bench, 8, found.base, 40 * 4 + 8)
    bench.set(1, 4 * NOW)
    bench.run("buffer_load_dwordx4 v[4:7], v1, s[8:11], 0 offen")
    bench.land()
    words = [i * 7 + 1 if i < 42 else 0 for i in range(70)]
    for dword in range(4):
        assert bench.ints(4 + dword) == [words[lane + dword] for lane in range(64)]
    assert bench.undefined(7) == 0


def test_buffer_offsets_add_up(bench: Any) -> None:
    found = bench.memory.allocate("in", data(256))
    descriptor(bench, 8, found.base, 1024)
    bench.set(1, 4 * NOW)
    bench.set_scalar(12, 16)
    bench.run("buffer_load_dword v4, v1, s[8:11], s12 offen offset:8")
    bench.land()
    assert bench.ints(4)[0] == 6 * 7 + 1


@pytest.mark.parametrize(("constant", "found"), [(252, 0), (256, 1), (260, 8), (4092, 0)])
def test_register_and_constant_offset_of_a_buffer_add_up_in_32_bits(
    bench: Any, constant: int, found: int
) -> None:
    allocation = bench.memory.allocate("in", data(64))
    descriptor(bench, 8, allocation.base, 256)
    bench.set(1, (4 * NOW - 256) & 0xFFFFFFFF)
    bench.run(f"buffer_load_dword v4, v1, s[8:11], 0 offen offset:{constant}")
    bench.land()
    assert bench.ints(4)[0] == found


def test_the_scalar_offset_of_a_buffer_comes_after_the_32_bits(bench: Any) -> None:
    found = bench.memory.allocate("in", data(64))
    descriptor(bench, 8, found.base, 256)
    bench.set(1, (4 * NOW - 256) & 0xFFFFFFFF)
    bench.set_scalar(12, 256)
    bench.run("buffer_load_dword v4, v1, s[8:11], s12 offen")
    bench.land()
    assert bench.ints(4) == [0] * 64


def test_an_offset_with_the_top_bit_is_out_of_range(bench: Any) -> None:
    found = bench.memory.allocate("out", data(64), writable=True)
    descriptor(bench, 8, found.base, 256)
    bench.set(1, np.where(NOW == 3, 12, 0x80000000))
    bench.set(2, 99)
    bench.run("buffer_store_dword v2, v1, s[8:11], 0 offen")
    assert found.words[3] == 99
    assert (np.delete(found.words, 3) == np.delete(data(64).view(np.uint32), 3)).all()


def test_records_beyond_the_allocation_do_not_hide_a_wrong_address(bench: Any) -> None:
    found = bench.memory.allocate("in", data(64))
    descriptor(bench, 8, found.base, 4096)
    bench.set(1, 4 * NOW + 4)
    with pytest.raises(MemoryFault):
        bench.run("buffer_load_dword v4, v1, s[8:11], 0 offen")


def test_stores_respect_lanes_and_read_only_memory(bench: Any) -> None:
    out = bench.memory.allocate("out", np.zeros(256, np.uint8), writable=True, defined=False)
    fixed = bench.memory.allocate("in", data(64))
    bench.set(1, 4 * NOW)
    bench.set(2, NOW)
    bench.wave.set_exec(0b101)
    bench.set_scalar(6, out.base & 0xFFFFFFFF, out.base >> 32)
    bench.run("global_store_dword v1, v2, s[6:7]")
    assert list(out.shadow_words[:4]) == [0, 0xFFFFFFFF, 0, 0xFFFFFFFF]
    assert list(out.words[[0, 2]]) == [0, 2]
    bench.set_scalar(6, fixed.base & 0xFFFFFFFF, fixed.base >> 32)
    with pytest.raises(MemoryFault, match="read-only"):
        bench.run("global_store_dword v1, v2, s[6:7]")


def test_undefined_data_marks_memory_undefined(bench: Any) -> None:
    out = bench.memory.allocate("out", np.zeros(256, np.uint8), writable=True)
    bench.set(1, 4 * NOW)
    bench.set_scalar(6, out.base & 0xFFFFFFFF, out.base >> 32)
    bench.run("global_store_dword v1, v9, s[6:7]")
    assert (out.shadow_words[:64] != 0).all()


def test_an_undefined_address_is_an_error(bench: Any) -> None:
    bench.set_scalar(6, 0, 0)
    with pytest.raises(UndefinedValue, match="v9"):
        bench.run("global_load_dword v7, v9, s[6:7]")


def test_bytes_of_a_loaded_dword_keep_their_own_shadow(bench: Any) -> None:
    found = bench.memory.allocate("in", data(64))
    found.shadow[1] = 0xFF
    found.clean = False
    bench.set(3, 4 * NOW)
    bench.set_scalar(6, found.base & 0xFFFFFFFF, found.base >> 32)
    bench.run("global_load_dword v7, v3, s[6:7]")
    bench.land()
    assert bench.wave.vu[7] == 1 << 64
    bench.run("v_mov_b32_e32 v8, v7")
    assert bench.wave.vu[8] == 1 << 64


def test_lds_round_trip_with_two_elements(bench: Any) -> None:
    bench.set(1, 8 * NOW)
    bench.set(2, NOW)
    bench.set(3, NOW + 100)
    bench.run("ds_write2_b32 v1, v2, v3 offset0:2 offset1:3", "ds_read_b64 v[4:5], v1 offset:8")
    bench.land()
    assert bench.ints(4) == list(range(64))
    assert bench.ints(5) == list(range(100, 164))


def test_lds_of_a_width_that_wants_alignment(bench: Any) -> None:
    bench.set(1, 4 * NOW)
    with pytest.raises(MemoryFault, match="aligned"):
        bench.run("ds_read_b64 v[4:5], v1")


def test_lds_outside_the_workgroup_is_an_error(bench: Any) -> None:
    bench.set(1, 4 * NOW + 4096)
    with pytest.raises(MemoryFault, match="LDS dword"):
        bench.run("ds_read_b32 v4, v1")


def test_lds_that_nobody_wrote_is_undefined(bench: Any) -> None:
    bench.set(1, 4 * NOW)
    bench.run("ds_read_b32 v4, v1")
    bench.land()
    assert bench.undefined(4) == 2**64 - 1


def test_load_straight_to_lds(bench: Any) -> None:
    found = bench.memory.allocate("in", data(1024))
    descriptor(bench, 8, found.base, 4096)
    bench.set(1, 16 * (63 - NOW))
    bench.set_scalar(124, 256)
    bench.wave.set_exec((1 << 64) - 2)
    bench.run("buffer_load_dwordx4 v1, s[8:11], 0 offen lds")
    bench.land()
    words = data(1024).view(np.uint32)
    assert (bench.lds.words[64 + 4 : 64 + 8] == words[4 * 62 : 4 * 63]).all()
    assert bench.lds.undefined[64:68].all()  # lane 0 was off


def test_reading_lds_before_the_load_to_it_is_waited_for(bench: Any) -> None:
    found = bench.memory.allocate("in", data(1024))
    descriptor(bench, 8, found.base, 4096)
    bench.set(1, 16 * NOW)
    bench.set_scalar(124, 0)
    bench.run("buffer_load_dwordx4 v1, s[8:11], 0 offen lds")
    with pytest.raises(MissingWait, match="in flight"):
        bench.run("ds_read_b128 v[4:7], v1")
    bench.land()
    bench.run("ds_read_b128 v[4:7], v1")


def test_two_waves_on_one_dword_without_a_barrier(bench: Any) -> None:
    other = Wave(1, bench.memory, bench.lds, 64)
    bench.set(1, 4 * NOW)
    bench.set(2, 5)
    bench.run("ds_write_b32 v1, v2")
    with pytest.raises(DataRace, match="wave 1 reads LDS dword 0"):
        bench.lds.load(np.array([[0]]), other.number)
    bench.lds.epoch += 1
    bench.lds.load(np.array([[0]]), other.number)
    with pytest.raises(DataRace, match="wave 0 writes"):
        bench.run("ds_write_b32 v1, v2")


def test_scratch_keeps_values_of_each_lane(bench: Any) -> None:
    bench.set(1, NOW * 3)
    bench.set(2, NOW * 5)
    bench.run(
        "scratch_store_dwordx2 off, v[1:2], off offset:8",
        "scratch_load_dword v4, off, off offset:12",
    )
    bench.land()
    assert bench.ints(4) == [lane * 5 for lane in range(64)]
    with pytest.raises(MemoryFault, match="scratch"):
        bench.run("scratch_load_dword v4, off, off offset:64")


def test_packed_bf16_addition_rounds_and_is_logged(bench: Any) -> None:
    start = np.array([1.0, 256.0] * 64, ml_dtypes.bfloat16)
    out = bench.memory.allocate("out", start.view(np.uint8), writable=True)
    addend = np.array([0.25, 1.0], ml_dtypes.bfloat16).view(np.uint32)[0]
    bench.set(1, 4 * NOW)
    bench.set(2, int(addend))
    bench.set_scalar(6, out.base & 0xFFFFFFFF, out.base >> 32)
    bench.run("global_atomic_pk_add_bf16 v1, v2, s[6:7]")
    result = out.data.view(ml_dtypes.bfloat16)
    assert result[0] == np.float32(1.25)
    assert result[1] == np.float32(256.0)  # 257 needs nine bits: ties to even
    assert out.atomics.values[0][0] == addend


def test_atomics_of_lanes_on_one_dword_all_count(bench: Any) -> None:
    out = bench.memory.allocate("out", np.zeros(64, np.uint8), writable=True)
    bench.set(1, 0)
    bench.set(2, np.float32(1.5))
    bench.set_scalar(6, out.base & 0xFFFFFFFF, out.base >> 32)
    bench.run("global_atomic_add_f32 v1, v2, s[6:7]")
    assert out.data[:4].view(np.float32)[0] == 96.0


def test_lds_addresses_wrap_at_32_bits(bench: Any) -> None:
    bench.set(1, 4 * NOW)
    bench.set(2, NOW)
    bench.run("ds_write_b32 v1, v2")
    bench.set(3, -4 * NOW)
    bench.run("ds_read_b32 v4, v3 offset:252")
    bench.land()
    assert bench.ints(4) == [63 - lane for lane in range(64)]
