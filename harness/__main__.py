"""The command: an interrupt during its import also ends it with the right exit code."""

import sys
from functools import partial

from harness.execution.interrupt import run_command

main = partial(run_command, "harness.cli")
"""Import the command and run it."""

if __name__ == "__main__":
    if not sys.flags.safe_path:
        # `python -m` puts the working directory first, with user files that would replace modules imported later.
        del sys.path[0]
    main()
