"""Whole numbers as people write them."""

from __future__ import annotations

import re

NUMBER = re.compile(r"0{0,99}[1-9][0-9]{0,17}")
"""What ``str.isdigit`` takes for a number, ``int`` may not: a superscript, thousands of digits."""
