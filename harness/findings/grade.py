"""Grades: how accurate a case is in a dtype, from its verdicts."""

from collections.abc import Iterable, Sequence
from enum import StrEnum

from harness.record.schema import Status, Verdict

HALF = 0.5 + 2.0**-20
"""Ulp within which a value is correctly rounded; the screening oracle's own error is added to the half."""

FEW = 4.0
"""Ulp within which a value is called faithful."""

ORDINARY = 1.0
"""Magnitude up to which inputs are ordinary."""

_LENGTH = "length"
_VALUES = {"value", _LENGTH}
_OF_DIGITS = {*_VALUES, "gradient"}


class Grade(StrEnum):
    """The accuracy of a case in a dtype, the best first."""

    CORRECTLY_ROUNDED = "correctly rounded"
    """Every value seen is the nearest float."""
    FAITHFUL = "faithful"
    """Every value seen is within a few ulp."""
    BACKWARD_STABLE = "backward stable"
    """Every value seen is within the bound that the conditioning of its input allows."""
    UNSTABLE = "unstable"
    """A law is broken on finite inputs."""
    WRONG = "wrong"
    """A law is broken on ordinary inputs, of magnitude at most one."""

    @property
    def rank(self) -> int:
        """Place from the best, 0."""
        return list(Grade).index(self)


def grade(verdicts: Sequence[Verdict]) -> Grade | None:
    """Grade a case in a dtype from its verdicts.

    A declared failure counts as a failure. Laws that break only on infinities or NaN do not count, and neither do
    implementation laws without a value. A row whose sum overflows because of its length is not ordinary input, however
    small its entries. A case that loses digits is at best backward stable.

    Returns
    -------
    Grade or None
        ``None`` if no law of the value was measured, or a law has an error or breaks in an unclaimed dtype.
    """
    ran = [verdict for verdict in verdicts if verdict.status is not Status.SKIPPED]
    values = [verdict for verdict in ran if verdict.group in _VALUES and verdict.unit == "ulp" and verdict.rows]
    if not values or any(verdict.status in {Status.ERROR, Status.UNCLAIMED} for verdict in verdicts):
        return None
    broken = [verdict for verdict in verdicts if verdict.violation is not None and verdict.status is not Status.LOST]
    if any(_magnitude(verdict) <= ORDINARY and verdict.group != _LENGTH for verdict in broken):
        return Grade.WRONG
    if any(_magnitude(verdict) != float("inf") for verdict in broken):
        return Grade.UNSTABLE
    if any(verdict.status is Status.LOST and verdict.group in _OF_DIGITS for verdict in verdicts):
        return Grade.BACKWARD_STABLE
    largest = max((verdict.largest or 0.0 for verdict in values), default=0.0)
    if largest <= HALF:
        return Grade.CORRECTLY_ROUNDED
    return Grade.FAITHFUL if largest <= FEW else Grade.BACKWARD_STABLE


def _magnitude(verdict: Verdict) -> float:
    """The largest absolute input of the smallest example that breaks the law."""
    assert verdict.violation is not None
    return verdict.violation.magnitude


def grades(verdicts: Iterable[Verdict]) -> dict[tuple[str, str], Grade]:
    """Grade every case in every dtype that can be graded, by case and dtype."""
    groups: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in verdicts:
        groups.setdefault((verdict.case, verdict.dtype), []).append(verdict)
    graded = {key: grade(group) for key, group in groups.items()}
    return {key: value for key, value in graded.items() if value is not None}
