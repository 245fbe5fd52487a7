"""Estimates of positive quantities: a point, its interval, the level and the method.

The quantities scatter by a factor rather than by an amount, so all methods work on logarithms. The function depends on
how a series was measured:

=========================  ========================================================================
:func:`geometric_mean`     slices of one thing: the geometric mean
:func:`mean_ratio`         slices of two things in pairs: the geometric mean of the ratios of the pairs
:func:`median_ratio`       interleaved rounds of two things: the median ratio, which ignores interrupted rounds
:func:`bounded_ratio`      pairs of processes: one-sided bounds for a gate
=========================  ========================================================================

The first three cut the series into :data:`BLOCKS` blocks of consecutive values and apply Student's t to the means or
medians of the blocks. Neighboring rounds resemble each other, and an interval that treats them as independent is too
narrow. ``tests/record/test_coverage.py`` measures how often the intervals hold the truth.

NumPy is imported only after a measurement: its import takes much of the startup time of the command, and starts
threads.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

LEVEL = 0.95
"""Confidence level of all intervals and one-sided bounds."""

BLOCKS = 4
"""Number of blocks of consecutive rounds. More blocks give narrower intervals, which miss the truth more often where
neighboring rounds resemble each other."""

MIN_SAMPLES = 5
"""Minimum number of rounds for a median ratio."""


class Method(StrEnum):
    """How an estimate was made."""

    STUDENT = "geometric mean, Student's t interval from the means of blocks of rounds, on the logarithms"
    BLOCKED = "median of the ratios within the rounds, Student's t interval from the medians of blocks of rounds"
    ONE_SIDED = "geometric mean, one-sided bounds of Student's t on the logarithms"


@dataclass(frozen=True)
class Estimate:
    """A positive quantity and its interval; NaN if unknown.

    Parameters
    ----------
    point
        Point estimate.
    low, high
        Ends of the interval; 0 and infinity after a single measurement.
    method
        Method of the estimate.
    level
        Level of the interval, or of each end if the method is one-sided.
    """

    point: float
    low: float
    high: float
    method: Method
    level: float = LEVEL

    @property
    def is_known(self) -> bool:
        """Whether there is an estimate."""
        return not math.isnan(self.point)

    def is_within(self, share: float) -> bool:
        """Whether both ends of the interval are within this share of the point; false if unknown."""
        return self.point * (1 - share) <= self.low <= self.high <= self.point * (1 + share)

    @property
    def inverse(self) -> "Estimate":
        """The estimate of the reciprocal."""
        low, high = 0.0 if math.isinf(self.high) else 1.0 / self.high, math.inf if self.low == 0.0 else 1.0 / self.low
        return replace(self, point=1.0 / self.point, low=low, high=high)

    def through(self, increasing: Callable[[float], float]) -> "Estimate":
        """Return the estimate of an increasing function of the quantity."""
        return replace(self, point=increasing(self.point), low=increasing(self.low), high=increasing(self.high))


UNKNOWN = Estimate(math.nan, math.nan, math.nan, Method.BLOCKED)
"""Estimate for series that were not measured interleaved."""


def geometric_mean(values: Sequence[float]) -> Estimate:
    """Return the geometric mean of positive values; the interval of a single value is unbounded."""
    import numpy as np

    logs = np.log(values)
    return _estimate_center(logs, np.mean, Method.STUDENT)


def mean_ratio(numerator: Sequence[float], denominator: Sequence[float]) -> Estimate:
    """Return the geometric mean of the ratios of values that were measured in pairs."""
    return geometric_mean([above / below for above, below in zip(numerator, denominator, strict=True)])


def median_ratio(numerator: Sequence[float], denominator: Sequence[float]) -> Estimate:
    """Return the median ratio of two series in which the same round has the same position.

    Notes
    -----
    Both series meet the same machine within a round, so the ratio is taken per round. The median ignores rounds that
    something else interrupted. All rounds come from one process: the interval does not include differences between
    processes. The ratio is unknown for series of different lengths and for fewer than :data:`MIN_SAMPLES` rounds.
    """
    import numpy as np

    if len(numerator) != len(denominator) or len(numerator) < MIN_SAMPLES:
        return UNKNOWN
    logs = np.log(np.asarray(numerator)) - np.log(np.asarray(denominator))
    return _estimate_center(logs, np.median, Method.BLOCKED) if np.isfinite(logs).all() else UNKNOWN


def _estimate_center(logs: "Array", center: "Callable[[Array], np.floating]", method: Method) -> Estimate:
    """Return the center of all logarithms, with the t interval from the centers of blocks of neighbors."""
    import numpy as np

    point = float(center(logs))
    blocks = [float(center(block)) for block in np.array_split(logs, min(BLOCKS, len(logs)))]
    error = standard_error(blocks)
    if math.isinf(error):
        return Estimate(math.exp(point), 0.0, math.inf, method)
    middle, reach = float(np.mean(blocks)), _compute_quantile((1.0 + LEVEL) / 2, len(blocks) - 1) * error
    # The blocks of an uneven split have unequal sizes, so the middle of the blocks differs from the point.
    return Estimate(math.exp(point), math.exp(min(middle - reach, point)), math.exp(max(middle + reach, point)), method)


def bounded_ratio(log_ratios: Sequence[float]) -> Estimate:
    """Return the ratio from its logarithms, one for each pair of processes, with a bound on either side."""
    import numpy as np

    center, reach = float(np.mean(log_ratios)), one_sided_reach(standard_error(log_ratios), len(log_ratios))
    return Estimate(math.exp(center), math.exp(center - reach), math.exp(center + reach), Method.ONE_SIDED)


def standard_error(values: "Sequence[float] | Array") -> float:
    """Return the standard error of the mean; infinite for fewer than two values."""
    import numpy as np

    return float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.inf


def one_sided_reach(error: float, number: int) -> float:
    """Return the distance of a one-sided bound from a mean of ``number`` values with this standard error."""
    return _compute_quantile(LEVEL, number - 1) * error if number > 1 else math.inf


@cache
def _compute_quantile(level: float, freedom: int) -> float:
    """Return a quantile of Student's t, for a level above a half."""
    low, high = 0.0, 1.0
    while _compute_share_below(high, freedom) < level:
        low, high = high, 2 * high
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if _compute_share_below(middle, freedom) < level else (low, middle)
    return high


def _compute_share_below(t: float, freedom: int) -> float:
    """Return the share of Student's t below a positive ``t`` (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    angle = math.atan2(t, math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    total, term = 0.0, cosine if odd else 1.0
    for number in range(1 + odd, freedom + odd, 2):
        total += term
        term *= cosine * cosine * number / (number + 1)
    return 0.5 + ((angle + sine * total) / math.pi if odd else sine * total / 2)
