"""Compare the tuner with exhaustive measurement and rules of thumb, on simulated data sets.

The twelve named data sets were written before the first run of the tuner. Its misses led to corrections; after these,
randomly drawn data sets were tried for the first time.
"""

import math
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from regret.world import CORES, Costs, on_paper, rate
from rich.console import Console
from rich.table import Table

from harness.error import UsageError
from harness.tuner.loader_choice import Choice, LoaderKind
from harness.tuner.search_space import SearchSpace, worker_counts
from harness.tuner.tuning import Tuning

SECONDS = 4.0
"""Seconds per choice in an exhaustive measurement."""

NEAR, QUICK = 0.95, 0.2
"""The tuner must reach this share of the best rate in this share of the time."""

SEEDS = 5
WISH = SearchSpace((32, 128, 512), worker_counts(CORES))

HELD_APART: Mapping[str, Costs] = {
    "rows": Costs(computes=3e-6, at_once=2e-8, hop=2.5e-4),
    "memory-mapped": Costs(computes=4e-5, item_hop=2e-6),
    "wide": Costs(computes=6.6e-5, item_hop=2e-5),
    "photos": Costs(computes=1.4e-3, item_hop=8e-6),
    "icons": Costs(computes=1.3e-4, item_hop=2e-6),
    "words": Costs(computes=1.8e-5, item_hop=3e-7),
    "slow store": Costs(computes=3e-5, waits=2e-3),
    "near store": Costs(computes=3e-5, waits=1.6e-4, item_hop=8e-7),
    "uneven": Costs(computes=7e-6, waits=2e-4, uneven=100),
    "half and half": Costs(computes=1.2e-4, waits=1.6e-4),
    "asked at once": Costs(computes=2e-6, asks=2e-2),
    "cached store": Costs(computes=2e-5, waits=5e-4),
}
"""Costs of the data sets of `harness bench tuner`, by name; a cached store represents its stream."""

DRAWN = 20


def drawn(number: int) -> Costs:
    """Return costs drawn at random over all magnitudes: a third wait, a third compute, a third do both."""
    generator = random.Random(f"costs {number}")

    def between(low: float, high: float) -> float:
        return math.exp(generator.uniform(math.log(low), math.log(high)))

    kind = generator.randrange(3)
    return Costs(
        computes=between(1e-6, 2e-3) if kind else between(1e-6, 3e-5),
        waits=0.0 if kind == 1 else between(2e-5, 5e-3),
        hop=between(2e-4, 2e-3),
        item_hop=between(1e-7, 2e-5),
        at_once=between(1e-8, 1e-6) if generator.random() < 0.2 else None,
        uneven=generator.choice((1, 1, 20)),
    )


JUDGED_ON: Mapping[str, Costs] = {**HELD_APART, **{f"drawn {number}": drawn(number) for number in range(1, DRAWN + 1)}}
"""The named data sets and random ones."""


@dataclass(frozen=True)
class Judged:
    """A run of the tuner: its choice, its rate relative to the best, and its time relative to measuring all."""

    choice: Choice
    share: float
    time: float

    @property
    def reaches_both(self) -> bool:
        """Whether it reached both targets."""
        return self.share >= NEAR and self.time <= QUICK


def choices(costs: Costs) -> tuple[Choice, ...]:
    """Return all choices of an exhaustive measurement."""
    return (*WISH.grid(), *(WISH.grid(LoaderKind.BATCHES) if costs.at_once is not None else ()))


def rates(costs: Costs) -> dict[Choice, float]:
    """Return the rate of each choice."""
    return {choice: rate(costs, choice) for choice in choices(costs)}


def judged(costs: Costs, known: Mapping[Choice, float], seed: int) -> Judged:
    """Run the tuner once within its time limit."""
    all_s = SECONDS * len(known)
    with on_paper(costs, seed) as items:
        tuning = Tuning(items, WISH, cores=CORES, seconds=QUICK * all_s, seed=seed)
        try:
            (*_, standing) = tuning.run()
        except UsageError:  # at the limit, nothing was measured twice
            return Judged(min(known, key=known.__getitem__), 0.0, tuning.spent_s / all_s)
    return Judged(standing.best, known[standing.best] / max(known.values()), tuning.spent_s / all_s)


def ruled(known: Mapping[Choice, float], workers: int) -> float:
    """Return the share of the best rate for a number of workers, with the best batch size."""
    usual = (known[choice] for choice in known if choice.workers == workers and choice.kind is LoaderKind.ITEMS)
    return max(usual) / max(known.values())


def main(names: Sequence[str]) -> int:
    """Judge the tuner on the named data sets, by default all, and return the exit code."""
    table = Table("data set", "best of all", "chosen most often")
    for heading in ("rate to best", "least", "time to all", "most", "workers = cores", "torch's default"):
        table.add_column(heading, justify="right", no_wrap=True)
    reached = []
    for name in names or JUDGED_ON:
        costs = JUDGED_ON[name]
        known = rates(costs)
        runs = [judged(costs, known, seed) for seed in range(SEEDS)]
        shares, times = [run.share for run in runs], [run.time for run in runs]
        middle = Judged(runs[0].choice, statistics.median(shares), statistics.median(times))
        reached.append(middle.reaches_both)
        table.add_row(
            name,
            str(max(known, key=known.__getitem__)),
            statistics.mode(str(run.choice) for run in runs),
            *(f"{share:.1%}" for share in (middle.share, min(shares), middle.time, max(times))),
            *(f"{ruled(known, workers):.1%}" for workers in (CORES, 0)),
        )
    out = Console(highlight=False, soft_wrap=True, markup=False)
    out.print(table)
    held = f"at least {NEAR:.0%} of the best rate in at most {QUICK:.0%} of the time"
    out.print(f"medians of {SEEDS} runs: {held} on {sum(reached)} of {len(reached)} data sets")
    return int(10 * sum(reached) < 9 * len(reached))
