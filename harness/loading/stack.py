"""Sampling profiler of a process that makes batches: it reads the stack about once per millisecond.

A look takes about ten microseconds and does not change the running code. If C code holds the interpreter, the delay of
a look counts for the call that held it. Within a fetch the time is divided among reading, decoding and transforming by
the names on the stack, from the innermost call outwards, and among the lines of the user's code.
"""

import ctypes
import linecache
import random
import re
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

from harness.error import cell
from harness.record.budget import DECODE, FETCH, READ, TRANSFORM, WAIT

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

    _fields_ = tuple((name, ctypes.c_long) for name in ("interval_s", "interval_ns", "s", "ns"))


class Looking:
    """Calls back with the frame of the main thread from time to time.

    The callback ``see`` receives the frame and the seconds it represents: the mean time between samples plus the delay
    of the signal, during which C code kept the interpreter. Interrupted system calls resume. Without such a timer, and
    outside the main thread, there are no samples.

    A timer of the kernel sends the thread a signal after a random time, and the interpreter calls back with the running
    frame. A second thread would not do: it runs while the main thread waits, and misses it while it computes. With
    regular times, a sample that was delayed to the end of a call would always be followed by one at the start of the
    next. Exponential waiting times have no memory, so each moment is equally likely to be sampled.
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
        self.works = threading.current_thread() is threading.main_thread() and self._is_created()

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

    def _is_created(self) -> bool:
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


class StackSample(NamedTuple):
    """A look at the stack: the part of a fetch, and the call with its line."""

    part: str
    file: str
    line: int
    call: str


StackSamples = dict[StackSample, float]
"""Seconds of each."""


class StackSampler:
    """Samples the stack of the main thread."""

    def __init__(self) -> None:
        self._looks: StackSamples = defaultdict(float)
        self._looking = Looking(self._see)
        self.begin, self.end, self.close = self._looking.begin, self._looking.end, self._looking.close

    def take(self) -> StackSamples:
        """Return the seconds for each look since the last call."""
        looks, self._looks = self._looks, defaultdict(float)
        return dict(looks)

    def _see(self, frame: FrameType, seconds: float) -> None:
        sample = _sample(frame)
        if sample is not None:
            self._looks[sample] += seconds


def _sample(innermost: FrameType) -> StackSample | None:
    """Return the look for a stack; ``None`` if the profiler itself is on top."""
    stack = list(_stack(innermost))
    if not stack:
        return None
    part = next((part for position in stack if (part := _find_part(*position))), FETCH)
    code, offset = next((position for position in stack if not _is_library(position[0].co_filename)), stack[-1])
    line, call = _call(code, offset)
    return StackSample(part, cell(code.co_filename), line, call)


def _stack(frame: FrameType | None) -> Iterator[tuple[CodeType, int]]:
    """Yield the code and instruction for each frame, from the innermost to the outermost below the profiler."""
    while frame is not None and frame.f_code.co_filename not in _INSTRUMENT:
        yield frame.f_code, frame.f_lasti
        frame = frame.f_back


_PACKAGE = Path(__file__).parent
_INSTRUMENT = frozenset(str(_PACKAGE / name) for name in ("trace.py", "stack.py", "budget.py", "accounting.py"))
"""Files below which the user's code begins."""


# Parts of the work by place on the stack

_CALLS: Mapping[str, str] = {
    READ: r"(p?read(_?(all|bytes|text|into|file|lines?|table|row_groups?))?|open|seek|recv|extractfile|getmember"
    r"|fromfile|urlopen|get_object|download)$|(read|fetch)_",
    DECODE: r"(im)?decode|imread|decompress|(un)?pickle$|loads$|json|parse|tokeni[sz]e|to_(pydict|pylist|numpy)$",
    TRANSFORM: r"transform|augment|resize|crop|flip|normali[sz]e|rotate|jitter|blur|to_?tensor|interpolate|pad$|erase",
}
"""Function names, by part of the budget."""

_MODULES: Mapping[str, str] = {
    WAIT: "threading|queue|selectors|multiprocessing/(connection|queues|popen)",
    READ: "pathlib|tarfile|zipfile|socket|ssl|http/client|urllib3|fsspec|mmap|numpy/_core/memmap|numpy/core/memmap",
    DECODE: "PIL/[A-Za-z0-9]*(ImageFile|ImagePlugin)|torchvision/io/|gzip|lzma|bz2|json/|csv|pickle|pyarrow/",
    TRANSFORM: "torchvision/transforms/|albumentations/|kornia/|torchaudio/transforms|PIL/Image(Ops|Enhance|Filter)",
}
"""File names of library modules, by purpose."""

_BY_CALL = [(part, re.compile(pattern, re.IGNORECASE)) for part, pattern in _CALLS.items()]
_BY_MODULE = [(part, re.compile(rf"(?:^|/)(?:{pattern})")) for part, pattern in _MODULES.items()]


@cache
def _find_part(code: CodeType, offset: int) -> str | None:
    """Return the part that a place belongs to, by the called name, the module or the function name."""
    called = _name(_call(code, offset)[1])
    if called and (part := _match_part(called)):
        return part
    file = code.co_filename.replace("\\", "/")
    if _is_library(code.co_filename):
        return next((part for part, pattern in _BY_MODULE if pattern.search(file)), None)
    return _match_part(code.co_name)


def _match_part(name: str) -> str | None:
    return next((part for part, pattern in _BY_CALL if pattern.match(name.lstrip("_"))), None)


def _name(call: str) -> str:
    """Return the called name: the last dotted name of a call."""
    match = re.match(r"[\w.\[\]'\"]*?(\w+)\(", call)
    return match.group(1) if match else ""


@cache
def _call(code: CodeType, offset: int) -> tuple[int, str]:
    """The line of an instruction, and the source of the expression that it is about, shortened."""
    positions = list(code.co_positions())[offset // 2] if offset >= 0 else (code.co_firstlineno, None, None, None)
    line, end_line, column, end_column = positions
    line = line or code.co_firstlineno
    text = linecache.getline(code.co_filename, line)
    if column is None or end_column is None:
        return line, _short(text.strip())
    inner = text.encode()[column : end_column if end_line == line else None].decode(errors="replace")
    return line, _short(inner.strip() or text.strip())


MAX_CHARACTERS = 48
"""Maximum length of a displayed call."""


def _short(text: str) -> str:
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 3] + "..."


_INTERPRETER = str(Path(threading.__file__).parent)


@cache
def _is_library(file: str) -> bool:
    """Whether a file belongs to the interpreter or an installed package; code without a file does."""
    return file.startswith(("<", _INTERPRETER)) or not {"site-packages", "dist-packages"}.isdisjoint(Path(file).parts)
