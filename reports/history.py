"""Earlier runs: the few figures of each that a report shows, and the changes between two runs."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

import pandas as pd

from harness.record import Breaking, Run, RunFolder, Status, Verdict
from harness.wording.number import UNKNOWN, duration, times
from harness.wording.verdict import select_failing

from .frame import FRAMES, Frames
from .frame.loader import loaders
from .frame.training import steps

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


NOISE = 1.5
"""Ratio of times between two runs of identical code: processes of one build differ by up to 49 %."""

TIMED = ("steps", "loaders", "operations", "vectorization")
"""The frames whose rows are times."""


class Change(StrEnum):
    """Kind of change of a law, a breaking point or a time, the most urgent first."""

    BROKEN = "newly broken"
    EARLIER = "breaks earlier"
    SLOWER = "slower"
    UNMEASURED = "not measured"
    """Only the earlier run contains it."""
    MENDED = "mended"
    LATER = "breaks later"
    FASTER = "faster"
    NEW = "new"
    UNCHANGED = "unchanged"


_BROKEN = {Status.BROKEN.value, Status.EXPECTED.value, Status.LOST.value, Status.ERROR.value}
"""Statuses of a law that fails, declared or not."""

Row = tuple[str, ...]

COLUMNS = ("kind", "case", "what", "where", "before", "after", "change")


def differences(before: Frames, after: Frames, *, same_machine: bool) -> pd.DataFrame:
    """Return the changes between two runs, the most urgent first; compare times only on the same machine."""
    rows = [*_compare_laws(before.verdicts, after.verdicts), *_compare_points(before.breakings, after.breakings)]
    for name in TIMED if same_machine else ():
        rows += _compare_times(name, before[name], after[name])
    changes = pd.DataFrame(rows, columns=COLUMNS).astype("string")
    urgency = {change.value: position for position, change in enumerate(Change)}
    return changes.sort_values("change", key=lambda column: column.map(urgency), kind="stable", ignore_index=True)


def tally(changes: pd.DataFrame) -> dict[Change, int]:
    """Count the changes by kind, the most urgent first, without zeros."""
    counts = changes["change"].value_counts()
    return {change: int(counts[change.value]) for change in Change if change.value in counts}


def _pair_rows(name: str, before: pd.DataFrame, after: pd.DataFrame) -> list[Any]:
    """Return the rows of both runs side by side, with their origin; rows of the later run come first."""
    keys = list(FRAMES[name].keys)
    merged = after.merge(before, on=keys, how="outer", suffixes=("", "_before"), indicator="who", sort=False)
    return list(merged.astype({"who": str}).itertuples())


def _compare_laws(before: pd.DataFrame, after: pd.DataFrame) -> Iterator[Row]:
    skipped = Status.SKIPPED.value
    for row in _pair_rows("verdicts", before[before["status"] != skipped], after[after["status"] != skipped]):
        was, now = row.status_before in _BROKEN, row.status in _BROKEN
        change = Change.UNCHANGED if was == now else Change.BROKEN if now else Change.MENDED
        where = row.dtype if row.device == "cpu" else f"{row.dtype} on {row.device}"
        yield _make_row(row, ("law", row.case, row.law, where), row.status_before, row.status, change)


def _compare_points(before: pd.DataFrame, after: pd.DataFrame) -> Iterator[Row]:
    for row in _pair_rows("breakings", before, after):
        was, now = _get_end(row.value_before), _get_end(row.value)
        change = Change.UNCHANGED if was == now else Change.EARLIER if now < was else Change.LATER
        before_, after_ = ("holds" if value == float("inf") else repr(value) for value in (was, now))
        yield _make_row(row, ("breaking point", row.case, f"{row.law}, {row.ray}", row.dtype), before_, after_, change)


def _get_end(value: float) -> float:
    return float("inf") if pd.isna(value) else float(value)


def _compare_times(name: str, before: pd.DataFrame, after: pd.DataFrame) -> Iterator[Row]:
    keys = [key for key in FRAMES[name].keys if key != "case"]
    for row in _pair_rows(name, before, after):
        where = ", ".join(f"{key.replace('_', ' ')} {getattr(row, key)}" for key in keys)
        ratio = f" ({times(row.median_s / row.median_s_before)})" if row.who == "both" else ""
        texts = (duration(row.median_s_before), f"{duration(row.median_s)}{ratio}")
        yield _make_row(row, ("time", row.case, name, where), *texts, _time_change(row))


def _time_change(row: Any) -> Change:
    """Whether a time differs by more than runs of the same code may differ."""
    ratio = row.median_s / row.median_s_before
    if ratio > NOISE and row.q1_s > row.q3_s_before:
        return Change.SLOWER
    if ratio < 1 / NOISE and row.q3_s < row.q1_s_before:
        return Change.FASTER
    return Change.UNCHANGED


def _make_row(row: Any, subject: tuple[str, ...], before: str, after: str, change: Change) -> Row:
    """Return a row of the changes; a run without it has a dash, and the change says so."""
    if row.who == "left_only":
        return (*subject, UNKNOWN, after, Change.NEW.value)
    if row.who == "right_only":
        return (*subject, before, UNKNOWN, Change.UNMEASURED.value)
    return (*subject, before, after, change.value)
