"""Digests: the few figures of every earlier run that a report shows."""

from collections import Counter
from dataclasses import dataclass
from typing import Self

import pandas as pd

from harness.record import Breaking, Run, RunFolder, Status, Verdict
from harness.wording import select_failing

from .frame.loader import loaders
from .frame.step import steps

BATCH = 256
"""The batch size at which the steps of several runs are compared."""


@dataclass(frozen=True)
class Digest:
    """The figures of a run, few enough for a report on a hundred runs.

    Parameters
    ----------
    head
        Head of the run.
    statuses
        Number of verdicts with each status.
    failing
        Number of verdicts that make the run fail.
    points
        Number of breaking points; ``None`` without a survey.
    step_times, best_rates
        Columns ``family``, ``case``, ``style`` and ``value``: the CPU time of a step at :data:`BATCH` in seconds, and
        the highest rate per loader in samples per second.
    """

    head: Run
    statuses: Counter[Status]
    failing: int
    points: int | None
    step_times: pd.DataFrame
    best_rates: pd.DataFrame

    @classmethod
    def of(cls, run: RunFolder) -> Self:
        """Read the digest of a run; a hundred runs take half a minute.

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
            failing=len(select_failing(verdicts)),
            points=sum(breaking.value is not None for breaking in breakings) if breakings else None,
            step_times=_find_best(timed, "median_s", is_minimum=True),
            best_rates=_find_best(loaders(run), "samples_per_s", is_minimum=False),
        )

    @property
    def label(self) -> str:
        """Label of the run on an axis: the first digits of its commit, or its name."""
        commit = self.head.environment.git_commit
        return commit[:7] if commit else self.head.name


def _find_best(measured: pd.DataFrame, column: str, *, is_minimum: bool) -> pd.DataFrame:
    """Return the smallest or the largest value per case."""
    groups = measured.groupby(["family", "case", "style"], sort=False)[column]
    return (groups.min() if is_minimum else groups.max()).rename("value").reset_index()
