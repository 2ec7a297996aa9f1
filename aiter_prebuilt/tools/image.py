"""``doctor --image``: what an image build does before it is judged, as its server will later."""

from __future__ import annotations

import importlib

from aiter_prebuilt.errors import PrebuiltError
from aiter_prebuilt.host import facts, hip
from aiter_prebuilt.settings import Settings


class ImageError(PrebuiltError):
    """No server of this image could start."""


def settle(asked: Settings) -> None:
    """Import torch where it brings the HIP runtime, so that this very copy is judged.

    A build without a GPU can do so: torch looks for one at its first use.  Raises ImageError where
    torch cannot be imported.
    """
    if not hip.gather(facts.DEFAULT_RUNTIME, asked.library_path).torch_pending:
        return
    try:
        importlib.import_module("torch")
    except Exception as error:  # whatever it raises, the image is not one that serves
        message = f"torch is installed and cannot be imported: {error!r}"
        raise ImageError(f"{message}; expected an image whose torch starts") from error
