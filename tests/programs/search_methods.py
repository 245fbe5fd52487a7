"""The worst deviation that each way of drawing inputs finds in equal time, on one core.

``python -m programs.search_methods [TARGET]`` in the folder ``tests`` prints a row for each softmax and log-softmax.
For the nine shipped ones it takes 44 minutes, and with ``--seconds 3`` 13 minutes.

Every way examines rows of eight classes for the same time. Its score is the largest deviation it finds: in ulp for a
softmax, and relative to the conditioned bound for a log-softmax, whose ulp means little near zero. Scores are relative
to the best score, including a longer search; each is the median over the seeds. All ways draw from the whole domain of
the contract, and none knows the thresholds.
"""

import argparse
import itertools
import math
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import hypothesis
import numpy as np
import torch
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st
from tabulate import tabulate

from harness.calling.target import load
from harness.case import Case
from harness.contracts import contract_named
from harness.contracts.building_blocks.logit_rows import largest_logit
from harness.floats.format import FORMATS
from harness.laws.standard_rays import COLUMNS
from harness.laws.strategies import STRUCTURES, batches, thresholds
from harness.surveyor.search import ROWS, Budget, Objective, search
from harness.timing.clock import threads
from harness.verdict.draw import draw_reproducibly
from harness.verdict.job import Job

SECONDS, SEEDS, LONGER = 10.0, 5, 4
"""Seconds per method, number of seeds, and factor for the longer reference search."""

OBJECTIVES: Mapping[str, Objective] = {"softmax": "deviation", "log_softmax": "ratio"}
"""Objective of the search, by contract."""


def value_job(case: Case) -> Job:
    """Return the job of the law on values."""
    contract = contract_named(case.contract)
    return Job(case, contract, next(law for law in contract.laws if law.name == "value"), FORMATS["float32"])


def _objective(job: Job) -> Objective:
    return OBJECTIVES[job.contract.name]


class _Record:
    """The largest deviation and the number of rows within the time limit."""

    def __init__(self, job: Job, seconds: float) -> None:
        self.job, self.until = job, time.perf_counter() + seconds
        self.score, self.rows = 0.0, 0

    def look(self, logits: torch.Tensor) -> float:
        """Measure some rows, and return the worst deviation."""
        measurement = self.job.subject.measure(self.job.law, {"logits": logits})
        values = measurement.ratio if _objective(self.job) == "ratio" else measurement.deviation
        worst = float(values.max())
        self.score, self.rows = max(self.score, worst), self.rows + len(logits)
        return worst

    @property
    def over(self) -> bool:
        """Whether the time is up, or nothing worse exists."""
        return time.perf_counter() >= self.until or self.score == float("inf")


def random_normal(job: Job, seconds: float, seed: int) -> tuple[float, int]:
    """Standard normal logits in batches."""
    record, generator = _Record(job, seconds), torch.Generator().manual_seed(seed)
    while not record.over:
        record.look(torch.randn(ROWS, COLUMNS, generator=generator))
    return record.score, record.rows


def plain_hypothesis(job: Job, seconds: float, seed: int) -> tuple[float, int]:
    """Hypothesis floats over the whole domain, one row per example, as in a test written by hand."""
    return _hypothesis(job, seconds, seed, target=False)


def targeted_hypothesis(job: Job, seconds: float, seed: int) -> tuple[float, int]:
    """The same with ``target()`` on the deviation."""
    return _hypothesis(job, seconds, seed, target=True)


def _hypothesis(job: Job, seconds: float, seed: int, *, target: bool) -> tuple[float, int]:
    largest = largest_logit(job.format)
    drawn = st.lists(st.floats(-largest, largest, width=32), min_size=COLUMNS, max_size=COLUMNS)

    def look(record: _Record, row: list[float]) -> None:
        worst = record.look(torch.tensor([row]))
        if target and np.isfinite(worst):
            hypothesis.target(worst)

    return _drawn(job, seconds, seed, drawn, look, phases=(Phase.generate, *([Phase.target] if target else [])))


def structured(job: Job, seconds: float, seed: int) -> tuple[float, int]:
    """Batches of structured rows as in a check, without those near thresholds."""
    structures = tuple(structure for structure in STRUCTURES if structure is not thresholds)
    drawn = batches(
        job.format,
        structures=structures,
        largest=largest_logit(job.format),
        rows=(ROWS, ROWS),
        columns=(COLUMNS, COLUMNS),
        narrow=COLUMNS,
    )
    return _drawn(job, seconds, seed, drawn, _Record.look, phases=(Phase.generate,))


class _Over(Exception):  # noqa: N818 - a signal from inside Hypothesis
    pass


def _drawn(
    job: Job,
    seconds: float,
    seed: int,
    drawn: st.SearchStrategy[Any],
    look: Callable[[_Record, Any], object],
    *,
    phases: tuple[Phase, ...],
) -> tuple[float, int]:
    """Draw with Hypothesis, 2,000 examples at a time, until the time is up, after a warm-up."""

    def run(record: _Record, seed: int, examples: int) -> None:
        @hypothesis.seed(seed)
        @settings(
            max_examples=examples,
            phases=phases,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.quiet,
        )
        @given(drawn)
        def once(example: Any) -> None:
            # At least one row is measured: there is no score without a row.
            if record.over and record.rows:
                raise _Over
            look(record, example)

        once()

    with draw_reproducibly():
        run(_Record(job, 1e9), seed, 2)
        record = _Record(job, seconds)
        with suppress(_Over):
            for number in itertools.count():
                run(record, seed * 1000 + number, 2000)
    return record.score, record.rows


def evolved(job: Job, seconds: float, seed: int) -> tuple[float, int]:
    """Our own search, in ordinal space."""
    outcome = search(job, Budget(seconds=seconds, objectives=(_objective(job),), thresholds=False, seed=seed))
    return outcome.best[0].score, outcome.rows


Way = Callable[[Job, float, int], tuple[float, int]]

WAYS: Mapping[str, Way] = {
    "random normal": random_normal,
    "Hypothesis": plain_hypothesis,
    "Hypothesis with target": targeted_hypothesis,
    "structured batches": structured,
    "evolved in ordinal space": evolved,
}
"""The ways, by name."""


def share_of_best(score: float, best: float) -> float:
    """Return the share of the best known deviation that a search found; of an infinite one, all or nothing."""
    if score == best:
        return 1.0
    return 0.0 if math.isinf(best) else score / best


def compare(case: Case, seconds: float, seeds: int) -> dict[str, str]:
    """Return the row of an implementation."""
    job = value_job(case)
    scores = {name: [way(job, seconds, seed)[0] for seed in range(seeds)] for name, way in WAYS.items()}
    best = max(evolved(job, LONGER * seconds, 0)[0], *itertools.chain(*scores.values()))
    shares = {name: f"{share_of_best(statistics.median(each), best):.1%}" for name, each in scores.items()}
    unit = "of its bound" if _objective(job) == "ratio" else "ulp"
    return {"case": case.name, "best known": f"{best:.4g} {unit}", **shares}


def main() -> None:
    """Read the command line, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", nargs="?", default="cases")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    given = parser.parse_args()
    cases = [case for case in load(given.target) if case.contract in OBJECTIVES]
    with threads(1):
        print(tabulate([compare(case, given.seconds, given.seeds) for case in cases], headers="keys"))


if __name__ == "__main__":
    main()
