"""Rates and their ratios from short slices of measurement, with confidence intervals. It imports no torch.

Slices scatter by a factor rather than by an amount, so that means and intervals are of logarithms.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.record.ratio import LEVEL


@dataclass(frozen=True)
class IntervalEstimate:
    """A positive quantity and its confidence interval; without bounds where one slice says nothing about scatter.

    Parameters
    ----------
    value
        The geometric mean.
    low, high
        Ends of the interval at :data:`harness.record.ratio.LEVEL`.
    """

    value: float
    low: float
    high: float

    def __truediv__(self, scale: float) -> "IntervalEstimate":
        return IntervalEstimate(self.value / scale, self.low / scale, self.high / scale)

    def inverse(self) -> "IntervalEstimate":
        """The same of the reciprocal."""
        return IntervalEstimate(
            1.0 / self.value, 0.0 if math.isinf(self.high) else 1.0 / self.high, _reciprocal(self.low)
        )


def _reciprocal(low: float) -> float:
    return math.inf if low == 0.0 else 1.0 / low


def estimate(values: Sequence[float]) -> IntervalEstimate:
    """Return the geometric mean of positive values with Student's interval on their logarithms."""
    from scipy import stats  # half a second, and only needed once something was measured

    logs = np.log(values)
    center = float(logs.mean())
    if len(logs) < 2:
        return IntervalEstimate(math.exp(center), 0.0, math.inf)
    error = float(logs.std(ddof=1)) / math.sqrt(len(logs))
    if error == 0.0:
        return IntervalEstimate(math.exp(center), math.exp(center), math.exp(center))
    low, high = stats.t.interval(LEVEL, len(logs) - 1, loc=center, scale=error)
    return IntervalEstimate(math.exp(center), math.exp(float(low)), math.exp(float(high)))


def ratio(above: Sequence[float], below: Sequence[float]) -> IntervalEstimate:
    """Return the ratio of values that were measured in couples, one shortly after the other."""
    return estimate([numerator / denominator for numerator, denominator in zip(above, below, strict=True)])
