"""The sentence of a finding without a known cause states the wrong result, the exact one and the input."""

from typing import Any

import pytest
import samples.run

from harness.findings import Finding
from harness.record import Status, TensorText, Verdict
from harness.wording.finding import finding_in_short, list_details, sentence


def tensor(*values: float, shape: tuple[int, ...] | None = None) -> TensorText:
    """Return a tensor of float32 numbers, a vector by default."""
    texts = tuple(value.hex() for value in values)
    return TensorText(dtype="float32", shape=(len(values),) if shape is None else shape, values=texts)


def broken(law: str = "gradient", status: Status = Status.BROKEN, **facts: Any) -> Verdict:
    """Return a verdict on a law that is broken at zero."""
    own = {"actual": -0.5, "expected": 0.5, "place": (0,), "example": {"x": tensor(0.0), "cotangent": tensor(1.0)}}
    violation = samples.run.violation().model_copy(update={**own, "seen": "", "event": None, **facts})
    return samples.run.verdict(status, case="kernels.softplus", law=law, group="gradient", violation=violation)


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (broken(), "the gradient of softplus is -0.5 at 0; 0.5 is exact"),
        (broken("value", example={"x": tensor(0.5)}), "softplus is -0.5 at 0.5; 0.5 is exact"),
        (
            broken(example={"x": tensor(0.0), "cotangent": tensor(2.0)}),
            "the gradient of softplus is -0.5 for x = [0.0], cotangent = [2.0]; 0.5 is exact",
        ),
        (
            broken("value", place=(1,), example={"x": tensor(1.0, 2.0)}),
            "softplus is -0.5 at [1] for x = [1.0, 2.0]; 0.5 is exact",
        ),
        (
            broken("value", actual=1.0000001, expected=1.0, example={"x": tensor(*[0.0] * 12, shape=(3, 4))}),
            "softplus is 1.0000001 for x = float32[3, 4]; 1 is exact",
        ),
        (broken("increasing"), "increasing is broken: -0.5 at 0, not 0.5"),
        (broken("increasing", seen="it falls"), "increasing is broken: it falls for x = [0.0]"),
        (broken("samples_once", seen="3 are lost", example={"epoch": 1}), "samples_once is broken: 3 are lost"),
    ],
)
def test_a_failure_without_a_known_cause_states_the_wrong_result(verdict: Verdict, said: str) -> None:
    """The statement of the law says what is right, so it is no name for a fault."""
    finding = Finding((verdict,))
    assert sentence(finding) == said
    assert finding_in_short(finding).startswith(f"DEFECT  {said}")
    assert ("law", verdict.statement) in list_details(finding)


def test_a_release_precedes_the_sentence_only_if_it_explains_every_failure() -> None:
    """A finding with another failure has another cause, too."""
    by_release = broken().model_copy(update={"releases": ("2.13.0", "2.15.0")})
    said = "held with torch 2.13.0, breaks with 2.15.0: the gradient of softplus is -0.5 at 0; 0.5 is exact"
    assert sentence(Finding((by_release,))) == said
    assert sentence(Finding((by_release, broken(status=Status.LOST)))) == said
    assert sentence(Finding((by_release, broken("gradient_at_zero")))) == said.partition(": ")[2]
