"""Simulated rounds with known truth, and how often an interval contains that truth."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.record import LEVEL, geometric_mean, median_ratio

Rounds = NDArray[np.float64]
Interval = Callable[[Rounds], tuple[float, float]]
"""Returns the ends of an interval for the center of some logarithms."""

NUMBERS = (5, 8, 12, 20, 30)
"""Numbers of rounds in use: 5 of slow loaders, 8 of stretches of a training loop, 12 and more of training steps."""

RHO = 0.5
"""Correlation of neighboring rounds in the correlated series."""


def independent(rng: np.random.Generator, number: int) -> Rounds:
    """Return independent normal noise around zero."""
    return rng.normal(size=number)


def correlated(rng: np.random.Generator, number: int) -> Rounds:
    """Return AR(1) noise around zero with correlation :data:`RHO` and unit variance."""
    noise = rng.normal(size=number)
    for place in range(1, number):
        noise[place] = RHO * noise[place - 1] + (1 - RHO**2) ** 0.5 * noise[place]
    return noise


def interrupted(rng: np.random.Generator, number: int) -> Rounds:
    """Return independent noise in which 5 % of the rounds deviate 15 times as much."""
    return rng.normal(size=number) * np.where(rng.random(number) < 0.05, 15.0, 1.0)


NOISES: Mapping[str, Callable[[np.random.Generator, int], Rounds]] = {
    "independent": independent,
    "AR(1), rho 0.5": correlated,
    "independent, 5 % interrupted": interrupted,
}


def of_medians(logs: Rounds) -> tuple[float, float]:
    """Return the interval of :func:`harness.record.median_ratio`."""
    found = median_ratio(list(np.exp(0.01 * logs)), [1.0] * len(logs))
    return found.low - 1.0, found.high - 1.0


def of_means(logs: Rounds) -> tuple[float, float]:
    """Return the interval of :func:`harness.record.geometric_mean`."""
    found = geometric_mean(list(np.exp(0.01 * logs)))
    return found.low - 1.0, found.high - 1.0


def of_students_t(logs: Rounds) -> tuple[float, float]:
    """Return Student's t interval, which takes rounds for independent."""
    found = stats.ttest_1samp(logs, 0.0).confidence_interval(LEVEL)
    return float(found.low), float(found.high)


def coverage(interval: Interval, noise: str, number: int, *, trials: int) -> float:
    """Return the share of simulated series whose interval contains the truth, which is zero."""
    rng = np.random.default_rng(number)
    ends = (interval(NOISES[noise](rng, number)) for _ in range(trials))
    return sum(low <= 0.0 <= high for low, high in ends) / trials
