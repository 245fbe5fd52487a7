"""Estimates: a point, its interval, the level and the method; and the methods.

The estimated quantities are positive and vary by factors rather than by amounts, so every method works on logarithms.
The method for a series depends on the measurement:

=========================  ========================================================================
:func:`geometric_mean`     slices of one case: Student's interval on the logarithms
:func:`mean_ratio`         slices of two cases in pairs: the same, for the ratios of the pairs
:func:`median_ratio`       interleaved rounds of two cases: the median, which is robust against
                           interrupted rounds, with a bootstrap over the rounds
:func:`bounded_ratio`      pairs of processes: one-sided bounds for the decision of a gate
=========================  ========================================================================

NumPy and SciPy are imported lazily: their import takes most of the start time of the command, and starts threads.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

LEVEL = 0.95
"""Confidence level of all intervals and one-sided bounds."""

RESAMPLES = 2000
"""Resamples of the bootstrap; twice as many change the second digit of an interval's width."""

FEWEST = 5
"""Rounds below which the bootstrap has no interval."""


class Method(StrEnum):
    """Method of an estimate."""

    STUDENT = "geometric mean, Student's interval on the logarithms"
    BOOTSTRAP = "median of the ratios within the rounds, percentile bootstrap over the rounds"
    ONE_SIDED = "geometric mean, one-sided bounds of Student's t on the logarithms"


@dataclass(frozen=True)
class Estimate:
    """A positive quantity and its interval; NaN if unknown.

    Parameters
    ----------
    point
        The estimate itself.
    low, high
        Ends of the interval; 0 and infinity if a single number gives no spread.
    method
        The method.
    level
        Level of the interval, or of each end for a one-sided method.
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

    @property
    def is_one(self) -> bool:
        """Whether the interval holds one: of a ratio, that the two do not differ visibly."""
        return self.low <= 1.0 <= self.high

    def is_within(self, share: float) -> bool:
        """Whether both ends of the interval are within a share of the point; not so where it is not known."""
        return self.point * (1 - share) <= self.low <= self.high <= self.point * (1 + share)

    @property
    def inverse(self) -> "Estimate":
        """The same of the reciprocal."""
        low, high = 0.0 if math.isinf(self.high) else 1.0 / self.high, math.inf if self.low == 0.0 else 1.0 / self.low
        return replace(self, point=1.0 / self.point, low=low, high=high)

    def through(self, increasing: Callable[[float], float]) -> "Estimate":
        """Return the same of an increasing function of the quantity."""
        return replace(self, point=increasing(self.point), low=increasing(self.low), high=increasing(self.high))


UNKNOWN = Estimate(math.nan, math.nan, math.nan, Method.BOOTSTRAP)
"""Estimate for series that were not measured interleaved."""


def geometric_mean(values: Sequence[float]) -> Estimate:
    """Return the geometric mean of positive values with Student's interval on their logarithms."""
    import numpy as np

    logs = np.log(values)
    center, error = float(logs.mean()), standard_error(logs)
    point = math.exp(center)
    if math.isinf(error):
        return Estimate(point, 0.0, math.inf, Method.STUDENT)
    if error == 0.0:
        return Estimate(point, point, point, Method.STUDENT)
    low, high = (_quantile((1.0 + end) / 2, len(logs) - 1) * error + center for end in (-LEVEL, LEVEL))
    return Estimate(point, math.exp(low), math.exp(high), Method.STUDENT)


def mean_ratio(numerator: Sequence[float], denominator: Sequence[float]) -> Estimate:
    """Return the ratio of values that were measured in couples, one shortly after the other."""
    return geometric_mean([above / below for above, below in zip(numerator, denominator, strict=True)])


def median_ratio(numerator: Sequence[float], denominator: Sequence[float]) -> Estimate:
    """Return the ratio of two series whose rounds are paired by position.

    Notes
    -----
    The ratio is taken within each round, in which both ran on the same machine state. The median over the rounds is
    robust against interruptions. The interval is a percentile bootstrap over the rounds, with a fixed seed. All rounds
    belong to one process: the interval shows how well this process knows the ratio, not its variation between
    processes. Series that were not interleaved, or have too few rounds, give an unknown ratio. The result is cached,
    since a page uses it in several places.
    """
    return _median_ratio(tuple(numerator), tuple(denominator))


@lru_cache(maxsize=1024)
def _median_ratio(numerator: tuple[float, ...], denominator: tuple[float, ...]) -> Estimate:
    import numpy as np
    from scipy import stats

    if len(numerator) != len(denominator) or len(numerator) < FEWEST:
        return UNKNOWN
    logs = np.log(np.asarray(numerator)) - np.log(np.asarray(denominator))
    if not np.isfinite(logs).all():
        return UNKNOWN
    point = float(np.exp(np.median(logs)))
    if np.ptp(logs) == 0.0:
        return Estimate(point, point, point, Method.BOOTSTRAP)
    ends = stats.bootstrap(
        (logs,), np.median, method="percentile", confidence_level=LEVEL, n_resamples=RESAMPLES, rng=0
    ).confidence_interval
    return Estimate(point, float(np.exp(ends.low)), float(np.exp(ends.high)), Method.BOOTSTRAP)


def bounded_ratio(log_ratios: Sequence[float]) -> Estimate:
    """Return the ratio whose logarithms were measured, one in each couple of processes, with a bound on either side."""
    import numpy as np

    center, reach = float(np.mean(log_ratios)), one_sided_reach(standard_error(log_ratios), len(log_ratios))
    return Estimate(math.exp(center), math.exp(center - reach), math.exp(center + reach), Method.ONE_SIDED)


def standard_error(values: "Sequence[float] | np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> float:
    """Return the standard error of the mean; infinite for fewer than two values."""
    import numpy as np

    return float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.inf


def one_sided_reach(error: float, number: int) -> float:
    """Return the distance of a one-sided bound from a mean of ``number`` values; infinite for fewer than two."""
    return _quantile(LEVEL, number - 1) * error if number > 1 else math.inf


@cache
def _quantile(level: float, freedom: int) -> float:
    """Of Student's t; SciPy takes longer for it than all else in an estimate, and few are ever asked for."""
    from scipy import stats

    return float(stats.t.ppf(level, freedom))
