"""Choice of the audited steps of a run, within a limit on CPU time.

An audit costs a fixed time for each operation, which is a multiple of a small step. The limit therefore applies to the
run, and some steps are not audited. Plain and audited steps are timed during the run. A step is audited as soon as the
plain steps have saved enough time for it.
"""

import math
from collections import deque
from collections.abc import Sequence
from statistics import fmean, median

from harness.findings.headroom_trend import Trend, find_trends
from harness.record.audit import Audit

WITHIN = 3.0
"""Default CPU budget of a run, as a multiple of the CPU time of its plain steps."""

RECENT = 20
"""Number of recent loss changes and audits that the next decision uses."""

SUDDEN = 8.0
"""Factor over the usual change of the loss that counts as sudden."""

LEAST = 4
"""Minimum number of loss changes, and of plain steps, before their typical size counts as known."""

SELDOM = 10
"""Interval of steps that stay plain for reference, although the budget would allow an audit."""


class Sampling:
    """Decides for each step whether it is audited.

    Parameters
    ----------
    within
        Limit of the CPU time, as a multiple of the plain steps.
    steps
        Number of steps; ``None`` if it is unknown.
    at
        Numbers of the steps to audit instead, counted from one.

    Attributes
    ----------
    done
        Number of finished steps.
    audited
        Numbers of the audited steps.
    cpu_s
        CPU time of the steps, including audits.
    trends
        Lines that approach their breaking point in the last audited steps, the closest first.

    Notes
    -----
    The first step is always audited. Later audits stay within the limit. Regular audits leave a reserve for urgent
    ones: after a sudden change of the loss, before a line reaches its breaking point, and at the last step.
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
        """Mean CPU time of a plain step; ``None`` if there was none."""
        return self._mean_s if self._plain else None

    @property
    def audited_s(self) -> float:
        """Mean CPU time of the last audited steps, without the first one."""
        return fmean(self._audited_s)

    def is_due(self) -> bool:
        """Whether the next step is audited."""
        number = self.done + 1
        if number in self.at or not self.done:
            return number in self.at or not self.at
        if self.at or self._is_plain_needed():
            return False
        plain_s = self._least_s()
        left_s = self.within * plain_s * number - self.cpu_s - self.audited_s
        saved_s = 0.0 if self._is_wanted(number) else max(0.0, self.audited_s - self.within * plain_s)
        return left_s >= saved_s

    def _is_plain_needed(self) -> bool:
        """Whether another plain step is needed as a reference: every second step at first, every tenth later."""
        steps = self._plain
        return steps < min(LEAST, self.done // 2) or steps < self.done // SELDOM or not steps

    def _least_s(self) -> float:
        """Return the mean of the plain steps minus its standard error."""
        steps = self._plain
        return self._mean_s - (math.sqrt(self._squares / (steps - 1) / steps) if steps > 1 else 0.0)

    def _time_plain(self, step_s: float) -> None:
        """Update mean and sum of squares by Welford's method, because a run may have millions of steps."""
        self._plain += 1
        gap_s = step_s - self._mean_s
        self._mean_s += gap_s / self._plain
        self._squares += gap_s * (step_s - self._mean_s)

    def _is_wanted(self, number: int) -> bool:
        return self._is_sudden or number == self.steps or any(number >= trend.gone_at - 1 for trend in self.trends[:1])

    def record_step(self, step_s: float, all_s: float, *, loss: float | None, audit: Audit | None) -> None:
        """Record a finished step: its CPU time without and with checks, its last loss, and its audit."""
        self.done += 1
        self.cpu_s += all_s
        if audit is None:
            self._time_plain(step_s)
        else:
            if len(self.audited) == 1:
                self._audited_s.clear()  # the first audit fills caches
            self.audited.append(self.done)
            self._audited_s.append(all_s)
            self._recent.append(audit)
            self.trends = find_trends(self._recent)
        self._check_loss(loss)

    def _check_loss(self, loss: float | None) -> None:
        """Check whether the loss changed suddenly."""
        change = math.nan if loss is None or self._loss is None else abs(loss - self._loss)
        self._loss = loss
        if not math.isfinite(change):
            self._is_sudden = False
            return
        typical = median(self._changes) if len(self._changes) >= LEAST else math.inf
        self._is_sudden = change > SUDDEN * typical
        self._changes.append(change)
