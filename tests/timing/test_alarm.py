"""Alarms ring in time, repeat if requested, and restore the previous handler."""

import signal
import threading
import time
from types import FrameType

import pytest

from harness.timing.alarm import alarm


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
    with pytest.raises(Overdue), alarm(0.05, Overdue, interval_s=0.05):
        wait_for_ever(stubborn=3)


@pytest.mark.parametrize("limit_s", [0.05, 60.0])
def test_the_alarm_is_given_back(limit_s: float) -> None:
    """The previous handler is restored, whether the alarm rang or not, and no alarm rings later."""

    def earlier(_: int, __: FrameType | None) -> None: ...

    before = signal.signal(signal.SIGALRM, earlier)
    try:
        try:
            with alarm(limit_s, Overdue, interval_s=0.05):
                time.sleep(0.2)
        except Overdue:
            assert limit_s < 0.2
        assert signal.getsignal(signal.SIGALRM) is earlier
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    finally:
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
