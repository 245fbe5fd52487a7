"""How work ends: completely, or early with the finished results kept."""

from collections.abc import Sized
from types import TracebackType
from typing import Self

from harness.error import UsageError
from harness.record import Ended

INTERRUPTED = 130
"""Exit code of a command that was interrupted."""


class Ending:
    """A context for work whose finished results are kept in any case.

    Parameters
    ----------
    kept
        Collection of the finished results.

    Attributes
    ----------
    early
        Reason of an early end; empty otherwise.
    code
        Exit code of an early end; ``None`` otherwise.
    error
        Error to raise after the finished results have been stored and shown.

    Notes
    -----
    An interrupt may come at any time. A usage error, such as a lost cluster, is raised at once if nothing has finished.
    """

    def __init__(self, kept: Sized) -> None:
        self._kept = kept
        self.early = ""
        self.code: int | None = None
        self.error: UsageError | None = None

    @property
    def how(self) -> Ended:
        """How it ended, for the head of a run."""
        if self.error is not None:
            return Ended.FAILED
        if self.code == INTERRUPTED:
            return Ended.INTERRUPTED
        return Ended.STOPPED if self.early else Ended.FINISHED

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, _: object, error: BaseException | None, __: TracebackType | None) -> bool:
        """Store how the work ended, and raise all other errors."""
        if isinstance(error, KeyboardInterrupt):
            self.early, self.code = "interrupted", INTERRUPTED
            return True
        if isinstance(error, UsageError) and len(self._kept):
            self.early, self.error = "ended by an error", error
            return True
        return False

    def settle(self) -> None:
        """Raise the error that ended the work after the finished results are safe."""
        if self.error is not None:
            raise self.error
