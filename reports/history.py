"""Digests: what a report keeps of each of the many runs before the one that it is about."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import pandas as pd

from harness.record import Run, RunFolder, Status, Verdict, failing
from reports.frame import Frames, frames

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
        Breaking points that were found; ``None`` where nothing was surveyed.
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
    def of(cls, head: Run, verdicts: Sequence[Verdict], found: Frames) -> Self:
        """Return the digest of a run."""
        return cls(
            head=head,
            statuses=Counter(verdict.status for verdict in verdicts),
            failing=len(failing(verdicts)),
            points=int(found.breakings["value"].notna().sum()) if len(found.breakings) else None,
            step_times=_best(found.steps.query(f"device == 'cpu' and batch_size == {BATCH}"), "median_s", fewest=True),
            best_rates=_best(found.loaders, "samples_per_s", fewest=False),
        )

    @property
    def label(self) -> str:
        """What tells the run apart on an axis: the first digits of its commit, else its name."""
        commit = self.head.environment.git_commit
        return commit[:7] if commit else self.head.name


def _best(frame: pd.DataFrame, column: str, *, fewest: bool) -> pd.DataFrame:
    """Return the least or the largest value of each case."""
    groups = frame.groupby(["family", "case", "style"], sort=False)[column]
    return (groups.min() if fewest else groups.max()).rename("value").reset_index()


def digests(runs: Sequence[RunFolder]) -> tuple[Digest, ...]:
    """Return the digest of each run, in their order.

    Raises
    ------
    UsageError
        If a record in one is damaged.
    """
    return tuple(Digest.of(run.head(), run.read(Verdict), frames(run)) for run in runs)
