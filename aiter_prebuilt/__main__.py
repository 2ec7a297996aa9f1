"""``python -m aiter_prebuilt`` is ``aiter-prebuilt``."""

import sys

from aiter_prebuilt.tools.main import main

sys.exit(main())
