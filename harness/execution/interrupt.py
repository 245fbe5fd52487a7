"""Ctrl-C, SIGTERM and SIGHUP become a ``KeyboardInterrupt``; the finished results of interrupted work are kept.

``harness.__main__`` imports this module before all others, so it imports records only where it needs them.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Self

from harness.error import UsageError, reject_windows

if TYPE_CHECKING:
    from harness.record import Ended

SIGNALS = tuple(number for number in signal.Signals if number.name in {"SIGINT", "SIGTERM", "SIGHUP"})
"""The signals that interrupt a command; Windows has no SIGHUP, and is refused later."""

REPEAT_S = 0.05
"""Seconds after which an interrupt that was lost is raised once more."""


@dataclass
class Interrupt:
    """The signal that ends a command.

    Attributes
    ----------
    received
        The last signal; ``None`` without one.
    is_lost
        Whether Python dropped the exception, and it was not raised again yet.
    """

    received: signal.Signals | None = None
    is_lost: bool = False

    def exit_code(self, code: str | int | None) -> str | int | None:
        """Return the exit code of a command: after a signal, the code of the signal.

        An interrupted command ends with 130 by default. A command that finished before a lost interrupt could be raised
        again counts as interrupted.
        """
        if self.received is not None and (code == _compute_code(signal.SIGINT) or (self.is_lost and not code)):
            return _compute_code(self.received)
        return code


@dataclass
class _Uninterruptible:
    """State of a delay: whether interrupts must wait, and the interrupt that waits."""

    is_under_way: bool = False
    pending: signal.Signals | None = None


_uninterruptible = _Uninterruptible()


@contextmanager
def uninterruptible() -> Iterator[None]:
    """Delay an interrupt until the end of the body, so that storing and counting a result are one step.

    The body must be short and without another such body.
    """
    _uninterruptible.is_under_way = True
    try:
        yield
    finally:
        _uninterruptible.is_under_way = False
        number, _uninterruptible.pending = _uninterruptible.pending, None
        if number is not None:
            signal.raise_signal(number)


def _compute_code(number: signal.Signals) -> int:
    """Return the exit code of a shell for a signal: 130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP."""
    return 128 + number


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Raise ``KeyboardInterrupt`` in the body at one of the signals, and restore the handlers afterwards.

    Yields
    ------
    interrupt
        The signal that came.

    Notes
    -----
    A script starts background commands with SIGINT ignored, and Python keeps that. An interrupt would then reach
    neither the command nor its processes. An ignored SIGHUP stays ignored, because ``nohup`` means it. Only the main
    thread can set handlers; in other threads nothing changes.

    Python drops exceptions in destructors and in callbacks of weak references or of the garbage collector, and calls
    ``sys.unraisablehook``. Such an interrupt would be lost, for example in torch's loader iterator. It is raised again
    a moment later, until it has an effect.

    A forked process inherits the handlers. SIGINT raises ``KeyboardInterrupt`` there, too. The others end that process
    at once.
    """
    interrupt, command = Interrupt(), os.getpid()

    def raise_interrupt(number: int, _: FrameType | None) -> None:
        if number != signal.SIGINT and os.getpid() != command:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        if _uninterruptible.is_under_way:
            _uninterruptible.pending = signal.Signals(number)
            return
        interrupt.received, interrupt.is_lost = signal.Signals(number), False
        raise KeyboardInterrupt(signal.Signals(number))

    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    is_detached = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    handled = [number for number in SIGNALS if not (is_detached and number == signal.SIGHUP)]
    before = {number: signal.signal(number, raise_interrupt) for number in handled}
    try:
        with _repeat_interrupt(interrupt):
            yield interrupt
    finally:
        for number, handler in before.items():
            # A handler that Python did not set, which it gives as ``None``, it cannot set again either.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextmanager
def _repeat_interrupt(interrupt: Interrupt) -> Iterator[None]:
    """Send the main thread its signal again, a moment after Python dropped the interrupt that it became."""
    before, main = sys.unraisablehook, threading.get_ident()
    timers: list[threading.Timer] = []

    def dropped(what: "sys.UnraisableHookArgs") -> None:
        number = interrupt.received
        if number is None or not issubclass(what.exc_type, KeyboardInterrupt):
            before(what)
            return
        interrupt.is_lost = True
        timers.append(threading.Timer(REPEAT_S, signal.pthread_kill, (main, number)))
        timers[-1].daemon = True
        timers[-1].start()

    sys.unraisablehook = dropped
    try:
        yield
    finally:
        sys.unraisablehook = before
        for timer in timers:
            timer.cancel()


INTERRUPTED = 130
"""Exit code of a command that was interrupted."""


def run_command(module: str) -> None:
    """Import the module of the command and run it; an interrupt during the import ends the process in order."""
    try:
        reject_windows(sys.platform)
    except UsageError as error:
        print(f"harness: {error}", file=sys.stderr)  # noqa: T201 - the command line cannot be imported
        sys.exit(2)
    with interruptible() as interrupt:
        try:
            import_module(module).main()
        except KeyboardInterrupt:
            sys.exit(interrupt.exit_code(INTERRUPTED))


def ignore_signals() -> None:
    """Let a command that has ended keep its exit code while Python and the libraries of torch clean up."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


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
    def how(self) -> "Ended":
        """The way it ended, for the head of a run."""
        from harness.record import Ended

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
