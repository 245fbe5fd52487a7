"""Grades: one word for the verdicts of a case in a dtype."""

import pytest
import samples.run

from harness.findings import Grade, grade, grades
from harness.record import Status, Verdict


def verdict(
    *, group: str = "value", largest: float = 0.4, magnitude: float | None = None, status: Status = Status.HOLDS
) -> Verdict:
    """Return a verdict with the facts that grades use."""
    violation = None
    if magnitude is not None:
        violation = samples.run.violation(magnitude=magnitude, bound=1.0, deviation=9.0)
        status = Status.EXPECTED
    facts = {"case": "a.b.c", "law": "value", "group": group, "bound": 64.0, "largest": largest}
    return samples.run.verdict(status, **facts, deviation=largest, violation=violation)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([verdict(largest=0.5)], Grade.CORRECTLY_ROUNDED),
        ([verdict(largest=0.51)], Grade.FAITHFUL),
        ([verdict(largest=0.4), verdict(group="length", largest=3.9)], Grade.FAITHFUL),
        ([verdict(largest=60.0)], Grade.BACKWARD_STABLE),
        ([verdict(largest=60.0), verdict(group="gradient", magnitude=88.7)], Grade.UNSTABLE),
        ([verdict(), verdict(group="special", magnitude=float("inf"))], Grade.CORRECTLY_ROUNDED),
        ([verdict(), verdict(group="algebra", magnitude=1.0)], Grade.WRONG),
        ([verdict(), verdict(group="algebra", magnitude=1.5), verdict(magnitude=0.5)], Grade.WRONG),
        ([verdict(group="algebra")], None),
        ([verdict(), verdict(group="algebra", status=Status.ERROR)], None),
    ],
    ids=str,
)
def test_a_case_is_graded_by_its_worst(verdicts: list[Verdict], expected: Grade | None) -> None:
    """Declared failures count, results at infinities do not. A case without a measurement has no grade."""
    assert grade(verdicts) is expected


def test_each_dtype_has_its_grade() -> None:
    """Grades are stored by case and dtype."""
    half = verdict(largest=60.0).model_copy(update={"dtype": "float16"})
    found = grades([verdict(), half])
    assert found == {("a.b.c", "float32"): Grade.CORRECTLY_ROUNDED, ("a.b.c", "float16"): Grade.BACKWARD_STABLE}
    assert Grade.CORRECTLY_ROUNDED.rank < Grade.BACKWARD_STABLE.rank < Grade.WRONG.rank
