"""Shell completion of ``aiter-prebuilt``, made from its own parser."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

SHELLS = ("bash", "zsh")

_SCRIPT = """\
_aiter_prebuilt() {
    local word="${COMP_WORDS[COMP_CWORD]}" words
    case "${COMP_WORDS[1]}" in
%s
        *) words="%s" ;;
    esac
    [ "$COMP_CWORD" = 1 ] && words="%s"
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _aiter_prebuilt aiter-prebuilt
"""


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Return what ``eval "$(aiter-prebuilt completion bash)"`` reads; zsh takes bash's way."""
    found = options(parser)
    cases = "\n".join(f'        {name}) words="{" ".join(found[name])}" ;;' for name in found)
    first = " ".join([*found, "--help", "--version"])
    head = "autoload -U +X bashcompinit && bashcompinit\n" if shell == "zsh" else ""
    return head + _SCRIPT % (cases, first, first)


def options(parser: argparse.ArgumentParser) -> Mapping[str, tuple[str, ...]]:
    """Return every command's long options, and what its arguments may be."""
    (commands,) = (
        action for action in parser._actions if isinstance(action, argparse._SubParsersAction)
    )
    return {
        name: tuple(
            word
            for action in command._actions
            for word in (*action.option_strings, *_choices(action))
            if not word.startswith("-") or word.startswith("--")
        )
        for name, command in commands.choices.items()
    }


def _choices(action: argparse.Action) -> tuple[str, ...]:
    positional = not action.option_strings and action.choices is not None
    return tuple(map(str, action.choices or ())) if positional else ()
