"""Timing: the order of operations, with simulated clocks and accelerators."""

import gc
import signal
import threading
import time
from types import FrameType

import pytest
import torch
from samples.accelerator import Machine

from harness.timing.clock import (
    MAX_ROUNDS,
    MIN_ROUNDS,
    ROUND_S,
    TorchAccelerator,
    alarm,
    current_accelerator,
    device_time,
    rounds_within,
    stop_garbage_collection,
    threads,
    warm,
)


class World:
    """A clock that only work advances, and a function that works, longest at its first call."""

    def __init__(self, *durations_s: float) -> None:
        self.now_s = 100.0
        self.durations_s = list(durations_s)
        self.calls = 0

    def clock(self) -> float:
        """Return the time."""
        return self.now_s

    def work(self) -> None:
        """Advance the clock by the duration of this call."""
        self.now_s += self.durations_s[min(self.calls, len(self.durations_s) - 1)]
        self.calls += 1


def test_the_cold_call_is_reported_separately() -> None:
    """The first call is reported separately and not included in the warm time."""
    world = World(2.0, 0.25)
    warmed = warm(world.work, calls=3, duration_s=0.0, clock=world.clock)
    assert (warmed.cold_s, warmed.warm_s, warmed.calls) == (2.0, 0.25, 4)


def test_the_warm_figure_is_the_fastest_call() -> None:
    """Plans for a function that still gets faster use its fastest call."""
    world = World(4.0, 2.0, 1.0, 1.5)
    assert warm(world.work, calls=3, duration_s=0.0, clock=world.clock).warm_s == 1.0


def test_warming_up_goes_on_until_calls_and_seconds_are_reached() -> None:
    """A fast function is called for the requested seconds, a slow one for the requested number of calls."""
    fast, slow = World(1.0, 0.125), World(1.0, 8.0)
    assert warm(fast.work, calls=2, duration_s=1.0, clock=fast.clock).calls == 1 + 8
    assert warm(slow.work, calls=2, duration_s=1.0, clock=slow.clock).calls == 1 + 2


def test_a_cold_call_alone_never_counts_as_warm() -> None:
    """There is a warm call even without warm-up, because rounds are planned with its duration."""
    world = World(1.0, 0.5)
    assert warm(world.work, calls=0, duration_s=0.0, clock=world.clock).warm_s == 0.5


@pytest.mark.parametrize("warm_s", [1e-7, 3e-6, 1e-3, 0.2, 30.0])
def test_rounds_fill_the_budget_within_their_limits(warm_s: float) -> None:
    """A round is long relative to the clock's resolution, and the budget decides their number."""
    plan = rounds_within(1.0, warm_s)
    assert plan.iterations * warm_s >= min(ROUND_S, warm_s)
    assert MIN_ROUNDS <= plan.rounds <= MAX_ROUNDS
    assert plan.rounds in {MIN_ROUNDS, MAX_ROUNDS} or 0.5 <= plan.rounds * plan.iterations * warm_s <= 1.0


def test_a_call_of_no_measurable_length_is_repeated() -> None:
    """A clock that did not advance gives a valid plan."""
    plan = rounds_within(0.5, 0.0)
    assert plan.iterations > 1
    assert plan.rounds == MAX_ROUNDS


def test_threads_are_set_and_restored_even_when_the_timed_code_raises() -> None:
    """Torch has the previous number of threads afterwards."""
    before, within = torch.get_num_threads(), 0

    @threads(before + 1)
    def timed() -> None:
        nonlocal within
        within = torch.get_num_threads()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        timed()
    assert within == before + 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_rests_and_is_restored(enabled: bool) -> None:
    """It is disabled inside. Afterwards its state and the number of frozen objects are as before."""
    frozen, was = gc.get_freeze_count(), gc.isenabled()

    @stop_garbage_collection()
    def timed() -> None:
        assert not gc.isenabled()
        assert gc.get_freeze_count() > 0
        raise ZeroDivisionError

    (gc.enable if enabled else gc.disable)()
    try:
        with pytest.raises(ZeroDivisionError):
            timed()
        assert gc.isenabled() is enabled
        assert (gc.get_freeze_count() > 0) is (frozen > 0)
    finally:
        (gc.enable if was else gc.disable)()


