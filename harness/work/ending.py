"""How work came to its end: by itself, or early, with what was finished kept."""

from collections.abc import Sized
from types import TracebackType
from typing import Self

from harness.error import UsageError
from harness.record import Ended

INTERRUPTED = 130
"""Exit code of a command that was interrupted."""


class Ending:
    """A context around work of which whatever is finished is kept, however it ends.

    Parameters
    ----------
    kept
        Where what is finished is collected.

    Attributes
    ----------
    early
        How the work ended before its time, in words; empty where it did not.
    code
        The exit code that this asks for; ``None`` for that of what was finished.
    error
        Why the rest could not be done; to be raised again once what was finished has been kept and shown.

    Notes
    -----
    An interrupt ends it at any time. An error of the user's, such as a cluster that is gone, is passed on at once where
    nothing was finished.
    """

    def __init__(self, kept: Sized) -> None:
        self._kept = kept
        self.early = ""
        self.code: int | None = None
        self.error: UsageError | None = None

    @property
    def how(self) -> Ended:
        """How it ended, as the head of a run has it."""
        if self.error is not None:
            return Ended.FAILED
        if self.code == INTERRUPTED:
            return Ended.INTERRUPTED
        return Ended.STOPPED if self.early else Ended.FINISHED

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, _: object, error: BaseException | None, __: TracebackType | None) -> bool:
        """Note how it ended; only what is no way of ending early is raised."""
        if isinstance(error, KeyboardInterrupt):
            self.early, self.code = "interrupted", INTERRUPTED
            return True
        if isinstance(error, UsageError) and len(self._kept):
            self.early, self.error = "ended by an error", error
            return True
        return False

    def settle(self) -> None:
        """Raise what ended the work, once what was finished is safe.

        Raises
        ------
        UsageError
            The error.
        """
        if self.error is not None:
            raise self.error
