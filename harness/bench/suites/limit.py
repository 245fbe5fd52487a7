"""A limit of time on one call: for what hangs, or compiles for ever."""

from contextlib import AbstractContextManager

from harness.timing.alarm import alarm


def within(seconds: float, what: str) -> AbstractContextManager[None]:
    """Interrupt what runs for too long, where the system has an alarm.

    Raises
    ------
    TimeoutError
        Named after what took too long.
    """
    return alarm(seconds, lambda: TimeoutError(f"{what} took longer than {seconds:g} s"))
