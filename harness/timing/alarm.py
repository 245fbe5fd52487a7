"""An alarm that interrupts code by an exception after a time limit."""

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType


@contextmanager
def alarm(limit_s: float, overdue: Callable[[], BaseException | None], *, interval_s: float = 0.0) -> Iterator[None]:
    """Raise an exception in the main thread when time is up, and restore the previous alarm afterwards.

    ``overdue`` creates the exception; ``None`` lets the code continue until the next alarm. It rings again after
    ``interval_s`` seconds, in case the code catches the first exception; zero for once. The alarm is SIGALRM: without
    this signal, or outside the main thread, nothing is interrupted, nor is an operation that never returns to the
    interpreter.
    """

    def ring(_: int, __: FrameType | None) -> None:
        if (error := overdue()) is not None:
            raise error

    try:
        before = signal.signal(signal.SIGALRM, ring)
    except (AttributeError, ValueError):  # no such signal here, or not in the main thread
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, limit_s, interval_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def within(seconds: float, operation: str) -> AbstractContextManager[None]:
    """Interrupt code that exceeds its time with a ``TimeoutError``, on systems with an alarm."""
    return alarm(seconds, lambda: TimeoutError(f"{operation} took longer than {seconds:g} s"))
