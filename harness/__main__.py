"""The command: an interrupt during its import also ends it with the right exit code."""

from functools import partial

from harness.execution.interrupt import run_command

main = partial(run_command, "harness.cli")
"""Import the command and run it."""

if __name__ == "__main__":
    main()
