"""Timing on an accelerator that is made up: a queue of limited size, events, and what nvidia-smi reports."""

import subprocess
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from harness.timing.clock import TorchAccelerator
from harness.timing.device import (
    LAST_READINGS,
    MAX_CALLS,
    DeviceState,
    calls_in_queue,
    device_state,
    list_full_rounds,
    make_flush,
    read_clock,
    time_by_events,
    time_cold,
    time_replays,
    watch_clock,
)


class Queue:
    """An accelerator whose queue holds some calls; the host waits for room in it."""

    name = "fake"

    def __init__(self, room: int, *, host_s: float = 1e-5, device_s: float = 1e-3) -> None:
        self.room, self.host_s, self.device_s = room, host_s, device_s
        self.now_s = self.busy_until_s = 0.0
        self.max_calls = 0
        self.ends: list[float] = []

    def clock(self) -> float:
        """Seconds of the host."""
        return self.now_s

    def launch(self) -> None:
        """Queue one call; wait while the queue is full."""
        self.now_s += self.host_s
        waiting = [end for end in self.ends if end > self.now_s]
        if len(waiting) >= self.room:
            self.now_s = waiting[-self.room]
        self.busy_until_s = max(self.busy_until_s, self.now_s) + self.device_s
        self.ends.append(self.busy_until_s)
        self.max_calls = max(self.max_calls, sum(end > self.now_s for end in self.ends))

    def synchronize(self) -> None:
        """Wait until the queue is empty."""
        self.now_s = max(self.now_s, self.busy_until_s)
        self.ends.clear()

    def event(self) -> "Mark":
        """Return a fresh mark."""
        return Mark(self)

    def capture(self, function: object) -> None:
        """Record nothing."""


class Mark:
    """A mark that passes when all earlier work is done."""

    def __init__(self, queue: Queue) -> None:
        self.queue, self.at_s = queue, 0.0

    def record(self) -> None:
        """Note when the device passes the mark."""
        self.at_s = max(self.queue.now_s, self.queue.busy_until_s)

    def synchronize(self) -> None:
        """Let the host wait."""
        self.queue.now_s = max(self.queue.now_s, self.at_s)

    def elapsed_time(self, end_event: "Mark") -> float:
        """Milliseconds between two marks."""
        return 1e3 * (end_event.at_s - self.at_s)


@pytest.mark.parametrize(
    ("room", "minimum", "max_calls"), [(1, 1, 1), (4, 2, 8), (20, 8, 20), (1000, MAX_CALLS, MAX_CALLS)]
)
def test_no_more_calls_are_queued_than_the_queue_holds(room: int, minimum: int, max_calls: int) -> None:
    """Otherwise the time of a launch is that of the work."""
    queue: Any = Queue(room)
    calls = calls_in_queue(queue.launch, queue, queue.clock)
    assert minimum <= calls <= max_calls
    launch_s, device_s, beyond_s = time_by_events(queue.launch, queue, queue.clock)(calls)
    assert beyond_s == 0.0
    assert device_s / calls == pytest.approx(1e-3, rel=0.05)
    if room > 4:
        assert launch_s / calls == pytest.approx(1e-5, rel=1e-9)


def test_an_overfull_queue_would_hide_the_host() -> None:
    """The control: fifty calls into a queue of ten make a launch look as long as the work."""
    queue: Any = Queue(10)
    launch_s, _, _ = time_by_events(queue.launch, queue, queue.clock)(50)
    assert launch_s / 50 > 50 * queue.host_s


def test_one_interrupted_launch_is_no_full_queue() -> None:
    """The system interrupted the host once."""
    queue: Any = Queue(1000)
    count = iter(range(10_000))

    def launch() -> None:
        queue.launch()
        if next(count) == 20:
            queue.now_s += 1.0

    assert calls_in_queue(launch, queue, queue.clock) == MAX_CALLS


def test_a_graph_is_timed_with_and_without_waiting() -> None:
    """Waited for, a call takes host and device; by events, the device alone."""
    queue: Any = Queue(100)
    waited_s, device_s = time_replays(queue.launch, queue, queue.clock)(10)
    assert waited_s / 10 == pytest.approx(1e-3 + 1e-5, rel=1e-9)
    assert device_s / 10 == pytest.approx(1e-3, rel=0.05)


def test_the_flush_is_no_part_of_a_call_with_a_cold_cache() -> None:
    """It is waited for before the time begins."""
    queue: Any = Queue(100)

    def flush() -> None:
        queue.busy_until_s = queue.now_s + 5.0

    waited_s, device_s = time_cold(queue.launch, flush, queue, queue.clock)(4)
    assert waited_s == pytest.approx(4 * (1e-3 + 1e-5), rel=1e-6)
    assert device_s == pytest.approx(4 * (1e-3 + 1e-5), rel=1e-6)


