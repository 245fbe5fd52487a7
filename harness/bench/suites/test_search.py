"""The worst deviation that each way of drawing inputs finds in equal time, on one core.

Every way examines rows of eight classes for the same time. Its score is the largest deviation it finds: in ulp for a
softmax, and relative to the conditioned bound for a log-softmax, whose ulp means little near zero. Scores are relative
to the best score, including a longer search. All ways draw from the whole domain of the contract, and
none knows the thresholds.
"""

import itertools
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st

from harness.bench.suites.benchmark import DTYPE, cases_of, keep, option, parametrize
from harness.case import Case
from harness.contracts import contract_named
from harness.contracts.building_blocks.logit_rows import largest_logit
from harness.floats.format import FORMATS
from harness.laws.standard_rays import COLUMNS
from harness.laws.strategies import STRUCTURES, batches, thresholds
from harness.record.bench import SearchRecord, names
from harness.surveyor.search import ROWS, Budget, Objective, search
from harness.timing.clock import threads
from harness.verdict.draw import reproducible
from harness.verdict.job import Job

SECONDS, SEEDS, LONGER = 10.0, 5, 4
"""Seconds per method, number of seeds, and factor for the longer reference search."""

OBJECTIVES: Mapping[str, Objective] = {"softmax": "deviation", "log_softmax": "ratio"}
"""Objective of the search, by contract."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make an item for each implementation, way and seed."""
    seeds = range(option(metafunc.config, "seeds", SEEDS))
    items = [
        (case, way, seed)
        for case in cases_of(metafunc.config, *OBJECTIVES)
        for way in (*WAYS, "longer")
        for seed in (seeds if way != "longer" else (0,))
    ]
    parametrize(metafunc, ("case", "way", "seed"), items)


def test_search(benchmark: Any, pytestconfig: pytest.Config, case: str, way: str, seed: int) -> None:
    """Search for the worst input in one way, and keep the score."""
    declared = cases_of(pytestconfig, *OBJECTIVES)[case]
    seconds = option(pytestconfig, "seconds", SECONDS)
    job = _job(declared)
    seeker = evolved if way == "longer" else WAYS[way]
    limit = seconds * LONGER if way == "longer" else seconds
    with threads(1):
        score, rows = benchmark.pedantic(seeker, args=(job, limit, seed), rounds=1, iterations=1)
    objective = _objective(job)
    keep(
        benchmark,
        SearchRecord(**names(declared), way=way, seed=seed, score=score, objective=objective, rows=rows, seconds=limit),
    )


def _job(case: Case) -> Job:
    contract = contract_named(case.contract)
    return Job(case, contract, next(law for law in contract.laws if law.name == "value"), FORMATS[DTYPE])


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

    with reproducible():
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
