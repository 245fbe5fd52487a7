"""Deaths of workers.

When a worker dies, torch's signal handler raises an error wherever the main thread is at that moment. In a destructor,
Python drops the error; at the end of a block, it takes the place of the one that is being handled. Here, the error is
kept, and is raised only in functions that the block calls.
"""

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from torch.utils.data._utils.signal_handling import _set_SIGCHLD_handler

_LATEST_S = 1.0
"""Maximum seconds between a broken connection and the end of its process."""

_ROOT = __name__.removesuffix(".loading.deaths")  # the process of a loader has another one
_OUTSIDE = {"contextlib", f"{_ROOT}.loading.fault", f"{_ROOT}.timing.alarm", __name__}
"""Modules with the functions that begin and end a block."""

_LOADER = "torch.utils.data.dataloader"
_WAITING = {"multiprocessing.queues", "queue"}
"""Modules in which a loader waits. Elsewhere, it opens files to explain an error, and an interrupt leaves them open."""


class Deaths:
    """The deaths of workers during a block.

    Parameters
    ----------
    block
        Frame of the block; without it, no error is raised.

    Attributes
    ----------
    first
        What torch says about the first one; ``None`` if there is none.
    """

    def __init__(self, block: FrameType | None) -> None:
        self.first: RuntimeError | None = None
        before: Any = signal.getsignal(signal.SIGCHLD)
        self._check: Any = before._check if isinstance(before, Deaths) else before
        self._block = block

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Let torch check its workers; this is the signal handler."""
        if not callable(self._check):
            return
        try:
            self._check(number, frame)
        except RuntimeError as said:
            self.first = self.first or said
            if self._is_called_by_block(frame):
                raise

    def look(self) -> RuntimeError | None:
        """Let torch check its workers now: it may have looked before the process could be waited for."""
        self(signal.SIGCHLD, None)
        return self.first

    def cause(self, error: Exception) -> Exception:
        """Return what torch says about a dead worker, if the error follows from its death."""
        until = time.monotonic() + _LATEST_S
        broken = isinstance(error, OSError | EOFError) or "ancillary data" in str(error)
        while broken and self.look() is None and time.monotonic() < until:
            time.sleep(0.01)
        follows = broken or (isinstance(error, RuntimeError) and "DataLoader worker" in str(error))
        return self.first if follows and self.first is not None else error

    def _is_called_by_block(self, frame: FrameType | None) -> bool:
        modules = []
        while frame is not None and frame is not self._block:
            modules.append(frame.f_globals.get("__name__"))
            frame = frame.f_back
        if frame is None or not modules or modules[-1] in _OUTSIDE:
            return False
        in_loader = modules[: modules.index(_LOADER)] if _LOADER in modules else None
        return in_loader is None or not _WAITING.isdisjoint(in_loader)


@contextmanager
def heard() -> Iterator[Deaths]:
    """Note the deaths of workers during a block."""
    block: FrameType | None = sys._getframe()
    while block is not None and block.f_globals.get("__name__") in _OUTSIDE:
        block = block.f_back
    with _handled(block) as deaths:
        yield deaths


@contextmanager
def ignored() -> Iterator[None]:
    """Ignore the deaths of workers that are ended on purpose."""
    with _handled(None) as deaths:
        try:
            yield
        finally:
            while deaths.look() is not None:  # torch names one loader at a time
                deaths.first = None


@contextmanager
def _handled(block: FrameType | None) -> Iterator[Deaths]:
    """Take the place of torch's handler, in the main thread; torch reports no deaths to others."""
    _set_SIGCHLD_handler()
    deaths, before = Deaths(block), signal.getsignal(signal.SIGCHLD)
    if threading.current_thread() is not threading.main_thread():
        yield deaths
        return
    signal.signal(signal.SIGCHLD, deaths)
    try:
        yield deaths
    finally:
        signal.signal(signal.SIGCHLD, before)