def test_a_measurement_waits_until_the_clock_has_recovered() -> None:
    """What counts for the round is the reading before, and the pauses end for good after ten seconds."""
    readings, pauses, moments = iter([1500.0, 600.0, 700.0, 1400.0, *[600.0] * 1000]), list[float](), iter(range(9))
    turn = watch_clock(lambda: next(readings), lambda: next(moments), pauses.append)
    assert [turn(1) for _ in range(2)] == [(1500.0, 0), (600.0, 1)]
    assert len(pauses) == 2
    assert [turn(1)[0] for _ in range(3)] == [600.0] * 3
    assert sum(pauses) == pytest.approx(10.0, abs=0.3)


def test_an_unknown_clock_is_not_waited_for() -> None:
    """Some drivers answer with zero; a later answer counts."""
    readings = iter([0.0, 1500.0, 0.0])
    turn = watch_clock(lambda: next(readings), lambda: 0.0, lambda _: pytest.fail("waited"))
    assert [turn(1)[0] for _ in range(3)] == [0.0, 1500.0, 0.0]
    assert list_full_rounds([(0.0, 0.0), (1500.0, 1.0), (0.0, 2.0)], 2) == [0, 1]


@pytest.mark.parametrize(("period_s", "late_s"), [(1.0, 0.0), (1.0, 0.5), (0.5, 0.25), (1 / 6, 0.0)])
@pytest.mark.parametrize("hot_s", [(3.0, 3.6), (9.4, 10.0)], ids=["within", "at the end"])
def test_no_round_counts_in_which_the_clock_was_low(period_s: float, late_s: float, hot_s: tuple[float, float]) -> None:
    """A driver shows the average of the last whole sample period; rounds take 0.1 seconds, and their number is 100."""

    def average(begin_s: float) -> float:
        hot = max(0.0, min(begin_s + period_s, hot_s[1]) - max(begin_s, hot_s[0]))
        return 1500.0 * (1.0 - 0.6 * hot / period_s)

    def read(moment_s: float) -> tuple[float, ...]:
        periods = (moment_s - late_s) // period_s - 1.0
        return average(late_s + periods * period_s), moment_s

    after = [read(10.0 + number / LAST_READINGS) for number in range(1, LAST_READINGS + 1)]
    full = list_full_rounds([*(read(number / 10 + 0.05) for number in range(100)), *after], 100)
    hot = set(range(round(10 * hot_s[0]), round(10 * hot_s[1])))
    assert not hot & set(full)
    assert len(full) > 100 - 6 - 45


def test_a_steady_clock_leaves_all_rounds() -> None:
    """There may be none."""
    assert list_full_rounds([(1500.0, 0.0), (1490.0, 1.0), (1495.0, 2.0)], 2) == [0, 1]
    assert list_full_rounds([], 0) == []


@pytest.mark.parametrize("error", [ImportError(), type("NVMLError", (Exception,), {})()])
def test_a_driver_that_cannot_be_read_has_no_clock(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Its library has exceptions of its own, for example where a part of a GPU is lent."""

    def fail() -> None:
        raise error

    monkeypatch.setattr(torch.cuda, "clock_rate", fail)
    assert read_clock(TorchAccelerator("cuda")) is None


def _cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    properties = SimpleNamespace(uuid="1234-abcd", L2_cache_size=50 * 2**20)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda: properties)


def test_the_state_of_a_device_is_read_by_its_identifier(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clocks and power limit come from nvidia-smi, the cache from torch; what is not available is unknown."""
    _cuda(monkeypatch)
    asked: list[Sequence[str]] = []

    def ask(command: Sequence[str]) -> str:
        asked.append(command)
        return "1980, 2619, [N/A]\n"

    state = device_state(TorchAccelerator("cuda"), ask)
    assert state == DeviceState(50 * 2**20, 1980.0, 2619.0, None)
    assert "--id=GPU-1234-abcd" in asked[0]


@pytest.mark.parametrize("error", [FileNotFoundError(), subprocess.TimeoutExpired("nvidia-smi", 10)])
def test_without_nvidia_smi_clocks_are_unknown(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """The size of the cache is known all the same."""
    _cuda(monkeypatch)

    def ask(_: Sequence[str]) -> str:
        raise error

    assert device_state(TorchAccelerator("cuda"), ask) == DeviceState(50 * 2**20)


def test_the_cache_of_an_xpu_has_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the last level instead of the second."""
    properties = SimpleNamespace(last_level_cache_size=18 * 2**20)
    monkeypatch.setattr(torch.xpu, "get_device_properties", lambda: properties)
    assert device_state(TorchAccelerator("xpu")).l2_bytes == 18 * 2**20


@pytest.mark.parametrize(("reported", "expected"), [(4 * 2**20, 2**28), (2**28, 3 * 2**27)])
def test_a_flush_is_larger_than_the_cache_and_never_small(reported: int, expected: int) -> None:
    """A device of several dies reports the cache of one."""
    buffer = make_flush("meta", reported)()
    assert isinstance(buffer, torch.Tensor)
    assert buffer.nbytes == expected


def test_nothing_is_known_of_other_devices() -> None:
    """Neither of the CPU nor of an accelerator of another vendor."""
    assert device_state(None) == device_state(TorchAccelerator("mps")) == DeviceState()
