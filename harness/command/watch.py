"""The option ``--watch``: do something again each time a file is saved."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

from harness.command.options import say
from harness.error import UsageError
from harness.exit_code import ExitCode

WAIT_S = 0.1
"""Longest delay in seconds until a save is noticed."""


def run_on_change(target: str, checked: Callable[[], int], *, until: int | None = None) -> int:
    """Check now and after each save of the file, until interrupted or until an exit code; return the last one."""
    file = Path(target.partition(":")[0])
    if not target.partition(":")[2] or file.suffix != ".py":
        raise UsageError(f"cannot watch `{target}`", rule="`--watch` needs `file.py:function`")
    seen, code = _get_stamp(file), _check_and_survive(checked)
    try:
        while code not in {until, ExitCode.INTERRUPTED}:
            say(f"watching {file}; press Ctrl-C to stop")
            while (stamp := _get_stamp(file)) in {seen, None}:
                time.sleep(WAIT_S)
            seen, code = stamp, _check_and_survive(checked)
    except KeyboardInterrupt as interrupt:
        # Ctrl-C is the usual end of a watch; other signals end the command.
        if {*interrupt.args} - {signal.SIGINT}:
            raise
    return code


def _get_stamp(file: Path) -> tuple[int, int] | None:
    """Return values that change when a file is saved; ``None`` while it does not exist."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size


def _check_and_survive(checked: Callable[[], int]) -> int:
    """Check once; print a usage error, such as a syntax error in the file, and keep watching."""
    try:
        return checked()
    except UsageError as error:
        say(f"harness: {error}")
        return ExitCode.NO_ANSWER
