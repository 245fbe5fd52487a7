"""An alarm: what is run within a limit of time is interrupted by an exception, wherever it is by then."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def alarm(limit_s: float, overdue: Callable[[], BaseException | None], *, again_s: float = 0.0) -> Iterator[None]:
    """Raise in the main thread when time is up, and give the alarm back to whoever had it before.

    Parameters
    ----------
    limit_s
        Seconds for what is done within.
    overdue
        Makes what is raised when time is up; ``None`` where it is to go on until the alarm rings again.
    again_s
        The alarm rings again so many seconds later, and so on, should the code that hangs have caught the first; zero
        for once.

    Notes
    -----
    Time is kept by the signal SIGALRM. Where there is none, or outside the main thread, nothing is interrupted; nor is
    an operation that never returns to the interpreter.
    """

    def ring(_: int, __: FrameType | None) -> None:
        if (error := overdue()) is not None:
            raise error

    try:
        before = signal.signal(signal.SIGALRM, ring)
    except (AttributeError, ValueError):  # no such signal here, or not in the main thread
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, limit_s, again_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
