"""The command: an interrupt during its import also ends it with the right exit code."""

import sys

from harness.execution.interrupt import interruptible


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
