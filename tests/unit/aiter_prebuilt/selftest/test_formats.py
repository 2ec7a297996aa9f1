from __future__ import annotations

import hashlib
import math

import ml_dtypes
import numpy as np
import pytest

from aiter_prebuilt.selftest import formats
from aiter_prebuilt.selftest.formats import FORMATS, OUT_FORMATS, stream

DTYPES = {
    "f8": ml_dtypes.float8_e4m3fn,
    "i4": np.int8,
    "b16": ml_dtypes.bfloat16,
    "f16": np.float16,
}
RAW = stream(3, "test", 1 << 16)


def test_bytes_are_those_of_the_standards_function() -> None:
    assert stream(1, "a/b", 4) == hashlib.shake_128(b"1/a/b").digest(4) == b"\xacu]\xdf"


@pytest.mark.parametrize("name", sorted(DTYPES))
def test_decoding_is_ml_dtypes(name: str) -> None:
    data = FORMATS[name].draw(RAW, 0.3)
    want = np.frombuffer(data, DTYPES[name]).astype(np.float64)
    assert FORMATS[name].decode(data) == want.tolist()


def test_fp4_is_two_a_byte_low_nibble_first() -> None:
    every = bytes(range(256))
    nibbles = np.array([[byte & 15, byte >> 4] for byte in every], np.uint8).reshape(-1)
    want = nibbles.view(ml_dtypes.float4_e2m1fn).astype(np.float64)
    assert FORMATS["fp4x2"].decode(every) == want.tolist()


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_values_are_finite_and_many_and_of_the_size_that_is_said(name: str) -> None:
    form = FORMATS[name]
    values = form.decode(form.draw(RAW, 0.3))
    assert all(map(math.isfinite, values))
    assert len(set(values)) >= {"fp4x2": 15, "i4": 16, "f8": 253}.get(name, 900)
    rms = math.sqrt(sum(value * value for value in values) / len(values))
    assert rms == pytest.approx(0.3 if name in ("b16", "f16") else form.rms, rel=0.5)


@pytest.mark.parametrize("name", ["b16", "f16"])
def test_marks_are_nan_and_the_start_of_a_sum_is_negative_zero(name: str) -> None:
    form = OUT_FORMATS[name]
    assert math.isnan(form.decode(form.mark)[0])
    (zero,) = form.decode(formats.NEGATIVE_ZERO)
    assert math.copysign(1, zero) == -1
    assert zero == 0


def test_float32_rounding() -> None:
    assert formats.round_f32([0.1, 1.0]) == [float(np.float32(0.1)), 1.0]
