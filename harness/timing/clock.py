"""Timing with care: one thread, no garbage collection, warm before measured, accelerators waited for.

Importing this module imports no torch. Whatever reads a clock or touches an accelerator takes it as an argument, so
that the order of things can be tested on a machine that has none.
"""

import gc
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from harness.timing.graph import captured

Clock = Callable[[], float]
"""Returns seconds since some fixed moment."""

NO_ACCELERATOR = "no accelerator on this machine"
"""Why what needs an accelerator is skipped."""


# Surroundings


@contextmanager
def threads(count: int = 1) -> Iterator[None]:
    """Give torch ``count`` threads within one operation, and restore what there was.

    Notes
    -----
    On a machine that others use too, the threads of one operation wait for each other by spinning: up to 200 times
    slower than one thread.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Collect now, then not until the end; what is alive is set aside, so that no later collection looks at it.

    Notes
    -----
    A full collection inside a measured window of a torch process makes it 1.6 to 2.4 times as long. Where somebody
    has set objects aside already, they stay so, and no more are added.
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
"""Whether objects were set aside to the end; to count them takes as long as to collect them."""


def set_aside() -> None:
    """Collect now, and leave what is alive out of every later collection, to the end of this process."""
    gc.collect()
    gc.freeze()
    _aside.set()


# Warm-up and rounds


@dataclass(frozen=True)
class WarmUp:
    """What calls before the measurement took.

    Parameters
    ----------
    cold_s
        The very first call, in seconds: it loads kernels, touches memory, starts workers.
    warm_s
        The fastest of the calls after it, in seconds a call.
    calls
        How many calls there were, the first one included.
    """

    cold_s: float
    warm_s: float
    calls: int


def warm(
    function: Callable[[], object], *, calls: int = 3, duration_s: float = 0.05, clock: Clock = time.perf_counter
) -> WarmUp:
    """Time the cold call, then call on until the function is warm.

    Parameters
    ----------
    function
        What is measured afterwards. Where it uses an accelerator, it waits for it.
    calls
        Calls that follow the cold one, at least; 1 or more.
    duration_s
        Seconds for which they go on, at least.
    clock
        Seconds.

    Notes
    -----
    Rounds that are planned from a cold call are too few, by a factor of hundreds for torch's first softmax.
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
    """How often to call: ``rounds`` readings of the clock around ``iterations`` calls each."""

    rounds: int
    iterations: int


ROUND_S = 50e-6
"""A round lasts at least so long: a thousand times what reading the clock costs."""

FEWEST, MOST = 5, 1000
"""Rounds of a benchmark. Few slow ones are better than none; more than a thousand only fill the file."""


def rounds_within(budget_s: float, warm_s: float, *, fewest: int = FEWEST) -> Rounds:
    """Plan rounds that take about ``budget_s`` seconds in all, given the seconds of a *warm* call.

    Where the budget is too small for ``fewest`` rounds, there are ``fewest`` all the same.
    """
    call_s = max(warm_s, 1e-9)
    iterations = max(1, math.ceil(ROUND_S / call_s))
    rounds = int(budget_s / (iterations * call_s))
    return Rounds(min(max(rounds, fewest), MOST), iterations)


# Accelerators


class Event(Protocol):
    """A mark in the accelerator's queue of work, as ``torch.Event``."""

    def record(self) -> Any:
        """Put the mark into the queue of the current stream."""

    def elapsed_time(self, end_event: Any, /) -> float:
        """Milliseconds of the accelerator's own clock between two marks that it has passed."""


class Accelerator(Protocol):
    """What timing needs of an accelerator."""

    @property
    def name(self) -> str:
        """Type of the device, as torch calls it."""

    def synchronize(self) -> None:
        """Wait until all queued work is done."""

    def event(self) -> Event:
        """Return a fresh mark that can be timed."""

    def capture(self, function: Callable[[], object], /) -> Callable[[], object]:
        """Return what replays, as one launch, the work a function queues: :func:`harness.timing.graph.captured`."""


@dataclass(frozen=True)
class TorchAccelerator:
    """The accelerator torch was built for: CUDA, ROCm, XPU, MPS and others through one interface.

    Parameters
    ----------
    name
        Type of the device.
    """

    name: str

    def synchronize(self) -> None:
        """Wait until all queued work is done, on every stream of the current device."""
        import torch

        torch.accelerator.synchronize()

    def event(self) -> Event:
        """Return a fresh ``torch.Event`` with timing."""
        import torch

        return torch.Event(device=self.name, enable_timing=True)

    def capture(self, function: Callable[[], object]) -> Callable[[], object]:
        """Return the replay of a CUDA graph."""
        return captured(function, self.name)


def current_accelerator() -> TorchAccelerator | None:
    """Return the accelerator that can be used here and now; ``None`` where there is none."""
    import torch

    device = torch.accelerator.current_accelerator(check_available=True)
    return None if device is None else TorchAccelerator(device.type)


@dataclass(frozen=True)
class DeviceTime:
    """The two sides of work on an accelerator, in seconds a call.

    Parameters
    ----------
    launch_s
        What the host needs to queue it.
    device_s
        What passes on the device between its begin and its end. Where the host queues more slowly than the device
        works, the device idles in between, and this is the host's time.
    """

    launch_s: float
    device_s: float


def device_time(
    function: Callable[[], object], accelerator: Accelerator, *, calls: int, clock: Clock = time.perf_counter
) -> DeviceTime:
    """Time warm calls by the host's clock and by the accelerator's own, apart.

    Parameters
    ----------
    function
        Queues the work, and does not wait for it.
    accelerator
        Where it is queued.
    calls
        How many calls lie between the two marks; 1 or more.
    clock
        Seconds, the host's.
    """
    start, end = accelerator.event(), accelerator.event()
    accelerator.synchronize()
    start.record()
    began = clock()
    for _ in range(calls):
        function()
    launched_s = clock() - began
    end.record()
    accelerator.synchronize()
    return DeviceTime(launched_s / calls, start.elapsed_time(end) / 1e3 / calls)
