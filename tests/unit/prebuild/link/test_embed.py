from __future__ import annotations

from prebuild.core import identity
from prebuild.link.embed import assembly


def test_every_kernel_has_bundle_symbol_and_handle() -> None:
    text = assembly({"first.main_even": "_Zone", "second.main_odd": "_Ztwo"})
    for position, (kernel, symbol) in enumerate(
        [("first.main_even", "_Zone"), ("second.main_odd", "_Ztwo")]
    ):
        handle = identity.kernel_handle(kernel)
        assert f'.incbin "{position}.hipfb"' in text
        assert f'.asciz "{symbol}"' in text
        assert f".quad bundle_{position}, {handle}, symbol_{position}" in text
        assert f".hidden {handle}" in text
    assert text.count(".p2align 12") == 2
    assert "aiter_prebuilt_kernel_count:\n.quad 2" in text
    assert "/" not in text.replace("@progbits", "").replace(",@", "")
