"""Careful timing: one thread, no garbage collection, time limits, warm calls, and synchronized accelerators.

Importing this module imports no torch. Clocks and accelerators are arguments, so that tests can use made-up ones.
"""

import atexit
import gc
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Protocol

Clock = Callable[[], float]
"""Returns seconds since a fixed moment."""

NO_ACCELERATOR = "no accelerator on this machine"
"""Reason why benchmarks that need an accelerator are skipped."""


# Surroundings


@contextmanager
def threads(count: int = 1) -> Iterator[None]:
    """Give torch ``count`` threads within an operation, and restore the previous number afterwards.

    On a machine with other load, the threads of an operation wait for each other by spinning, which takes up to 200
    times as long as one thread.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def stop_garbage_collection() -> Iterator[None]:
    """Collect garbage now and not again until the end; live objects are frozen.

    A full collection within a measurement of a torch process makes it 1.6 to 2.4 times as long. If the caller has
    already frozen objects, they stay frozen, and no others are.
    """
    enabled, frozen = gc.isenabled(), _aside.is_set() or gc.get_freeze_count() > 0
    gc.collect()
    gc.disable()
    if not frozen:
        gc.freeze()
    try:
        yield
    finally:
        if not frozen:
            gc.unfreeze()
        if enabled:
            gc.enable()


_aside = threading.Event()
"""Whether objects are frozen to the end; counting them takes as long as collecting."""


def set_aside() -> None:
    """Collect garbage now, and freeze live objects to the end of this process, where Triton reports them as leaks."""
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)
    _aside.set()


# Time limits


@contextmanager
def alarm(limit_s: float, overdue: Callable[[], BaseException | None], *, again_s: float = 0.0) -> Iterator[None]:
    """Raise an exception in the main thread when time is up, and restore the previous alarm afterwards.

    ``overdue`` creates the exception; ``None`` lets the code continue until the next alarm. It rings again after
    ``again_s`` seconds, in case the code catches the first exception; zero for once. The alarm is SIGALRM: without this
    signal, or outside the main thread, nothing is interrupted, nor is an operation that never returns to the
    interpreter.
    """

    def ring(_: int, __: FrameType | None) -> None:
        if (error := overdue()) is not None:
            raise error

    try:
        before = signal.signal(signal.SIGALRM, ring)
    except (AttributeError, ValueError):  # no such signal here, or not in the main thread
        yield
        return
    start, (left_s, interval_s) = time.monotonic(), signal.setitimer(signal.ITIMER_REAL, limit_s, again_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
        if left_s:
            signal.setitimer(signal.ITIMER_REAL, max(left_s - time.monotonic() + start, 1e-3), interval_s)


def limit_wall_time(seconds: float, action: str) -> AbstractContextManager[None]:
    """Interrupt code that exceeds its time with a ``TimeoutError``, on systems with an alarm."""
    return alarm(seconds, lambda: TimeoutError(f"{action} took longer than {seconds:g} s"))


# Warm-up and rounds


@dataclass(frozen=True)
class WarmUp:
    """Durations of the calls before the measurement.

    Parameters
    ----------
    cold_s
        Seconds of the first call, which loads kernels, touches memory and starts workers.
    warm_s
        Seconds of the fastest later call.
    calls
        Number of calls, including the first.
    """

    cold_s: float
    warm_s: float
    calls: int


def warm(
    function: Callable[[], object], *, calls: int = 3, duration_s: float = 0.05, clock: Clock = time.perf_counter
) -> WarmUp:
    """Time the cold call, then repeat the call at least ``calls`` times and for ``duration_s`` seconds.

    A function that uses an accelerator must wait for it. Rounds that are planned from a cold call are too few, by a
    factor of hundreds for torch's first softmax.
    """
    start = clock()
    function()
    cold_s = (now := clock()) - start
    warm_s, done, until = math.inf, 0, now + duration_s
    while done < max(calls, 1) or now < until:
        before = clock()
        function()
        warm_s = min(warm_s, (now := clock()) - before)
        done += 1
    return WarmUp(cold_s, warm_s, done + 1)


@dataclass(frozen=True)
class Rounds:
    """A plan of ``rounds`` clock readings around ``iterations`` calls each."""

    rounds: int
    iterations: int


ROUND_S = 50e-6
"""Minimum duration of a round: a thousand times the cost of reading the clock."""

MIN_ROUNDS, MAX_ROUNDS = 5, 1000
"""Minimum and maximum number of rounds. More than a thousand only enlarge the file."""


def rounds_within(budget_s: float, warm_s: float, *, minimum: int = MIN_ROUNDS) -> Rounds:
    """Plan rounds that take about ``budget_s`` seconds in total, given the seconds of a *warm* call.

    A budget that is too small gives ``minimum`` rounds.
    """
    call_s = max(warm_s, 1e-9)
    iterations = max(1, math.ceil(ROUND_S / call_s))
    rounds = int(budget_s / (iterations * call_s))
    return Rounds(min(max(rounds, minimum), MAX_ROUNDS), iterations)


# Accelerators


class Event(Protocol):
    """A mark in the work queue of an accelerator, as ``torch.Event``."""

    def record(self) -> Any:
        """Add the mark to the queue of the current stream."""

    def synchronize(self) -> None:
        """Wait until the accelerator has passed the mark; work in other streams may go on."""

    def elapsed_time(self, end_event: Any, /) -> float:
        """Return the milliseconds between two marks that the accelerator has passed, by its own clock."""


class Accelerator(Protocol):
    """The operations of an accelerator that timing uses."""

    @property
    def name(self) -> str:
        """Return the device type, as torch spells it."""

    def synchronize(self) -> None:
        """Wait until all queued work is done."""

    def event(self) -> Event:
        """Return a new mark with timing."""

    def capture(self, function: Callable[[], object], /) -> Callable[[], object]:
        """Return a function that replays the queued work as one launch, see :func:`capture_graph`."""


@dataclass(frozen=True)
class TorchAccelerator:
    """The accelerator of this torch build: CUDA, ROCm, XPU, MPS and others through one interface."""

    name: str

    def synchronize(self) -> None:
        """Wait until all queued work is done, on every stream of the current device."""
        import torch

        torch.accelerator.synchronize()

    def event(self) -> Event:
        """Return a new ``torch.Event`` with timing."""
        import torch

        return torch.Event(device=self.name, enable_timing=True)

    def capture(self, function: Callable[[], object]) -> Callable[[], object]:
        """Return the replay of a CUDA graph."""
        return capture_graph(function, self.name)


def current_accelerator() -> TorchAccelerator | None:
    """Return the accelerator that is available now; ``None`` without one."""
    import torch

    device = torch.accelerator.current_accelerator(check_available=True)
    return None if device is None else TorchAccelerator(device.type)


@dataclass(frozen=True)
class DeviceTime:
    """Time of queued work on both sides, in seconds per call.

    Parameters
    ----------
    launch_s
        Time of the host to queue the work.
    device_s
        Time on the device from begin to end. If the host queues more slowly than the device works, this includes idle
        time of the device.
    beyond_s
        Time for which other streams work after the end.
    """

    launch_s: float
    device_s: float
    beyond_s: float = 0.0


def device_time(
    function: Callable[[], object], accelerator: Accelerator, *, calls: int, clock: Clock = time.perf_counter
) -> DeviceTime:
    """Time warm calls by the clock of the host and by events of the accelerator.

    The function queues its work and does not wait. All ``calls`` lie between two events, and must fit into the queue.
    """
    start, end = accelerator.event(), accelerator.event()
    accelerator.synchronize()
    start.record()
    began = clock()
    for _ in range(calls):
        function()
    launched_s = clock() - began
    end.record()
    end.synchronize()
    ended = clock()
    accelerator.synchronize()
    beyond_s = clock() - ended
    return DeviceTime(launched_s / calls, start.elapsed_time(end) / 1e3 / calls, beyond_s / calls)


WARM_CALLS = 3
"""Warm-up calls on a side stream before the capture, so that setup work is not recorded."""


class NotCapturableError(Exception):
    """Reason why a step has no graph."""


def capture_graph(function: Callable[[], object], device: str) -> Callable[[], object]:
    """Record the work that a function queues, and return a function that replays it.

    The function must queue the same work on the same memory at every call. Warm-up and capture use one side stream:
    libraries create their handles per stream, which cannot be recorded.

    Raises
    ------
    NotCapturableError
        If the device has no graphs, or the function does something that cannot be recorded, such as waiting for the
        device.

    References
    ----------
    PyTorch documentation, "CUDA semantics", section "CUDA Graphs".
    """
    import torch

    if device != "cuda":
        raise NotCapturableError(f"torch records graphs only on cuda, not on {device}")
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_CALLS):
            function()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph, stream=stream):
            function()
    except RuntimeError as error:
        torch.cuda.synchronize()
        raise NotCapturableError(f"recording failed: {str(error).splitlines()[0]}") from error
    return graph.replay
