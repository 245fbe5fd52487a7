"""Which steps of a run are audited, so that the run costs no more than so many times what it would.

What a call of an operation costs in Python cannot be made less than it is, and of a small step that is several times
the step: a bound can hold of a run, by leaving steps out. Plain and audited steps are timed in the run itself, in
turns, and a step is audited as soon as what the others have left of the bound pays for it: evenly, as a bucket fills.
"""

import math
from collections import deque
from collections.abc import Sequence
from statistics import fmean, median

from harness.record.audit import Audit
from harness.record.audit_trend import Trend, trends

WITHIN = 3.0
"""Default CPU budget of a run, as a multiple of the CPU time of its plain steps."""

RECENT = 20
"""Changes of the loss, audited steps and their costs by which the next is judged."""

SUDDEN = 8.0
"""Factor over the usual change of the loss that counts as sudden."""

LEAST = 4
"""Minimum number of loss changes, and of plain steps, before their typical size counts as known."""

SELDOM = 10
"""Interval of steps that stay plain for reference, although the budget would allow an audit."""


class Sampling:
    """Chooses steps as they come.

    Parameters
    ----------
    within
        How many times the CPU time of the steps as they are all of them may take.
    steps
        How many there will be; ``None`` where nobody knows.
    at
        Steps that are audited in any case, counted from one.

    Attributes
    ----------
    done
        Steps that were taken.
    audited
        Which of them were audited.
    cpu_s
        Seconds that they took, with all that was done about them.
    trends
        The lines that come nearer to breaking in the last audited steps, the first to be there first.

    Notes
    -----
    The first step is audited whatever it costs; after it no step with which the run would be beyond the bound. Regular
    ones leave enough for one that is wanted at once: after a sudden change of the loss, before a line would be at its
    breaking point, and at the end.
    """

    def __init__(self, within: float = WITHIN, *, steps: int | None = None, at: Sequence[int] = ()) -> None:
        self.within, self.steps, self.at = within, steps, frozenset(at)
        self.done = 0
        self.audited: list[int] = []
        self.cpu_s = 0.0
        self._plain, self._mean_s, self._squares = 0, 0.0, 0.0
        self._audited_s: deque[float] = deque(maxlen=RECENT)
        self._changes: deque[float] = deque(maxlen=RECENT)
        self._loss: float | None = None
        self._is_sudden = False
        self._recent: deque[Audit] = deque(maxlen=RECENT)
        self.trends: list[Trend] = []

    @property
    def step_s(self) -> float | None:
        """Mean CPU time of a step that was not audited; ``None`` where there was none."""
        return self._mean_s if self._plain else None

    @property
    def audited_s(self) -> float:
        """Mean CPU time of the last audited steps, without the first where there are others."""
        return fmean(self._audited_s)

    def is_due(self) -> bool:
        """Whether the next step is to be audited."""
        number = self.done + 1
        if number in self.at or not self.done:
            return number in self.at or not self.at
        if self.at or self._is_plain_needed():
            return False
        plain_s = self._least_s()
        left_s = self.within * plain_s * number - self.cpu_s - self.audited_s
        kept_s = 0.0 if self._is_wanted(number) else max(0.0, self.audited_s - self.within * plain_s)
        return left_s >= kept_s

    def _is_plain_needed(self) -> bool:
        """Whether what a step takes is to be known better: each second tells at first, each tenth later on."""
        many = self._plain
        return many < min(LEAST, self.done // 2) or many < self.done // SELDOM or not many

    def _least_s(self) -> float:
        """The mean of the plain steps, by its standard error less: where they are few and unlike it may be that."""
        many = self._plain
        return self._mean_s - (math.sqrt(self._squares / (many - 1) / many) if many > 1 else 0.0)

    def _time_plain(self, step_s: float) -> None:
        """Welford's update of a mean and a sum of squares about it: a run may have millions of steps."""
        self._plain += 1
        apart_s = step_s - self._mean_s
        self._mean_s += apart_s / self._plain
        self._squares += apart_s * (step_s - self._mean_s)

    def _is_wanted(self, number: int) -> bool:
        return self._is_sudden or number == self.steps or any(number >= trend.gone_at - 1 for trend in self.trends[:1])

    def took(self, step_s: float, all_s: float, *, loss: float | None, audit: Audit | None) -> None:
        """Take note of a step.

        Parameters
        ----------
        step_s, all_s
            CPU time of the step, and with what was done about it.
        loss
            Its last loss; ``None`` where it has none.
        audit
            What its audit found; ``None`` where there was none.
        """
        self.done += 1
        self.cpu_s += all_s
        if audit is None:
            self._time_plain(step_s)
        else:
            if len(self.audited) == 1:
                self._audited_s.clear()  # the first also made what the others find there
            self.audited.append(self.done)
            self._audited_s.append(all_s)
            self._recent.append(audit)
            self.trends = trends(self._recent)
        self._look_at(loss)

    def _look_at(self, loss: float | None) -> None:
        """Whether the loss has changed suddenly."""
        change = math.nan if loss is None or self._loss is None else abs(loss - self._loss)
        self._loss = loss
        if not math.isfinite(change):
            self._is_sudden = False
            return
        usual = median(self._changes) if len(self._changes) >= LEAST else math.inf
        self._is_sudden = change > SUDDEN * usual
        self._changes.append(change)
