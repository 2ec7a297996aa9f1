from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiter_prebuilt.errors import BinaryError
from aiter_prebuilt.wheel.bundle import gpu_targets
from tests.integration.runtime.sitemaker import bundle


def test_targets_of_one_bundle() -> None:
    assert gpu_targets(bundle("gfx950", "gfx942")) == {"gfx950", "gfx942"}


def test_all_bundles_have_to_hold_a_target() -> None:
    section = bundle("gfx950", "gfx942").ljust(8192, b"\0") + bundle("gfx950")
    assert gpu_targets(section) == {"gfx950"}


def test_features_of_a_target_are_left_off() -> None:
    section = bundle("gfx90a:sramecc+")
    assert gpu_targets(section) == {"gfx90a"}


@pytest.mark.parametrize(
    ("section", "code"),
    [
        (b"", "bundle-missing"),
        (b"\0" * 5000, "bundle-missing"),
        (b"CCOB" + b"\1" * 100, "bundle-compressed"),
        (bundle("gfx950")[:40], "bundle-damaged"),
        (bundle("gfx950")[:-1], "bundle-damaged"),
        (b"__CLANG_OFFLOAD_BUNDLE__" + b"\xff" * 8, "bundle-damaged"),
    ],
)
def test_what_cannot_be_told(section: bytes, code: str) -> None:
    with pytest.raises(BinaryError) as caught:
        gpu_targets(section)
    assert caught.value.code == code


@given(st.binary(max_size=300), st.integers(0, 4000))
def test_any_bytes_give_targets_or_a_binary_error(data: bytes, cut: int) -> None:
    whole = bundle("gfx950")
    try:
        found = gpu_targets(whole[:cut] + data + whole[cut + len(data) :])
    except BinaryError:
        return
    assert isinstance(found, frozenset)
