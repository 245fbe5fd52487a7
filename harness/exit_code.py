"""The exit codes of all commands."""

from enum import IntEnum
from typing import Self


class ExitCode(IntEnum):
    """The exit codes of all commands and their general meanings; the help of a command may be more specific."""

    meaning: str

    PASSED = 0, "everything holds, or fails as declared"
    FAILED = 1, "something is broken or got worse"
    NO_ANSWER = 2, "the question could not be answered"
    INCONCLUSIVE = 3, "a comparison is inconclusive, with --strict"
    HUNG_UP = 129, "terminated by SIGHUP; finished results are kept"
    INTERRUPTED = 130, "interrupted; finished results are kept"
    TERMINATED = 143, "terminated by SIGTERM; finished results are kept"

    def __new__(cls, code: int, meaning: str) -> Self:
        """Return a code with its meaning."""
        member = int.__new__(cls, code)
        member._value_, member.meaning = code, meaning
        return member
