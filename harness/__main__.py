"""The command: an interrupt during its import also ends it with the right exit code."""

import sys

from harness.error import UsageError, reject_windows
from harness.execution.interrupt import interruptible


def main() -> None:
    """Import the command and run it."""
    try:
        reject_windows(sys.platform)
    except UsageError as error:
        print(f"harness: {error}", file=sys.stderr)  # noqa: T201 - the command line cannot be imported
        sys.exit(2)
    with interruptible() as interrupt:
        try:
            from harness.cli import main as command
        except KeyboardInterrupt:
            sys.exit(interrupt.exit_code(130))
        command()


if __name__ == "__main__":
    main()
