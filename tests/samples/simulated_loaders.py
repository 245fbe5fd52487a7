"""Simulated loaders: a rate for each choice, noise, drift, start-up, and batches that take time."""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from harness.tuner.loader_choice import Choice
from harness.tuner.search import LoaderSearch, LoaderSearchSettings, SearchState
from harness.tuner.slices import Measured
from harness.tuner.tuning import SearchSpace

GRID = SearchSpace((32, 128, 512), (0, 1, 2, 4), (2, 4)).grid()
CORES = 2
START_S, HOP_S, OVERHEAD_S = 0.05, 3e-4, 4e-5
"""Seconds to start a worker, to pass a batch from a worker, and to make any batch."""


def per_item(work_s: float, *, computes: bool) -> Callable[[Choice], float]:
    """Return the rate of a data set whose items take ``work_s`` each, by computing or by waiting."""

    def rate(one: Choice) -> float:
        made_s = OVERHEAD_S + one.batch_size * work_s
        if not one.workers:
            return one.batch_size / made_s
        hop_s = HOP_S + one.batch_size * 1e-7
        # The receiving process computes too: slightly more than one core remains for the workers.
        at_once = min(one.workers, CORES - hop_s / (hop_s + made_s)) if computes else one.workers
        crowded = 1.0 + 0.04 * max(0, one.workers - CORES) if computes else 1.0
        return one.batch_size / max(hop_s, made_s / at_once * crowded + 0.1 * hop_s)

    return rate


RATES: Mapping[str, Callable[[Choice], float]] = {
    "in memory": per_item(5e-7, computes=True),
    "decode-heavy": per_item(200e-6, computes=True),
    "sleepy": per_item(5e-4, computes=False),
}
"""Samples per second of a configuration, without noise."""

NOISE = 0.05


@dataclass
class Simulated:
    """A simulated loader with a name from :data:`RATES`, whose seed draws noise and drift."""

    name: str
    seed: int
    now_s: float = 0.0
    started: dict[Choice, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.phase = self.random.uniform(0.0, 2.0 * math.pi)

    def __call__(self, one: Choice, seconds: float) -> Measured:
        """Measure whole turns of the workers, like the real probe."""
        rate = RATES[self.name](one)
        turn_s = one.batch_size * max(1, one.workers) / rate
        # A batch that takes as long as a slice is the slice; otherwise a turn of the workers is discarded.
        warming_s = 0.0 if not one.workers and turn_s >= seconds else turn_s
        warming_s += 0.0 if one in self.started else START_S * (1 + one.workers)
        self.started[one] = True
        turns = max(1, math.ceil(seconds / turn_s))
        drift = 0.1 * math.sin(2.0 * math.pi * self.now_s / 20.0 + self.phase)
        error = self.random.gauss(0.0, NOISE * math.sqrt(0.1 / (0.05 + turns * turn_s)))
        took_s = turns * turn_s * math.exp(error + drift)
        self.now_s += took_s + warming_s
        return Measured(turns * one.batch_size * max(1, one.workers), took_s, took_s + warming_s)


def tuned(name: str, seed: int, **settings: object) -> SearchState:
    """Return the result of a search."""
    search = LoaderSearch(GRID, Simulated(name, seed), LoaderSearchSettings(cores=CORES, seed=seed, **settings))  # type: ignore[arg-type]
    (*_, last) = search.run()
    return last
