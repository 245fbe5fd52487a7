"""A finding: the verdicts on a case that have one cause. A grade: how accurate a case is in a dtype."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.record.schema import Event, Mistake, Status, Verdict, Violation

WRONG = (Status.BROKEN, Status.ERROR, Status.UNEXPECTED, Status.LOST)
"""Statuses that make a finding, by default."""

RANKS = (*WRONG, Status.EXPECTED, Status.UNCLAIMED)
"""Order of statuses; the status of a finding is the first one among its verdicts."""


@dataclass(frozen=True)
class Finding:
    """One cause of failures of a case.

    Parameters
    ----------
    verdicts
        The verdicts with this cause; the first one represents them.
    is_of_narrowness
        Whether it joins several events that computing in float32 repairs, so that the format is the cause.
    """

    verdicts: tuple[Verdict, ...]
    is_of_narrowness: bool = False

    @property
    def first(self) -> Verdict:
        """The verdict that represents the finding."""
        return self.verdicts[0]

    @property
    def case(self) -> str:
        """The case whose laws fail."""
        return self.first.case

    @property
    def status(self) -> Status:
        """The worst status of a verdict."""
        return self.first.status

    @property
    def violation(self) -> Violation | None:
        """The smallest example; ``None`` for an error."""
        return self.first.violation

    @property
    def event(self) -> Event | None:
        """The event in the computation; ``None`` if unknown."""
        return None if self.violation is None else self.violation.event

    @property
    def named(self) -> Mistake | None:
        """The named mistake from which all verdicts follow."""
        return get_mistake(self.first)

    @property
    def laws(self) -> list[str]:
        """All laws, in the order in which they are reported."""
        return list(dict.fromkeys(verdict.law for verdict in self.verdicts))

    @property
    def broken_laws(self) -> list[str]:
        """The same laws, without laws of a defect that only lose digits."""
        return list(dict.fromkeys(verdict.law for verdict in self._counting_verdicts))

    @property
    def dtypes(self) -> list[str]:
        """The dtypes, and the device if it is not the CPU; without those in which a defect only loses digits."""
        return list(dict.fromkeys(verdict.where for verdict in self._counting_verdicts))

    @property
    def dtypes_by_device(self) -> dict[str, list[str]]:
        """The same dtypes by device."""
        by_device: dict[str, dict[str, None]] = {}
        for verdict in self._counting_verdicts:
            by_device.setdefault(verdict.device, {})[verdict.dtype] = None
        return {device: list(dtypes) for device, dtypes in by_device.items()}

    @property
    def _counting_verdicts(self) -> list[Verdict]:
        milder = {Status.LOST} - {self.status}
        return [verdict for verdict in self.verdicts if verdict.status not in milder]

    @property
    def is_of_roundings(self) -> bool:
        """True if nothing is known but that answers in 16 bits have a few wrong digits."""
        return all(map(loses_by_rounding, self.verdicts))

    @property
    def is_gross(self) -> bool:
        """Whether a value or gradient at ordinary inputs is finite and has hardly any correct digit."""
        values = [
            verdict.violation
            for verdict in self.verdicts
            if verdict.group in {"value", "gradient"} and verdict.violation
        ]
        return any(
            one.magnitude <= MODERATE
            and math.isfinite(one.actual)
            and abs(one.actual - one.expected) > GROSS * max(abs(one.expected), GROSS)
            for one in values
        )

    @property
    def is_of_rare_numbers(self) -> bool:
        """Whether only subnormal, extreme or infinite numbers lose digits, which is not shown by default."""
        lost = all(verdict.status is Status.LOST for verdict in self.verdicts)
        return lost and all(verdict.is_of_subnormals or verdict.group == "special" for verdict in self.verdicts)

    @property
    def worst(self) -> Verdict | None:
        """The verdict with the worst example; ``None`` where the smallest one shows as much."""
        if self.violation is None or math.isinf(self.violation.deviation):
            return None
        # Under a sentence about one operation stands what that operation did.
        step = None if self.is_of_narrowness or self.event is None else self.event.step
        events = [(verdict, get_event(verdict)) for verdict in self.verdicts]
        seen = [verdict for verdict, event in events if step is None or (event is not None and event.step == step)]
        worst = max((verdict for verdict in seen if verdict.violation is not None), key=_compute_excess)
        clearly = _compute_excess(worst) >= _CLEARLY * _compute_ratio(self.violation)
        return worst if clearly and _get_answer(worst) != _get_answer(self.first, smallest=True) else None


_CLEARLY = 2.0
"""Factor by which the worst example must exceed its bound further than the smallest one, so that it is shown."""


def _compute_ratio(violation: Violation) -> float:
    """Return a deviation as a multiple of its bound; a bound of zero counts as one."""
    return violation.deviation / (violation.bound or 1.0)


def _get_answer(verdict: Verdict, *, smallest: bool = False) -> tuple[object, ...]:
    """Return the answer on the worst example of a verdict, or on its smallest, to compare it with other laws."""
    violation = verdict.violation
    assert violation is not None
    chosen = violation if smallest else violation.worst or violation
    return verdict.where, chosen.example, repr(chosen.actual), repr(chosen.expected)


def _compute_excess(verdict: Verdict) -> float:
    violation = verdict.violation
    assert violation is not None
    worst = violation.worst
    ratio = 0.0 if math.isnan(violation.expected) else _compute_ratio(violation)
    # A distance from an undefined exact value shows nothing.
    if worst is None or math.isnan(worst.expected):
        return ratio
    return max(ratio, worst.deviation / (worst.bound or 1.0))


def get_mistake(verdict: Verdict) -> Mistake | None:
    """Return the named mistake from which a verdict follows; ``None`` if there is none."""
    return verdict.named if verdict.violation is None else verdict.violation.named


def get_event(verdict: Verdict) -> Event | None:
    """Return the event in the computation of the smallest example; ``None`` if unknown."""
    return None if verdict.violation is None else verdict.violation.event


MODERATE = 4.0
"""Magnitude up to which a gross error is put before others."""

GROSS = 0.1
"""Relative error of a number without a correct digit; smaller numbers count as this large."""

NARROW = {"bfloat16": 8, "float16": 11}
"""Precisions of the formats of 16 bits."""

_ROUNDED = {"value", "algebra", "special", "length", "gradient", "implementation"}
"""Groups of laws that a sum of roundings can break."""


def loses_by_rounding(verdict: Verdict) -> bool:
    """Whether an answer in 16 bits is wrong in less than an eighth of its digits, and its cause is unknown.

    The worst example counts as well: a larger error is no sum of roundings.
    """
    violation = verdict.violation
    if violation is None or violation.event is not None or violation.named or verdict.group not in _ROUNDED:
        return False
    if verdict.dtype not in NARROW:
        return False
    # A zero in place of a nonzero value has lost all digits, even if a subnormal number has few.
    if violation.actual == 0.0 != violation.expected:
        return False
    limit = 2.0 ** (NARROW[verdict.dtype] - 3)
    return violation.deviation <= limit and (violation.worst is None or _compute_excess(verdict) <= limit)


def index_by_verdict(found: Iterable[Finding]) -> dict[tuple[str, str, str, str], Finding]:
    """Return the finding of each verdict by the verdict's key: of several, the finding of its first violation."""
    of_key: dict[tuple[str, str, str, str], Finding] = {}
    for finding in found:
        for verdict in finding.verdicts:
            if verdict.key not in of_key or (verdict.violation is not None and verdict.violation.beside):
                of_key[verdict.key] = finding
    return of_key


