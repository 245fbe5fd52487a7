"""Watch the calls of an implementation for side effects: changed state and printed text."""

import io
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from ..record.fault import Fault
from . import compiler
from .state import SETTINGS, Setting, read, restored

THOROUGH = 2
"""Number of calls after which all settings are compared; later calls compare only the cheap ones."""

KEPT = 60
"""Most characters of printed output that a verdict quotes."""

PRINTS = "prints {}; return results instead of printing them"
"""Message for an implementation that prints."""

_limits: list[tuple[int, float]] = []
"""The process with limited calls, and their time limit in seconds; empty without a limit."""

_first: list[float] = []
"""Time limit of the next call in seconds, if it differs; otherwise empty."""


_compiling: list[float] = []
"""Seconds spent in a compiler, which are not counted; empty if compilation counts as part of the call."""


def limit_calls(seconds: float, first: float | None = None, compiling: float | None = None) -> None:
    """Raise SIGALRM in this process if a call, the first call or a compilation exceeds its time limit."""
    _limits[:] = [(os.getpid(), seconds)]
    _first[:] = [] if first is None else [first]
    if compiling is not None and not _compiling and compiler.tell(_give_compiler_time, _go_on):
        _compiling[:] = [compiling]


def _give_compiler_time() -> None:
    _set_running_timer(_compiling)


def _go_on() -> None:
    _set_running_timer([seconds for _, seconds in _limits])


def _set_running_timer(to: Sequence[float]) -> None:
    """Change the remaining time of a running call; outside of calls, no timer is started."""
    for seconds in to:
        if signal.getitimer(signal.ITIMER_REAL)[0] > 0.0:
            signal.setitimer(signal.ITIMER_REAL, seconds)


class Watch:
    """Notices the side effects of an implementation's calls.

    Parameters
    ----------
    draws
        Whether drawing global random numbers is noticed, as for a function of its inputs.

    Notes
    -----
    Changes are undone after each call, so that they affect neither laws nor later calls. If a call imports modules, the
    setup of a library at first use stays, and is no fault.
    """

    def __init__(self, *, draws: bool) -> None:
        self._all = [setting for setting in SETTINGS if draws or not setting.draws]
        self._quick = [setting for setting in self._all if not setting.costly]
        self._calls = 0
        self._heard = _Heard()
        self._text = io.TextIOWrapper(
            cast("BinaryIO", self._heard), encoding="utf-8", errors="replace", write_through=True
        )
        self.noticed: tuple[Fault, str] | None = None

    def call(self, action: Callable[[], Any]) -> Any:
        """Carry out a call and return its result."""
        looks = self._all if self._calls < THOROUGH else self._quick
        self._calls += 1
        streams = sys.stdout, sys.stderr
        modules, before = len(sys.modules), read(looks)
        sys.stdout = sys.stderr = self._text
        _start_timers()
        try:
            return action()
        finally:
            _stop_timers()
            replaced = sys.stdout is not self._text or sys.stderr is not self._text
            sys.stdout, sys.stderr = streams
            self._restore(looks, before, modules)
            if replaced:
                self._notice(Fault.STATE, "replaces sys.stdout or sys.stderr (restored)")
            if self._heard.text:
                self._notice(Fault.PRINTED, PRINTS.format(quoted(self._heard.text)))

    @contextmanager
    def law(self) -> Iterator[None]:
        """Watch all calls of a law, so that their changes are undone before the next law."""
        modules, before = len(sys.modules), read(self._all)
        try:
            with compiler.whatever_comes():
                yield
        finally:
            self._restore(self._all, before, modules)

    def _restore(self, settings: Sequence[Setting], before: Sequence[Any], modules: int) -> None:
        if changes := restored(settings, before, imported=len(sys.modules) > modules):
            self._notice(Fault.STATE, " and ".join(changes))

    def _notice(self, fault: Fault, sentence: str) -> None:
        if self.noticed is None:
            self.noticed = fault, sentence


class Trust(Watch):
    """Watches only the time: for shipped implementations and for very many calls."""

    def __init__(self) -> None:
        super().__init__(draws=False)

    def call(self, action: Callable[[], Any]) -> Any:
        """Carry out a call and return its result."""
        _start_timers()
        try:
            return action()
        finally:
            _stop_timers()

    @contextmanager
    def law(self) -> Iterator[None]:
        """Do nothing."""
        yield


@contextmanager
def limited() -> Iterator[None]:
    """Limit the time of other code of an implementation than its calls, such as the text of an exception."""
    _start_timers()
    try:
        yield
    finally:
        _stop_timers()


def _start_timers() -> None:
    for _, seconds in _limits:
        signal.setitimer(signal.ITIMER_REAL, _first.pop() if _first else seconds)


def _stop_timers() -> None:
    for process, _ in _limits:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        if os.getpid() != process:
            os._exit(0)  # a copy of the process, which the call has made; the original goes on


def quoted(text: bytes) -> str:
    """Quote the beginning of printed text."""
    line = " ".join(text.decode("utf-8", errors="replace").split())
    return f"`{line[:KEPT]}{'...' if len(line) > KEPT else ''}`"


class _Heard(io.BufferedIOBase):
    """A stream that keeps only the beginning of the text, so that endless printing fills no memory."""

    def __init__(self) -> None:
        super().__init__()
        self.text = b""

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: object) -> int:
        """Keep what fits."""
        written = bytes(data)  # type: ignore[call-overload]
        self.text += written[: max(0, 4 * KEPT - len(self.text))]
        return len(written)
