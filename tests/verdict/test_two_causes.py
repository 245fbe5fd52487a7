"""A law that breaks for two causes has a finding and an example for each."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.case import Case
from harness.findings import Finding, findings
from harness.record import Event, EventKind, Status, Verdict
from harness.verdict.decide import decide
from harness.verdict.job import Job, list_jobs
from harness.verdict.replay import decode_example
from harness.verdict.violation import find_event


def norm_of_moments(x: Tensor) -> Tensor:
    """A layer norm: squares overflow at 256 in float16 and near numbers cancel on one line, a small mean on another."""
    mean = x.mean(-1, keepdim=True)
    variance = (x * x).mean(-1, keepdim=True) - mean * mean
    return (x - mean) / torch.sqrt(variance + 1e-5)


def sigmoid_with_a_floor(x: Tensor) -> Tensor:
    """Returns NaN for large numbers, and wrong values for others, in exact arithmetic too."""
    power = torch.exp(x)
    return torch.where(x < -2.0, 0.125, power / (1.0 + power))


def logarithm_of_shares(logits: Tensor) -> Tensor:
    """Powers overflow in wide rows, and shares underflow before their logarithm."""
    powers = torch.exp(logits - logits.mean(-1, keepdim=True))
    shares = powers / powers.sum(-1, keepdim=True)
    return torch.log(shares)


def variance_of_samples(x: Tensor) -> Tensor:
    """Near numbers cancel, and rows with a negative first entry are too large by half."""
    mean = x.mean(-1)
    variance = (x * x).mean(-1) - mean * mean
    return torch.where(x[..., 0] < 0.0, 1.5, 1.0) * variance


def entropy_in_bits(logits: Tensor) -> Tensor:
    """Returns NaN for a probability of zero, and bits in rows with a negative first entry."""
    p = torch.softmax(logits, -1)
    nats = -(p * p.log()).sum(-1)
    return torch.where(logits[..., 0] < 0.0, 1.4426950408889634, 1.0) * nats


def logsumexp_without_shift(logits: Tensor) -> Tensor:
    """Powers overflow for large numbers and underflow for small ones, on the same line."""
    return torch.log(torch.exp(logits).sum(-1))


@dataclass(frozen=True)
class Twofold:
    """A function that breaks a law for two causes.

    ``causes`` has the kind and operation of each event; a defect that is also wrong in exact arithmetic has no event.
    """

    function: Callable[[Tensor], Tensor]
    contract: str
    dtype: str
    causes: set[tuple[EventKind, str] | None]

    @property
    def job(self) -> Job:
        """The job for the law of its value."""
        case = Case(self.function, self.contract, name=self.function.__name__)
        (job,) = list_jobs([case], laws=["value"], dtypes=[self.dtype])
        return job


OVERFLOWS = (EventKind.OVERFLOW, "exp")
CANCELS = (EventKind.CANCELLATION, "sub")
TWOFOLD = [
    Twofold(norm_of_moments, "layer_norm", "float16", {(EventKind.OVERFLOW, "mul"), CANCELS}),
    Twofold(sigmoid_with_a_floor, "sigmoid", "float32", {OVERFLOWS, None}),
    Twofold(logarithm_of_shares, "log_softmax", "float32", {OVERFLOWS, (EventKind.UNDERFLOW, "div")}),
    Twofold(variance_of_samples, "variance", "float32", {CANCELS, None}),
    Twofold(entropy_in_bits, "entropy", "float32", {(EventKind.INVALID, "mul"), None}),
]
ON_A_LINE = Twofold(logsumexp_without_shift, "logsumexp", "float32", {OVERFLOWS})


def told(event: Event | None) -> tuple[EventKind, str] | None:
    """Return kind and operation of an event."""
    return None if event is None else (event.kind, event.operation)


def shown(finding: Finding) -> list[Any]:
    """Return the examples of a finding: the smallest, and the worst if it is shown."""
    violation = finding.violation
    assert violation is not None
    worst = [] if violation.worst is None else [violation.worst.example]
    return [violation.example, *worst]


@pytest.fixture(scope="module")
def verdicts() -> dict[str, Verdict]:
    """Return the verdict on each, with a fixed seed."""
    return {twofold.function.__name__: decide(twofold.job, corpora=()) for twofold in [*TWOFOLD, ON_A_LINE]}


@pytest.mark.parametrize("twofold", TWOFOLD, ids=lambda twofold: twofold.function.__name__)
def test_each_cause_is_a_finding(twofold: Twofold, verdicts: dict[str, Verdict]) -> None:
    """The order in which they are found does not matter."""
    found = findings([verdicts[twofold.function.__name__]], list(Status))
    assert twofold.causes <= {told(finding.event) for finding in found}
    # One operation may fail on two lines.
    steps = [(told(finding.event), finding.event and finding.event.place) for finding in found]
    assert len(set(steps)) == len(steps)


@pytest.mark.parametrize("twofold", [*TWOFOLD, ON_A_LINE], ids=lambda twofold: twofold.function.__name__)
def test_no_example_is_shown_under_another_cause(twofold: Twofold, verdicts: dict[str, Verdict]) -> None:
    """The smallest and the worst example are traced again. An example that barely fails may have no event."""
    for finding in findings([verdicts[twofold.function.__name__]], list(Status)):
        for example in shown(finding):
            assert told(find_event(twofold.job, decode_example(example, twofold.job.contract))) in {
                None,
                told(finding.event),
            }


def test_of_two_on_one_line_the_one_is_told_that_leaves_no_number(verdicts: dict[str, Verdict]) -> None:
    """They are a single finding, because a single change fixes both."""
    found = findings([verdicts["logsumexp_without_shift"]], list(Status))
    of_exp = [finding for finding in found if finding.event is not None and finding.event.operation == "exp"]
    assert [told(finding.event) for finding in of_exp] == [OVERFLOWS]
    assert of_exp[0].violation is not None
    assert not math.isfinite(of_exp[0].violation.deviation)


def test_what_has_one_cause_has_one_finding() -> None:
    """The cause is an overflow, or a difference."""
    softmax = Twofold(lambda x: x.exp() / x.exp().sum(-1, keepdim=True), "softmax", "float32", set())
    moments = Twofold(lambda x: (x * x).mean(-1) - x.mean(-1) ** 2, "variance", "float64", set())
    for single in (softmax, moments):
        verdict = decide(single.job, corpora=())
        assert verdict.violation is not None
        assert verdict.violation.beside == ()
        assert len(findings([verdict])) == 1


def test_no_overflow_is_the_worst_of_a_wrong_formula() -> None:
    """A focal loss with a wrong factor is off by a quarter, and its overflow is a separate cause."""

    def weighted(x: Tensor, y: Tensor) -> Tensor:
        p = torch.sigmoid(x)
        of_target = y * p + (1 - y) * (1 - p)
        return -0.75 * (1 - of_target) ** 2 * torch.log(of_target)

    (job,) = list_jobs([Case(weighted, "focal")], laws=["value"], dtypes=["float32"])
    violation = decide(job, corpora=()).violation
    assert violation is not None
    assert violation.event is None
    assert violation.worst is None or math.isfinite(violation.worst.actual)
