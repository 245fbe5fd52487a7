"""The simulated machine: a host and its clock, and a device with queues, a cache, memory and a processor's clock."""

import json
import os
import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random


@dataclass(frozen=True)
class Parameters:
    """What the device takes for its work, and what is wrong with it.

    Parameters
    ----------
    launch_s, wait_s
        Time of the host to queue an operation, and to notice that a queue is empty.
    kernel_s
        Shortest time of an operation on the device.
    operations_per_s, bytes_per_s, cached_per_s
        Rates of arithmetic in float32, of the memory, and of the second-level cache.
    transfer_s, transfer_per_s, pinned_per_s
        Latency of a copy between host and device, and its rates from ordinary and from page-locked memory.
    l2_bytes, memory_bytes, queue
        Sizes of cache and memory, and the number of operations that fit into the queue.
    reported_l2_bytes
        Size of the cache that the device reports; the true one by default.
    fills_cached
        Whether filling memory passes through the cache; else an engine of its own does it.
    clock_mhz, hot, hot_share
        Clock of the processors; begin and end of a hot time in seconds of the host's clock; the clock's share then.
    jitter
        Relative deviation of the times of operations.
    synchronizes, asynchronous
        Whether waiting for the device waits; whether an operation is queued, and does not take the host's time.
    """

    launch_s: float = 10e-6
    wait_s: float = 5e-6
    kernel_s: float = 5e-6
    operations_per_s: float = 1e13
    bytes_per_s: float = 1e12
    cached_per_s: float = 4e12
    transfer_s: float = 10e-6
    transfer_per_s: float = 5e9
    pinned_per_s: float = 2e10
    l2_bytes: int = 2**25
    memory_bytes: int = 2**33
    queue: int = 1000
    reported_l2_bytes: int | None = None
    fills_cached: bool = True
    clock_mhz: float = 1500.0
    hot: tuple[float, float] | None = None
    hot_share: float = 0.5
    jitter: float = 0.0
    synchronizes: bool = True
    asynchronous: bool = True


def read_parameters() -> Parameters:
    """Return the parameters of the environment."""
    return Parameters(**json.loads(os.environ.get("SIMULATED_DEVICE") or "{}"))


class Host:
    """The host's clock: real time, plus what simulated work takes, minus what its simulation takes."""

    def __init__(self) -> None:
        self.real, self.shift_s, self.depth, self.stopped_s = time.perf_counter, 0.0, 0, 0.0

    def now(self) -> float:
        """Return the time, in seconds."""
        return (self.stopped_s if self.depth else self.real()) + self.shift_s

    def spend(self, duration_s: float) -> None:
        """Let time pass."""
        self.shift_s += duration_s

    def wait_until(self, moment_s: float) -> None:
        """Let time pass up to a moment, unless it is over."""
        self.spend(max(0.0, moment_s - self.now()))

    @contextmanager
    def stop(self) -> Iterator[None]:
        """Let no real time count."""
        self.stopped_s = self.stopped_s if self.depth else self.real()
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1
            if not self.depth:
                self.shift_s -= self.real() - self.stopped_s


HOST = Host()


def now() -> float:
    """Return the host's time; a function of a module, as tools that look up a clock by its name expect."""
    return HOST.now()


def install() -> None:
    """Let Python's clock for durations be the host's."""
    time.perf_counter = now


@dataclass
class Queue:
    """A stream: when its last operation ends."""

    end_s: float = 0.0


@dataclass
class Device:
    """The device. Storages are named by their addresses."""

    parameters: Parameters
    host: Host = HOST
    queues: list[Queue] = field(default_factory=lambda: [Queue()])
    ends: deque[float] = field(default_factory=deque)
    cached: OrderedDict[int, int] = field(default_factory=OrderedDict)
    draws: Random = field(default_factory=lambda: Random(0))

    def launch(self, queue: Queue, storages: dict[int, int], operations: float) -> None:
        """Queue an operation that touches storages and calculates."""
        self.host.spend(self.vary(self.parameters.launch_s))
        self.work(queue, self.vary(self.estimate(storages, operations)))

    def transfer(self, queue: Queue, size: int, storage: int, *, pinned: bool, waits: bool) -> None:
        """Queue a copy between the host and a storage here."""
        at = self.parameters
        self.host.spend(self.vary(at.launch_s))
        self.touch({storage: size})
        self.work(queue, self.vary(at.transfer_s + size / (at.pinned_per_s if pinned else at.transfer_per_s)))
        if waits:
            self.host.wait_until(queue.end_s)

    def work(self, queue: Queue, duration_s: float) -> None:
        """Let a queue be busy; the host waits while it is full, and always if the device has none."""
        now = self.host.now()
        while self.ends and self.ends[0] <= now:
            self.ends.popleft()
        if len(self.ends) >= self.parameters.queue:
            self.host.wait_until(self.ends.popleft())
        duration_s /= self.share
        queue.end_s = max(queue.end_s, self.host.now()) + duration_s
        self.ends.append(queue.end_s)
        if not self.parameters.asynchronous:
            self.host.wait_until(queue.end_s)

    def estimate(self, storages: dict[int, int], operations: float) -> float:
        """Return the seconds of an operation: memory and arithmetic overlap."""
        at, cached = self.parameters, self.touch(storages)
        moving_s = (sum(storages.values()) - cached) / at.bytes_per_s + cached / at.cached_per_s
        return max(at.kernel_s, moving_s, operations / at.operations_per_s)

    def touch(self, storages: dict[int, int]) -> int:
        """Let storages enter the cache in place of those that were used before; return the bytes found there."""
        found = sum(size for name, size in storages.items() if name in self.cached)
        for name, size in storages.items():
            self.cached[name] = max(size, self.cached.pop(name, 0))
        while sum(self.cached.values()) > self.parameters.l2_bytes:
            self.cached.popitem(last=False)
        return found

    def synchronize(self, *queues: Queue) -> None:
        """Wait for some queues, or for all."""
        self.host.spend(self.parameters.wait_s)
        if self.parameters.synchronizes:
            self.host.wait_until(max(queue.end_s for queue in queues or self.queues))

    def vary(self, duration_s: float) -> float:
        """Return a duration with its jitter."""
        return duration_s * max(0.1, 1.0 + self.parameters.jitter * self.draws.gauss())

    @property
    def share(self) -> float:
        """Return the share of the clock at which the processors run now."""
        begin, end = self.parameters.hot or (0.0, 0.0)
        return self.parameters.hot_share if begin <= self.host.now() < end else 1.0
