"""Simulated slices: machines with every kind of disturbance, and a known slowdown."""

from collections.abc import Callable

import numpy as np

SLICES = 6
"""Slices of an arm in a couple."""

CALL_S = 1e-4

Machine = Callable[[np.random.Generator, np.ndarray, int], np.ndarray]
"""``machine(rng, start, arm)`` returns the slowdown of slices in an arm that start at a fraction of a run."""


def quiet(rng: np.random.Generator, start: np.ndarray, arm: int) -> np.ndarray:
    """Half a percent of noise, which only lengthens times."""
    return 1.0 + rng.exponential(0.005, start.shape)


def drifting(rng: np.random.Generator, start: np.ndarray, arm: int) -> np.ndarray:
    """The clock slows down by a fifth during a run."""
    return quiet(rng, start, arm) * (1.0 + 0.2 * start)


def bursting(rng: np.random.Generator, start: np.ndarray, arm: int) -> np.ndarray:
    """A neighbor takes half of the core for a third of the time, several times per couple.

    Bursts as long as a couple cost power, but cause no alarm: a couple at the edge of a burst is an outlier.
    """
    return quiet(rng, start, arm) * np.where(np.sin(400.0 * start + 1.0) > 0.5, 1.5, 1.0)


def long_bursting(rng: np.random.Generator, start: np.ndarray, arm: int) -> np.ndarray:
    """A neighbor is busy for several couples at a time."""
    return quiet(rng, start, arm) * np.where(np.sin(40.0 * start + 1.0) > 0.5, 1.5, 1.0)


def laid_out(rng: np.random.Generator, start: np.ndarray, arm: int) -> np.ndarray:
    """Each process has a constant bias of two percent from its memory layout."""
    return quiet(rng, start, arm) * np.exp(rng.normal(0.0, 0.02))


def heavy_tailed(rng: np.random.Generator, start: np.ndarray, arm: int) -> np.ndarray:
    """A few slices take many times as long."""
    return 1.0 + 0.01 * rng.pareto(1.0, start.shape)


def crowded(rng: np.random.Generator, start: np.ndarray, arm: int) -> np.ndarray:
    """A neighbor shares the core for nine tenths of the time, and changes from slice to slice."""
    return quiet(rng, start, arm) * np.where(rng.random(start.shape) < 0.1, 1.0, 1.4)


def slow_arm(rng: np.random.Generator, start: np.ndarray, arm: int) -> np.ndarray:
    """The second base is always slower by four percent: the machine favors a process."""
    return quiet(rng, start, arm) * (1.04 if arm == 2 else 1.0)


HONEST = {
    "quiet": quiet,
    "drift": drifting,
    "bursts": bursting,
    "layout bias": laid_out,
    "heavy tails": heavy_tailed,
    "crowded": crowded,
}
"""Machines that treat all processes alike."""


def couple(rng: np.random.Generator, machine: Machine, slowdown: float, when: float) -> list[list[float]]:
    """Return the fastest rounds of base, candidate and second base, interleaved in random order."""
    order = np.concatenate([rng.permutation(3) for _ in range(SLICES)])
    starts = when + np.arange(len(order)) / len(order) / 20.0
    work = (1.0, 1.0 + slowdown, 1.0)
    return [list(CALL_S * work[arm] * machine(rng, starts[order == arm], arm)) for arm in range(3)]
