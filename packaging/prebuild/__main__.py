"""``python -m prebuild``: the same as the command ``prebuild``."""

from __future__ import annotations

from prebuild.cli.main import main

main()