# Grades

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
        """Number of better grades."""
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
    if any(_find_largest_input(verdict) <= ORDINARY and verdict.group != _LENGTH for verdict in broken):
        return Grade.WRONG
    if any(_find_largest_input(verdict) != float("inf") for verdict in broken):
        return Grade.UNSTABLE
    if any(verdict.status is Status.LOST and verdict.group in _OF_DIGITS for verdict in verdicts):
        return Grade.BACKWARD_STABLE
    largest = max((verdict.largest or 0.0 for verdict in values), default=0.0)
    if largest <= HALF:
        return Grade.CORRECTLY_ROUNDED
    return Grade.FAITHFUL if largest <= FEW else Grade.BACKWARD_STABLE


def _find_largest_input(verdict: Verdict) -> float:
    """The largest absolute input of the example that breaks the law at the smallest numbers, for any cause."""
    assert verdict.violation is not None
    return min(violation.magnitude for violation in (verdict.violation, *verdict.violation.beside))


def grades(verdicts: Iterable[Verdict]) -> dict[tuple[str, str], Grade]:
    """Grade every case in every dtype that can be graded, by case and dtype."""
    groups: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in verdicts:
        groups.setdefault((verdict.case, verdict.dtype), []).append(verdict)
    graded = {key: grade(group) for key, group in groups.items()}
    return {key: value for key, value in graded.items() if value is not None}
