"""Whose rules answer, and what of the host and of the environment they read."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from aiter_prebuilt import generations, target
from aiter_prebuilt.generations import Generation
from aiter_prebuilt.values import value_class


@value_class(frozen=True, kw_only=True)
class Rules:
    """Whose rules answer, and what of the host and of the environment they read."""

    generation: Generation
    flydsl: bool
    """Whether the FlyDSL package is installed."""
    cu_count: int
    """Compute units that the process sees, AITER's ``cu_num``; ``CU_NUM`` comes before."""
    gives_1x128: bool = False
    """Whether the caller names block scales per_1x128; vLLM and SGLang say per_128x128."""
    ksplit: int = 0
    """``AITER_KSPLIT``; 0 leaves the split of K to AITER."""
    bypass: bool = False
    """``AITER_BYPASS_TUNE_CONFIG``: rows are found and not used."""
    flydsl_force: bool = True
    """``AITER_FLYDSL_FORCE``: FlyDSL for MXFP4 of any activation."""
    swiglu_bound: int | None = None
    """``GPTOSS_SWIGLU_MXFP4_BF16_BOUND``; None: AITER's own bound."""
    online_tune: bool = False
    """``AITER_ONLINE_TUNE``: a batch that no row answers is tuned at its first call."""


def every_rules() -> Iterator[Rules]:
    """Yield all that a wheel has to serve: each generation, with FlyDSL and without."""
    known = generations.load().generations.values()
    for generation, flydsl in itertools.product(known, (True, False)):
        yield Rules(generation=generation, flydsl=flydsl, cu_count=target.load().cu_count)
