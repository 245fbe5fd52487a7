"""A time limit on one call, for calls that hang or compile forever."""

from contextlib import AbstractContextManager

from harness.timing.alarm import alarm


def within(seconds: float, what: str) -> AbstractContextManager[None]:
    """Interrupt code that exceeds its time with a ``TimeoutError``, on systems with an alarm."""
    return alarm(seconds, lambda: TimeoutError(f"{what} took longer than {seconds:g} s"))
