"""The command, from its first moment on: what interrupts it while it is imported ends it in order too."""

import sys

from harness.work.interrupt import interruptible


def main() -> None:
    """Import the command and run it."""
    with interruptible() as interrupt:
        try:
            from harness.cli import main as command
        except KeyboardInterrupt:
            sys.exit(interrupt.exit_code(130))
        command()


if __name__ == "__main__":
    main()
