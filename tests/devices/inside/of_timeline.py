"""Launches, waits, streams, events and transfers, by the host's clock and by the device's.

An operation takes 0.1 seconds of the device and a millisecond of the host, and a copy takes 0.01 seconds; what real
time adds is much less than a launch in each place but the first call.
"""

import time
from collections.abc import Callable

import pytest
import torch
from simulated_device.machine import HOST, Device, Parameters

X = torch.ones(4, 4).to("sim")
wait = torch.accelerator.synchronize
X + X  # loads kernels
wait()


def seconds(function: Callable[[], object]) -> float:
    """Return the seconds of a call by Python's clock."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def test_a_launch_returns_before_its_work_is_done() -> None:
    """Only the wait takes the time of the work; other programs of the machine may stop one of the calls."""
    launches_s, waits_s = zip(*((seconds(lambda: X + X), seconds(wait)) for _ in range(4)), strict=True)
    assert min(launches_s) == pytest.approx(1e-3, abs=2e-3)
    assert max(launches_s) < 0.05 < min(waits_s) <= 0.1


@pytest.mark.parametrize("read", [lambda x: x[0, 0].item(), lambda x: x.cpu(), lambda x: bool(x.sum() > 1)])
def test_reading_a_value_waits(read: Callable[[torch.Tensor], object]) -> None:
    """The host needs it."""
    wait()
    assert seconds(lambda: read(X + X)) >= 0.1


def test_events_have_the_time_of_the_device() -> None:
    """Between two marks are the operations, and not the host's time before them."""
    start, end = (torch.Event("sim", enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(3):
        X + X
    end.record()
    with pytest.raises(RuntimeError, match="must be completed"):
        start.elapsed_time(end)
    assert not end.query()
    end.synchronize()
    assert start.elapsed_time(end) == pytest.approx(300, abs=5)


def test_streams_work_at_the_same_time() -> None:
    """Waiting for the device waits for both, and a mark in one says nothing about the other."""
    wait()
    side, end = torch.Stream("sim"), torch.Event("sim", enable_timing=True)
    with side:
        X + X
        X + X
    X + X
    end.record()
    start = time.perf_counter()
    end.synchronize()
    assert time.perf_counter() - start == pytest.approx(0.1, abs=0.01)
    assert not side.query()
    assert seconds(wait) == pytest.approx(0.1, abs=0.01)


def test_a_stream_waits_for_another_one_where_it_is_told() -> None:
    """Then a mark in it comes after the work of both."""
    wait()
    side, end = torch.Stream("sim"), torch.Event("sim")
    with side:
        X + X
    torch.accelerator.current_stream().wait_stream(side)
    X + X
    end.record()
    assert seconds(end.synchronize) == pytest.approx(0.2, abs=0.01)


def test_copies_wait_unless_memory_is_pinned() -> None:
    """And unless the host does not ask for it."""
    ordinary, pinned = torch.ones(1000), torch.ones(1000).pin_memory()
    assert pinned.is_pinned()
    assert not ordinary.is_pinned()
    assert seconds(lambda: ordinary.to("sim", non_blocking=True)) > 0.01
    assert seconds(lambda: pinned.to("sim")) > 0.01
    assert seconds(lambda: pinned.to("sim", non_blocking=True)) < 0.008


def test_a_forked_process_cannot_use_the_device() -> None:
    """Its parent used it, and the process that runs user code does not fork then."""
    import os

    from harness.isolation.callee import _uses_accelerator

    assert _uses_accelerator()
    if not (child := os.fork()):
        try:
            X + X
        except RuntimeError as error:
            os._exit(7 if "Cannot re-initialize" in str(error) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def make(**parameters: object) -> Device:
    """Return another device, with parameters."""
    return Device(Parameters(**parameters), HOST)  # type: ignore[arg-type]


def test_a_full_queue_makes_the_host_wait() -> None:
    """The third operation waits for the first."""
    device = make(queue=2, kernel_s=10.0, launch_s=0.0)
    durations = [seconds(lambda: device.launch(device.queues[0], {}, 0)) for _ in range(3)]
    assert durations == pytest.approx([0.0, 0.0, 10.0], abs=0.1)


def test_the_cache_makes_a_second_reading_faster_until_it_is_flushed() -> None:
    """It holds what was used last."""
    device = make(kernel_s=0.0, bytes_per_s=1.0, cached_per_s=10.0, l2_bytes=100)
    cold_s, warm_s = (device.estimate({1: 50}, 0) for _ in range(2))
    assert (cold_s, warm_s) == (50.0, 5.0)
    device.estimate({2: 100}, 0)
    assert device.estimate({1: 50}, 0) == 50.0


def test_a_hot_device_is_slower_until_it_has_cooled() -> None:
    """The hot time is by the host's clock."""
    start = HOST.now()
    device = make(hot=(start + 15, start + 35), hot_share=0.5, kernel_s=10.0, asynchronous=False)
    durations = [seconds(lambda: device.launch(device.queues[0], {}, 0)) for _ in range(4)]
    assert durations == pytest.approx([10.0, 10.0, 20.0, 10.0], abs=0.1)


def test_a_device_without_a_queue_takes_the_hosts_time() -> None:
    """The launch is the work."""
    device = make(asynchronous=False, kernel_s=10.0)
    assert seconds(lambda: device.launch(device.queues[0], {}, 0)) == pytest.approx(10.0, abs=0.1)


def test_a_device_that_does_not_wait_returns_at_once() -> None:
    """The fault that measurements have to see."""
    device = make(synchronizes=False, kernel_s=10.0)
    device.launch(device.queues[0], {}, 0)
    assert seconds(device.synchronize) < 1


def test_times_vary_as_much_as_they_should() -> None:
    """Their mean is the parameter."""
    device = make(jitter=0.1)
    drawn = [device.vary(1.0) for _ in range(1000)]
    assert sum(drawn) / 1000 == pytest.approx(1.0, abs=0.02)
    assert 0.5 < min(drawn) < 0.9
