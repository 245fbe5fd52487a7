"""How a command is told to end: Ctrl-C and SIGTERM alike become a ``KeyboardInterrupt``."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass
class Interrupt:
    """Which signal has told a command to end.

    Attributes
    ----------
    received
        The last one; ``None`` where none came.
    """

    received: signal.Signals | None = None

    def exit_code(self, code: str | int | None) -> str | int | None:
        """Return the exit code of a command that ends with ``code``: where that is SIGINT's, the code of the signal.

        A command that was interrupted ends with 130, whichever signal it was that became the interrupt.
        """
        if self.received is not None and code == _code(signal.SIGINT):
            return _code(self.received)
        return code


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

    A process that is forked in the body inherits the handlers. SIGINT is a ``KeyboardInterrupt`` there too, as Python
    has it; SIGTERM is meant for that process alone, by whoever started it, and ends it at once.
    """
    interrupt, command = Interrupt(), os.getpid()

    def interrupted(number: int, _: FrameType | None) -> None:
        if number == signal.SIGTERM and os.getpid() != command:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.raise_signal(signal.SIGTERM)
        interrupt.received = signal.Signals(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = {number: signal.signal(number, interrupted) for number in SIGNALS}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            # A handler that Python did not set, which it gives as ``None``, it cannot set again either.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