def test_objects_frozen_by_an_outer_measurement_stay_frozen() -> None:
    """A nested measurement does not unfreeze the objects of the outer one.

    The test looks for an object that it created, because the number of frozen objects changes when others die.
    """
    own: list[object] = [[]]
    gc.freeze()
    with stop_garbage_collection():
        with stop_garbage_collection():
            assert not gc.isenabled()
        assert not any(one is own for one in gc.get_objects())
        assert not gc.isenabled()
    assert not any(one is own for one in gc.get_objects())


def test_host_and_device_time_are_separate() -> None:
    """Queueing takes 0.25 s of the host per call, and the work takes two seconds of the device."""
    device = Machine()
    timed = device_time(lambda: device.launch(0.25, 2.0), device, calls=4, clock=device.clock)
    assert timed.launch_s == pytest.approx(0.25)
    assert timed.device_s == pytest.approx(2.0)


def test_the_accelerator_is_waited_for_before_and_after() -> None:
    """Earlier work ends before the first event, and all work ends before the elapsed time is read."""
    device = Machine()
    device.launch(0.0, 1000.0)
    device.log.clear()
    timed = device_time(lambda: device.launch(0.0, 1.0), device, calls=2, clock=device.clock)
    assert device.log == ["synchronize", "record", "launch", "launch", "record", "wait", "synchronize", "elapsed"]
    assert timed.device_s == pytest.approx(1.0)


def test_the_real_accelerator_is_reached_through_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events are torch events with timing, and torch synchronizes."""
    asked: list[object] = []
    monkeypatch.setattr(torch, "Event", lambda **options: asked.append(options))
    monkeypatch.setattr(torch.accelerator, "synchronize", lambda: asked.append("synchronize"))
    accelerator = TorchAccelerator("cuda")
    accelerator.event()
    accelerator.synchronize()
    assert asked == [{"device": "cuda", "enable_timing": True}, "synchronize"]


@pytest.mark.parametrize("found", [None, torch.device("cuda")])
def test_the_current_accelerator_is_one_that_can_be_used(
    monkeypatch: pytest.MonkeyPatch, found: torch.device | None
) -> None:
    """Torch must return an available accelerator, not one for which it was built."""

    def current(check_available: bool = False) -> torch.device | None:  # noqa: FBT002 - as torch has it
        assert check_available
        return found

    monkeypatch.setattr(torch.accelerator, "current_accelerator", current)
    assert current_accelerator() == (None if found is None else TorchAccelerator("cuda"))


# Time limits


class Overdue(BaseException):
    """Time is up."""


def wait_for_ever(*, stubborn: int = 0) -> int:
    """Wait, catch some alarms, and return how many rang until none came for a second."""
    for caught in range(stubborn):
        try:
            time.sleep(1.0)
        except Overdue:
            continue
        return caught
    time.sleep(60.0)
    return stubborn


def test_a_long_call_is_interrupted_by_the_given_exception() -> None:
    """The given exception is raised in time."""
    began = time.monotonic()
    with pytest.raises(Overdue), alarm(0.05, Overdue):
        wait_for_ever()
    assert time.monotonic() - began < 30.0


def test_the_alarm_rings_once_by_default() -> None:
    """After the exception, the function may continue."""
    with alarm(0.05, Overdue):
        assert wait_for_ever(stubborn=2) == 1


def test_the_alarm_rings_again_if_it_was_caught() -> None:
    """It repeats until the function ends."""
    with pytest.raises(Overdue), alarm(0.05, Overdue, again_s=0.05):
        wait_for_ever(stubborn=3)


@pytest.mark.parametrize("outer_s", [0.0, 100.0])
@pytest.mark.parametrize("limit_s", [0.05, 60.0])
def test_the_alarm_is_given_back(limit_s: float, outer_s: float) -> None:
    """The previous handler and alarm are restored, whether this one rang or not, and it does not ring later."""

    def earlier(_: int, __: FrameType | None) -> None: ...

    before = signal.signal(signal.SIGALRM, earlier)
    signal.setitimer(signal.ITIMER_REAL, outer_s)
    try:
        try:
            with alarm(limit_s, Overdue, again_s=0.05):
                time.sleep(0.2)
        except Overdue:
            assert limit_s < 0.2
        assert signal.getsignal(signal.SIGALRM) is earlier
        left_s, interval_s = signal.getitimer(signal.ITIMER_REAL)
        assert interval_s == 0.0
        assert outer_s - 10.0 < left_s <= outer_s
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def test_another_thread_has_no_alarm_and_is_not_refused() -> None:
    """Only the main thread receives signals."""
    ended = []

    def run() -> None:
        with alarm(0.05, Overdue):
            time.sleep(0.2)
        ended.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert ended == [True]
