"""A function that is called now and then with what the main thread is doing, wherever that is.

A timer of the kernel sends the thread a signal after a random time; the interpreter then calls back with the frame that
runs. A thread that looks at another one would not do: it comes when that one waits, and misses when it computes. Nor
would regular times: a look that had to wait until something ended is always followed by the beginning of the next.
Exponential times have no memory, so that each moment is as likely to be looked at as any other.
"""

import ctypes
import random
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

PERIOD_S = 1e-3
"""Seconds between two looks, in the mean."""

_MONOTONIC, _TO_THREAD = 1, 4
"""The clock, and that the signal goes to one thread: CLOCK_MONOTONIC and SIGEV_THREAD_ID of Linux."""


class _Event(ctypes.Structure):
    """What Linux calls ``sigevent``."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signal", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("thread", ctypes.c_int),
        ("padding", ctypes.c_char * 44),
    )


class _Times(ctypes.Structure):
    """What POSIX calls ``itimerspec``: an interval, and the first time; seconds and nanoseconds each."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("s", ctypes.c_long),
        ("ns", ctypes.c_long),
    )


class Looking:
    """Calls back with the frame of the main thread, from time to time, while it is asked to.

    Parameters
    ----------
    see
        Is called with the frame and the seconds that it stands for: those between two looks, and those by which the
        look is late, as where C code kept the interpreter.
    period_s
        Seconds between two looks, in the mean.

    Notes
    -----
    System calls that were interrupted go on. Where there is no such timer, and outside the main thread, nothing is
    seen.
    """

    def __init__(self, see: Callable[[FrameType, float], object], period_s: float = PERIOD_S) -> None:
        self._see = see
        self._period_s = period_s
        self._random = random.Random()  # noqa: S311 - when to look is no secret
        self._looks = False
        self._planned = 0.0
        self._timer = ctypes.c_void_p()
        self._times = _Times()
        self._set = ctypes.byref(self._times)
        self._before: Any = None
        self.works = threading.current_thread() is threading.main_thread() and self._made()

    def begin(self) -> None:
        """Look from now on."""
        self._looks = True
        if self.works and not self._planned:
            self._arm()

    def end(self) -> None:
        """Look no more for now. A timer that is set rings once more, unheard: as it has no memory, no matter when."""
        self._looks = False

    def close(self) -> None:
        """Look no more."""
        if self.works:
            self._looks = self.works = False
            _C.timer_delete(self._timer)
            assert _SIGNAL is not None
            signal.signal(_SIGNAL, self._before)

    def _made(self) -> bool:
        if _SIGNAL is None or not hasattr(_C, "timer_create"):
            return False
        self._before = signal.signal(_SIGNAL, self._rings)
        signal.siginterrupt(_SIGNAL, False)  # noqa: FBT003 - the function takes it so
        event = _Event(None, _SIGNAL, _TO_THREAD, threading.get_native_id())
        if _C.timer_create(_MONOTONIC, ctypes.byref(event), ctypes.byref(self._timer)) == 0:
            return True
        signal.signal(_SIGNAL, self._before)
        return False

    def _rings(self, _: int, frame: FrameType | None) -> None:
        late_s = max(0.0, time.perf_counter() - self._planned)
        self._planned = 0.0
        if self._looks and frame is not None:
            self._see(frame, self._period_s + late_s)
            self._arm()

    def _arm(self) -> None:
        seconds = self._random.expovariate(1.0 / self._period_s)
        self._times.s, self._times.ns = int(seconds), max(1, round(1e9 * (seconds % 1.0)))
        self._planned = time.perf_counter() + seconds
        _C.timer_settime(self._timer, 0, self._set, None)


_C = ctypes.CDLL(None)
_SIGNAL: int | None = signal.SIGRTMIN + 7 if hasattr(signal, "SIGRTMIN") else None
