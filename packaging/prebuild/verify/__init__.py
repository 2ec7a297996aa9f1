"""Runs the kernels of a module on small MoE problems and compares with an exact reference."""

from __future__ import annotations
