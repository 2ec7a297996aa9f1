"""LLVM IR as text, made readable for an older LLVM: what it does not know is dropped by name.

Text and not bitcode: in bitcode an attribute is a number that two LLVMs may give to different
attributes, in text a name that means one thing.  Only the groups (``attributes #7 = {...}``) are
edited: they hold the attributes of functions and calls.  An attribute that is unknown anywhere
else makes the reader fail.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Set
from dataclasses import dataclass

_GROUP = re.compile(r"^(attributes #\d+ = \{ )(.*)( \})$")
# A text attribute ("key"="value"), or a named one with what it may carry (memory(none), align=4).
_TOKEN = re.compile(r'"[^"]*"(?:="[^"]*")?|[a-z_]\w*(?:\([^()]*(?:\([^()]*\)[^()]*)*\))?(?:=\d+)?')
_SPACED = re.compile(rf"({_TOKEN.pattern}) ?")
_FEATURES = re.compile(r'("target-features"=")([^"]*)(")')


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """What may be dropped from clang's IR, by name; nothing else is."""

    attributes: Set[str] = frozenset()
    features: Set[str] = frozenset()


def attribute_names(lines: Iterable[str]) -> frozenset[str]:
    """Return the named attributes of all groups, without what they carry."""
    groups = filter(None, map(_GROUP.match, lines))
    return frozenset(
        re.split(r"[(=]", token)[0]
        for group in groups
        for token in _TOKEN.findall(group[2])
        if not token.startswith('"')
    )


def edited(lines: Iterable[str], dropped: Dropped) -> list[str]:
    """Return the lines without what is dropped; every other line as it is."""
    return [_edited(line, dropped) for line in lines]


def _edited(line: str, dropped: Dropped) -> str:
    group = _GROUP.match(line)
    if group is None:
        return line
    # What is no token of ours stays as well: the LLVM that reads it says what is wrong with it.
    kept = _SPACED.sub(lambda found: "" if found[1] in dropped.attributes else found[0], group[2])
    kept = _FEATURES.sub(lambda found: _without(found, dropped.features), kept)
    return f"{group[1]}{kept}{group[3]}"


def _without(found: re.Match[str], features: Set[str]) -> str:
    kept = [name for name in found[2].split(",") if name.lstrip("+-") not in features]
    return f"{found[1]}{','.join(kept)}{found[3]}"
