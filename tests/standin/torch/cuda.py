# ruff: noqa: ARG001
"""One GPU, unless STANDIN_NO_GPU is set."""

import os
from types import SimpleNamespace


def is_available():
    return "STANDIN_NO_GPU" not in os.environ


def init():
    pass


def is_initialized():
    return True


def device_count():
    return 1


def get_device_properties(index):
    return SimpleNamespace(gcnArchName="gfx950:sramecc+:xnack-")


def synchronize():
    pass
