"""``python -m aiter_prebuilt`` is ``aiter-prebuilt``."""

import sys

from aiter_prebuilt.tools.cli import main

sys.exit(main())
