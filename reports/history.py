"""Digests: what a report keeps of each of the many runs before the one that it is about."""

from collections import Counter
from dataclasses import dataclass
from typing import Self

import pandas as pd

from harness.record import Breaking, Run, RunFolder, Status, Verdict, failing
from reports.frame.loader import loaders
from reports.frame.step import steps

BATCH = 256
"""The batch size at which the steps of several runs are compared."""


@dataclass(frozen=True)
class Digest:
    """What is kept of each of many runs: few numbers, so that a hundred runs fit.

    Parameters
    ----------
    head
        Of the run.
    statuses
        Verdicts of each status.
    failing
        Verdicts that make the run fail.
    points
        Number of breaking points; ``None`` where nothing was surveyed.
    step_times, best_rates
        Columns ``family``, ``case``, ``style`` and ``value``: the CPU time of a step at :data:`BATCH`, seconds, and the
        highest rate of each loader, samples a second.
    """

    head: Run
    statuses: Counter[Status]
    failing: int
    points: int | None
    step_times: pd.DataFrame
    best_rates: pd.DataFrame

    @classmethod
    def of(cls, run: RunFolder) -> Self:
        """Read what is kept of a run, and no more: a hundred runs are read in half a minute.

        Raises
        ------
        UsageError
            If a record is damaged.
        """
        verdicts, breakings = run.read(Verdict), run.read(Breaking)
        timed = steps(run).query(f"device == 'cpu' and batch_size == {BATCH}")
        return cls(
            head=run.head(),
            statuses=Counter(verdict.status for verdict in verdicts),
            failing=len(failing(verdicts)),
            points=sum(breaking.value is not None for breaking in breakings) if breakings else None,
            step_times=_best(timed, "median_s", fewest=True),
            best_rates=_best(loaders(run), "samples_per_s", fewest=False),
        )

    @property
    def label(self) -> str:
        """What tells the run apart on an axis: the first digits of its commit, else its name."""
        commit = self.head.environment.git_commit
        return commit[:7] if commit else self.head.name


def _best(measured: pd.DataFrame, column: str, *, fewest: bool) -> pd.DataFrame:
    """Return the least or the largest value of each case."""
    groups = measured.groupby(["family", "case", "style"], sort=False)[column]
    return (groups.min() if fewest else groups.max()).rename("value").reset_index()
