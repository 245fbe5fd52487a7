"""The undeclared failures that a survey found, by cause: breaking points with one closed form have one cause."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.findings.merging import group_by
from harness.record import Breaking

from .page_part import Cause
from .text import listing

CAUSES = {
    "ln(max + ulp/2)": "exp overflows",
    "ln((max + ulp/2) / k)": "the sum of exponentials overflows",
    "-ln(sub/2)": "exp underflows to zero",
}
"""The cause of a breaking point with a closed form, in words."""

NOT_FINITE, INEXACT = "not finite", "inexact"
"""Causes of breaking points without a closed form."""

DEFAULT_DTYPE = "float32"
"""The dtype of the example, if there is one."""

MAX_NAMES = 6
"""Laws or rays that are named."""


@dataclass(frozen=True)
class Break:
    """The breaking points of a case with one cause.

    Parameters
    ----------
    cause
        The closed form, or the kind of failure without one.
    points
        The breaking points.
    """

    cause: str
    points: tuple[Breaking, ...]

    @property
    def first(self) -> Breaking:
        """The example: in the usual dtype if possible, with the smallest parameter."""
        return min(self.points, key=lambda point: (point.dtype != DEFAULT_DTYPE, abs(point.value or 0.0)))

    @property
    def sentence(self) -> str:
        """The cause and the first number at which it occurs, without a full stop."""
        first = self.first
        where = f"t = {first.value!r} in {first.dtype}"
        if self.cause in (NOT_FINITE, INEXACT):
            cause = "the answer is not finite" if self.cause == NOT_FINITE else "the error exceeds its bound"
            return f"{cause} from {where} on the ray {first.ray}"
        cause = CAUSES.get(self.cause, "the law breaks")
        return f"{cause} from t = {first.value!r} on in {first.dtype} (t = {self.cause})"

    @property
    def card(self) -> Cause:
        """The finding on the first layer."""
        first = self.first
        laws, rays = (list(dict.fromkeys(getattr(point, name) for point in self.points)) for name in ("law", "ray"))
        where = ", ".join(dict.fromkeys(point.dtype for point in self.points))
        result = f"{first.actual!r}, expected {first.expected!r}"
        rows = [
            ("example", f"[{first.dtype}] {first.formula} at t = {first.value!r}: {result}"),
            ("breaks", f"{listing(laws, at_most=MAX_NAMES)}, in {where}"),
            ("rays", listing(rays, at_most=MAX_NAMES)),
            *([("rerun", first.replay)] if first.replay else []),
        ]
        return Cause(first.case, "DEFECT", self.sentence, tuple(rows), "")


def breaks(points: Sequence[Breaking]) -> list[Break]:
    """Group the undeclared breaking points by case and cause; causes with a closed form come first."""
    undeclared = [point for point in points if point.value is not None and not (point.expected_break or point.declared)]
    groups = group_by(undeclared, lambda point: (point.case, _find_cause(point)))
    causes = [Break(cause, tuple(group)) for (_, cause), group in groups.items()]
    return sorted(causes, key=lambda group: group.cause in (NOT_FINITE, INEXACT))


def _find_cause(point: Breaking) -> str:
    if point.form is not None:
        return point.form
    return INEXACT if point.actual is not None and math.isfinite(point.actual) else NOT_FINITE
