"""Prebuilt CK2stages MoE modules of AITER for gfx950, and the finder that serves them.

Importing this package loads neither torch nor aiter nor anything outside the standard library.
"""
