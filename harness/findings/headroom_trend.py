"""Trend of headroom over steps: the lines that approach their breaking points, and the step at which they reach them.

Headroom is measured in bits, the logarithm of the factor. A line is fitted by least squares: a quantity that grows by
the same factor each step, such as diverging logits, loses the same number of bits.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import linear_regression

from harness.record import Audit, Headroom, Record

LEAST = 3
"""Minimum number of steps for a trend."""

FAR = 100
"""A trend is shown up to this number of steps ahead."""


class Trend(Record):
    """A line that comes nearer to breaking."""

    headroom: Headroom
    """Headroom in the last step."""
    bits_a_step: float
    """Headroom lost per step, in bits."""
    gone_at: int
    """The step at which nothing would be left of it."""


def find_trends(audits: Sequence[Audit]) -> list[Trend]:
    """Return the lines that approach their breaking points in consecutive audits, the earliest to break first."""
    by_line: dict[tuple[str, int, str], list[tuple[int, Headroom]]] = defaultdict(list)
    for audit in audits:
        for headroom in audit.headroom if audit.what_if is None else ():
            by_line[(headroom.file, headroom.line, headroom.quantity)].append((audit.step, headroom))
    trends_ = [trend for followed in by_line.values() if (trend := _fit_trend(followed)) is not None]
    return sorted(trends_, key=lambda trend: trend.gone_at)


def _fit_trend(followed: Sequence[tuple[int, Headroom]]) -> Trend | None:
    points = [(step, math.log2(headroom.factor)) for step, headroom in followed if 0.0 < headroom.factor < math.inf]
    if len(points) < LEAST or points[-1][1] <= 0.0:
        return None
    slope, intercept = linear_regression(*zip(*points, strict=True))
    if slope >= 0.0 or points[-1][1] > FAR * -slope:
        return None
    return Trend(headroom=followed[-1][1], bits_a_step=-slope, gone_at=math.ceil(intercept / -slope))
