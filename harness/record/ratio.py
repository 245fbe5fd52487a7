"""The ratio of two times that were measured in turns, with an interval over the rounds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

LEVEL = 0.95
"""Level of every interval."""

RESAMPLES = 2000
"""Resamples of the bootstrap; twice as many change the second digit of an interval's width."""

FEWEST = 5
"""Rounds below which there is no interval."""


class Ratio(NamedTuple):
    """An estimate and its interval; NaN where it is not known.

    Parameters
    ----------
    ratio
        Median of the ratios within the rounds.
    low, high
        Ends of its 95 % interval. The rounds are those of one process: the interval says how well this process knows
        the ratio, not how the ratio differs from one process to the next.
    """

    ratio: float
    low: float
    high: float

    @property
    def is_one(self) -> bool:
        """Whether the interval holds one: the two are not told apart."""
        return self.low <= 1.0 <= self.high


UNKNOWN = Ratio(float("nan"), float("nan"), float("nan"))


def ratio(numerator_s: Sequence[float], denominator_s: Sequence[float]) -> Ratio:
    """Return the ratio of two series of times, in which the same round has the same place.

    Notes
    -----
    The ratio is taken within each round, where both have met the same machine; the median over the rounds does not
    mind those that something else interrupted. Its interval is a percentile bootstrap over the rounds, with a fixed
    seed. Series that were not measured in turns, or too few rounds, give an unknown ratio.
    """
    from scipy import stats

    if len(numerator_s) != len(denominator_s) or len(numerator_s) < FEWEST:
        return UNKNOWN
    logs = np.log(np.asarray(numerator_s)) - np.log(np.asarray(denominator_s))
    if not np.isfinite(logs).all():
        return UNKNOWN
    middle = float(np.exp(np.median(logs)))
    if np.ptp(logs) == 0.0:
        return Ratio(middle, middle, middle)
    found = stats.bootstrap(
        (logs,), np.median, method="percentile", confidence_level=LEVEL, n_resamples=RESAMPLES, rng=0
    ).confidence_interval
    return Ratio(middle, float(np.exp(found.low)), float(np.exp(found.high)))
