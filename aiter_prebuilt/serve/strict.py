"""``AITER_PREBUILT=strict``: the error in the place of a compile, and what it does not cover."""

from __future__ import annotations

from aiter_prebuilt.errors import StrictMissError

SCOPE = (
    "strict speaks of CK2stages modules alone: what AITER compiles for its other back ends "
    "(CK-Tile, FlyDSL, attention) it does not stop"
)


def miss(stock_name: str, why: str) -> StrictMissError:
    """Return the error for a module that cannot be served, with the way out."""
    return StrictMissError(
        f"AITER_PREBUILT=strict and {stock_name} cannot be served prebuilt: {why}. "
        f"{_way_out(stock_name)}; {SCOPE}",
        name=stock_name,
    )


def _way_out(stock_name: str) -> str:
    if stock_name.rstrip("_").endswith("_splitk"):
        return (
            "Split-K modules need a newer composable kernel than ROCm 7.2's: build a wheel with "
            "your AITER's (make wheel ... AITER=PATH), pack AITER's own build of it with "
            "`prebuild harvest`, or set AITER_PREBUILT=auto to let AITER compile it"
        )
    return "`aiter-prebuilt doctor` says what is in the way; AITER_PREBUILT=auto lets AITER compile"
