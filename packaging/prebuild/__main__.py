"""What the command ``prebuild`` starts, and ``python -m prebuild``."""

from __future__ import annotations

import signal


def main() -> None:
    """Import the command line, then run it.

    Importing takes a third of a second, in which there is nothing to tidy: an interrupt ends the
    process as it ends any program, and a traceback of imports would tell nobody anything.
    """
    quiet = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # nohup's stays ignored
    if quiet:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from prebuild.cli.main import main as run

    if quiet:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
