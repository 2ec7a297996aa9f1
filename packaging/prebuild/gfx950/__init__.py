"""A functional executor of gfx950 machine code; docs/numerics.md says what it models."""

from __future__ import annotations

EXECUTOR_VERSION = "4"
"""Raised whenever a verdict of an older executor may differ: part of the cache key of a verdict."""
