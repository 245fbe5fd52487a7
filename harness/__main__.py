"""The command: an interrupt during its import also ends it with the right exit code."""

import os
import sys

from harness.execution.interrupt import ignore_signals, run_command

STREAMS = (("stdin", os.O_RDONLY), ("stdout", os.O_WRONLY), ("stderr", os.O_WRONLY))
"""The standard streams in order of their descriptors."""


def main() -> None:
    """Import the command and run it."""
    replace_closed_streams()
    try:
        run_command("harness.cli")
    finally:
        ignore_signals()


def replace_closed_streams() -> None:
    """Connect each standard stream that the caller has closed with the null device.

    Otherwise the next opened file, such as the connection to user code, gets the descriptor of the stream, and text for
    the terminal goes there.
    """
    for descriptor, (name, flags) in enumerate(STREAMS):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, flags)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)
            os.set_inheritable(descriptor, True)  # noqa: FBT003 - the name says it
            mode = "r" if flags == os.O_RDONLY else "w"
            stream = open(descriptor, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 - to the end
            setattr(sys, name, stream)


if __name__ == "__main__":
    if not sys.flags.safe_path:
        # `python -m` puts the working directory first, with user files that would replace modules imported later.
        del sys.path[0]
    main()
