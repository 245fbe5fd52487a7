"""How a command is told to end: Ctrl-C and SIGTERM alike become a ``KeyboardInterrupt``."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)

AGAIN_S = 0.05
"""Seconds after which an interrupt that was lost is raised once more."""


@dataclass
class Interrupt:
    """Which signal has told a command to end.

    Attributes
    ----------
    received
        The last one; ``None`` where none came.
    is_lost
        Whether it was raised where Python drops what is raised, and was not raised again so far.
    """

    received: signal.Signals | None = None
    is_lost: bool = False

    def exit_code(self, code: str | int | None) -> str | int | None:
        """Return the exit code of a command that ends with ``code``: where that is SIGINT's, the code of the signal.

        A command that was interrupted ends with 130, whichever signal it was that became the interrupt. One that ended
        well before a lost interrupt could be raised again was interrupted too.
        """
        if self.received is not None and (code == _code(signal.SIGINT) or (self.is_lost and not code)):
            return _code(self.received)
        return code


@dataclass
class _Undivided:
    """Whether an interrupt is to wait, and which one does."""

    is_under_way: bool = False
    waiting: signal.Signals | None = None


_undivided = _Undivided()


@contextmanager
def undivided() -> Iterator[None]:
    """Have an interrupt wait for the end of the body: what is kept and what is counted are one step, or none.

    The body is short, and has none of these in it.
    """
    _undivided.is_under_way = True
    try:
        yield
    finally:
        _undivided.is_under_way = False
        number, _undivided.waiting = _undivided.waiting, None
        if number is not None:
            signal.raise_signal(number)


def _code(number: signal.Signals) -> int:
    """As shells number the ends by signals: 130 for SIGINT, 143 for SIGTERM."""
    return 128 + number


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Raise ``KeyboardInterrupt`` in the body at a SIGINT or a SIGTERM, whatever either was to do before.

    Yields
    ------
    interrupt
        Which signal came.

    Notes
    -----
    What a script starts in the background inherits that SIGINT is ignored, and Python then leaves it so: an interrupt
    would reach neither the command nor a process that it starts. The handlers that were set before are set again at
    the end. Outside the main thread, which alone may set handlers, nothing is changed.

    Python drops what is raised in a destructor, in a callback of a weak reference or of the garbage collector, and
    tells ``sys.unraisablehook``: an interrupt that meets one, as torch's of a loader's iterator, would be lost. It is
    raised again a moment later, until it meets something else.

    A process that is forked in the body inherits the handlers. SIGINT is a ``KeyboardInterrupt`` there too, as Python
    has it; SIGTERM is meant for that process alone, by whoever started it, and ends it at once.
    """
    interrupt, command = Interrupt(), os.getpid()

    def interrupted(number: int, _: FrameType | None) -> None:
        if number == signal.SIGTERM and os.getpid() != command:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.raise_signal(signal.SIGTERM)
        if _undivided.is_under_way:
            _undivided.waiting = signal.Signals(number)
            return
        interrupt.received, interrupt.is_lost = signal.Signals(number), False
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = {number: signal.signal(number, interrupted) for number in SIGNALS}
    try:
        with _raised_again(interrupt):
            yield interrupt
    finally:
        for number, handler in before.items():
            # A handler that Python did not set, which it gives as ``None``, it cannot set again either.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextmanager
def _raised_again(interrupt: Interrupt) -> Iterator[None]:
    """Send the main thread its signal again, a moment after Python dropped the interrupt that it became."""
    before, main = sys.unraisablehook, threading.get_ident()
    timers: list[threading.Timer] = []

    def dropped(what: "sys.UnraisableHookArgs") -> None:
        number = interrupt.received
        if number is None or not issubclass(what.exc_type, KeyboardInterrupt):
            before(what)
            return
        interrupt.is_lost = True
        timers.append(threading.Timer(AGAIN_S, signal.pthread_kill, (main, number)))
        timers[-1].daemon = True
        timers[-1].start()

    sys.unraisablehook = dropped
    try:
        yield
    finally:
        sys.unraisablehook = before
        for timer in timers:
            timer.cancel()
