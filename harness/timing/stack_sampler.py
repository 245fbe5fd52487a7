"""Sampling the main thread: a callback receives the current frame at random times.

A timer of the kernel sends the thread a signal after a random time, and the interpreter calls back with the running
frame. A second thread would not do: it runs while the main thread waits, and misses it while it computes. Neither would
regular times: a sample that was delayed to the end of a call would always be followed by one at the start of the next.
Exponential waiting times have no memory, so each moment is equally likely to be sampled.
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
"""Mean time between two samples, in seconds."""

_MONOTONIC, _TO_THREAD = 1, 4
"""Constants CLOCK_MONOTONIC and SIGEV_THREAD_ID of Linux: the clock, and a signal for one thread."""


class _Event(ctypes.Structure):
    """The structure ``sigevent`` of Linux."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signal", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("thread", ctypes.c_int),
        ("padding", ctypes.c_char * 44),
    )


class _Times(ctypes.Structure):
    """The structure ``itimerspec`` of POSIX: an interval and a first time, in seconds and nanoseconds."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("s", ctypes.c_long),
        ("ns", ctypes.c_long),
    )


class Looking:
    """Calls back with the frame of the main thread from time to time.

    The callback ``see`` receives the frame and the seconds it represents: the mean time between samples plus the delay
    of the signal, during which C code kept the interpreter. Interrupted system calls resume. Without such a timer, and
    outside the main thread, there are no samples.
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
        """Start sampling."""
        self._looks = True
        if self.works and not self._planned:
            self._arm()

    def end(self) -> None:
        """Pause sampling. A pending timer rings once more without effect; the order of samples has no memory."""
        self._looks = False

    def close(self) -> None:
        """Stop sampling for good."""
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
