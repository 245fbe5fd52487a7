"""Slices of configurations: their rates, and whether the rates of two configurations are distinguishable."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.record.estimate import one_sided_reach
from harness.tuner.loader_choice import Choice


@dataclass(frozen=True)
class Measured:
    """One short measurement of a configuration.

    Parameters
    ----------
    samples
        Samples delivered; 1 or more.
    seconds
        Duration of the delivery.
    spent_s
        Total duration, including start and warm-up.
    is_cold
        Whether the first batch is part of the slice.
    """

    samples: int
    seconds: float
    spent_s: float
    is_cold: bool = False

    @property
    def rate(self) -> float:
        """Samples per second."""
        return self.samples / self.seconds


def overall(slices: Sequence[Measured]) -> float:
    """Return the total rate of the warm slices.

    The mean of the rates would favor slices without a slow item, if items are uneven.
    """
    warm = _filter_warm(slices)
    return sum(measured.samples for measured in warm) / math.fsum(measured.seconds for measured in warm)


def rates_of(slices: Sequence[Measured]) -> list[float]:
    """Return the rates of the warm slices."""
    return [measured.rate for measured in _filter_warm(slices)]


def differ(slices: Mapping[Choice, Sequence[Measured]], first: Choice, second: Choice, *, least: float) -> bool:
    """Whether two rates differ by more than scatter, as estimated from the slices of every configuration.

    A few slices of a single configuration say little about scatter. Before any configuration has two slices, two rates
    differ if their ratio is below ``least``.
    """
    if first == second:
        return False
    logs = {choice: [math.log(rate) for rate in rates_of(measured)] for choice, measured in slices.items()}
    distance = abs(_compute_mean(logs[first]) - _compute_mean(logs[second]))
    freedom = sum(len(choice_logs) - 1 for choice_logs in logs.values())
    if freedom == 0:
        return distance > -math.log(least)
    residuals = math.fsum(
        (log - _compute_mean(choice_logs)) ** 2 for choice_logs in logs.values() for log in choice_logs
    )
    error = math.sqrt(residuals / freedom * (1 / len(logs[first]) + 1 / len(logs[second])))
    return distance > one_sided_reach(error, freedom + 1)


def _filter_warm(slices: Sequence[Measured]) -> Sequence[Measured]:
    """Return the slices without a first batch, or all if each has one."""
    return [measured for measured in slices if not measured.is_cold] or slices


def _compute_mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
