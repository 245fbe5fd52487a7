"""The worst example is shown with the smallest, because an example that barely fails looks like a false alarm."""

import json
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from harness.case import Case
from harness.record import EventKind, Status, TensorText, Verdict
from harness.verdict.decide import decide
from harness.verdict.job import Job, list_jobs
from harness.verdict.replay import decode_example, make_json, read_json
from harness.wording.verdict import census_line, violation_block


def clamped(logits: Tensor, targets: Tensor) -> Tensor:
    """A binary cross-entropy that is slightly off at first, and never exceeds 100."""
    return torch.nn.functional.binary_cross_entropy(logits.sigmoid(), targets)


def twice(logits: Tensor) -> Tensor:
    """A softmax of a softmax, which is the more wrong the larger the gaps of its logits."""
    return logits.softmax(-1).softmax(-1)


def job(case: Case, law: str = "value") -> Job:
    """Return a job for a law in float32."""
    (found,) = list_jobs([case], laws=[law], dtypes=["float32"])
    return found


@pytest.fixture(scope="module")
def found() -> Verdict:
    """Return a violation with both examples; lost digits keep their smallest example."""
    verdict = decide(job(Case(twice, "softmax"), "digits_not_lost"), corpora=())
    assert verdict.status is Status.LOST
    return verdict


def test_the_worst_is_shown_beside_the_smallest(found: Verdict) -> None:
    """It exceeds its bound at least twice as far, and takes one more line."""
    assert found.violation is not None
    worst = found.violation.worst
    assert worst is not None
    assert worst.deviation / worst.bound >= 2.0 * found.violation.deviation / found.violation.bound
    (line,) = (line for line in violation_block(found).splitlines() if line.startswith("  worst"))
    assert f"{worst.deviation:.6g} ulp" in line
    assert line.endswith(worst.replay)


def test_the_worst_has_a_replay_of_its_own(found: Verdict) -> None:
    """The replay measures the same deviation."""
    assert found.violation is not None
    assert found.violation.worst is not None
    target = job(Case(twice, "softmax"), "digits_not_lost")
    text = found.violation.worst.replay.partition("--example ")[2].strip("'")
    again = decide(target, example=read_json(text, target.contract, target.format))
    assert again.violation is not None
    assert again.violation.deviation == found.violation.worst.deviation


def test_what_is_infinitely_wrong_has_no_worse_example() -> None:
    """No more examples are drawn."""
    verdict = decide(job(Case(lambda x: x.exp() / x.exp().sum(-1, keepdim=True), "softmax")))
    assert verdict.violation is not None
    assert math.isinf(verdict.violation.deviation)
    assert verdict.violation.worst is None


def shifted_by_the_mean(x: Tensor) -> Tensor:
    """A softmax whose gradient cancels, and whose exponentials overflow far from the mean."""
    shifted = x - x.mean(-1, keepdim=True)
    return shifted.exp() / shifted.exp().sum(-1, keepdim=True)


def test_a_nan_that_cannot_be_traced_is_not_the_worst_of_lost_digits() -> None:
    """A long row overflows: that is a violation with another cause, and no example of cancellation."""
    verdict = decide(job(Case(shifted_by_the_mean, "softmax"), "gradient_on_long_rows"))
    assert verdict.violation is not None
    assert verdict.violation.event is not None
    assert verdict.violation.event.kind is EventKind.CANCELLATION
    assert verdict.violation.worst is None or math.isfinite(verdict.violation.worst.actual)
    kinds = {other.event.kind for other in verdict.violation.beside if other.event is not None}
    assert EventKind.OVERFLOW in kinds


def test_what_barely_fails_has_the_cause_of_what_fails_by_far() -> None:
    """Two roundings of a mean have no clear cause. A row with a small spread shows it."""

    def narrow(x: Tensor) -> Tensor:
        mean = x.mean(-1, keepdim=True)
        return (x - mean) / torch.sqrt(x.var(-1, keepdim=True, unbiased=False) + 1e-5)

    (target,) = list_jobs([Case(narrow, "layer_norm")], laws=["rows_have_mean_zero"], dtypes=["float16"])
    violation = decide(target, corpora=()).violation
    assert violation is not None
    assert violation.deviation > 100.0 * violation.bound
    assert violation.event is not None
    assert (violation.event.kind, violation.event.operation) == (EventKind.CANCELLATION, "sub")


def test_a_declared_failure_needs_no_worst() -> None:
    """The declaration explains it."""
    case = Case(clamped, "binary_cross_entropy_with_logits", breaks={"value_on_extreme_numbers": "a sum"})
    verdict = decide(job(case, "value_on_extreme_numbers"), corpora=())
    assert verdict.status is Status.EXPECTED
    assert verdict.violation is not None
    assert verdict.violation.worst is None


@pytest.mark.parametrize("unwanted", ["dtype", "law"])
def test_some_violations_need_no_worst(found: Verdict, unwanted: str) -> None:
    """One line mentions a dtype that is not claimed, and some laws show the smallest example only."""
    assert found.violation is not None
    assert found.violation.worst is not None
    target = job(Case(twice, "softmax"), "digits_not_lost")
    if unwanted == "dtype":
        target = replace(target, claimed=False)
    else:
        target = replace(target, law=replace(target.law, shows_worst=False))
    violation = decide(target, corpora=()).violation
    assert violation is not None
    assert violation.worst is None


def test_a_rounding_error_of_an_exact_zero_is_not_the_example_of_an_overflow() -> None:
    """The gradient of one column is zero, and a residue is infinitely many ulp. Two columns are plainly wrong."""
    case = Case(lambda x: x.exp() / x.exp().sum(-1, keepdim=True), "softmax")
    (target,) = list_jobs([case], laws=["gradient_on_long_rows"], dtypes=["float64"])
    violation = decide(target, corpora=()).violation
    assert violation is not None
    assert violation.event is not None
    assert violation.event.kind is EventKind.OVERFLOW
    assert not abs(violation.actual - violation.expected) < 1e-12  # NaN is as plain


def test_a_law_that_ran_out_of_time_says_so() -> None:
    """The verdict records it, and the summary counts such laws."""
    case = Case(lambda x: torch.softmax(x, -1), "softmax")
    whole, cut = decide(job(case), examples=2), decide(job(case), seconds=0.0)
    assert (whole.cut_short, cut.cut_short) == (False, True)
    assert "cut short" not in census_line([whole])
    assert census_line([whole, cut, cut]).endswith("; 2 laws were cut short by --seconds")
    assert census_line([cut]).endswith("; 1 law was cut short by --seconds")


def test_a_function_that_is_wrong_at_minus_zero_only_shows_minus_zero() -> None:
    """A repeated call does not seem to give another result."""

    def wrong_at_minus_zero(x: Tensor) -> Tensor:
        return torch.where((x == 0.0) & x.signbit(), 0.75, x.sigmoid())

    verdict = decide(job(Case(wrong_at_minus_zero, "sigmoid"), "value_on_extreme_numbers"))
    assert verdict.status is Status.BROKEN
    assert "x = [-0.0]" in violation_block(verdict)


def test_a_law_about_masks_shows_one() -> None:
    """The example has a mask although the defect is independent of masks."""
    verdict = decide(job(Case(lambda x: x.exp() / x.exp().sum(-1, keepdim=True), "softmax"), "masked_entries"))
    assert verdict.violation is not None
    logits = decode_example(verdict.violation.example)["logits"]
    assert logits.isneginf().any()
    assert logits.isfinite().any()


@pytest.mark.parametrize("law", ["value", "zero_probability_adds_nothing"])
def test_a_divergence_is_shown_of_distributions(law: str) -> None:
    """Both arguments are distributions, with a class of probability zero if the law needs it."""

    def with_epsilon(log_q: Tensor, p: Tensor) -> Tensor:
        return (p * ((p + 1e-8).log() - log_q)).sum(-1)

    verdict = decide(job(Case(with_epsilon, "kl_divergence"), law), corpora=())
    assert verdict.violation is not None
    example = decode_example(verdict.violation.example)
    for total in (example["p"].double().sum(-1), example["log_q"].double().exp().sum(-1)):
        assert float(total) == pytest.approx(1.0, abs=1e-5)
    assert bool((example["p"] == 0.0).any()) is (law == "zero_probability_adds_nothing")


def test_an_example_has_the_shapes_of_the_signature() -> None:
    """Labels of one axis and logits of two, in the record and in the replay, which measures the same."""

    def without_the_tail(logits: Tensor, labels: Tensor) -> Tensor:
        return torch.nn.functional.cross_entropy(logits.clamp(max=3.0), labels, reduction="none")

    verdict = decide(job(Case(without_the_tail, "cross_entropy", declares={"reduction": "none"}), "value"), corpora=())
    violation = verdict.violation
    assert violation is not None
    shapes = {name: len(value.shape) for name, value in violation.example.items() if isinstance(value, TensorText)}
    assert shapes == {"logits": 2, "labels": 1}
    target = job(Case(without_the_tail, "cross_entropy", declares={"reduction": "none"}), "value")
    text = make_json(decode_example(violation.example), target.contract, target.format)
    assert json.loads(text)["labels"] == [0]
    again = decide(target, example=read_json(text, target.contract, target.format))
    assert again.violation is not None
    assert (again.violation.deviation, again.violation.place) == (violation.deviation, violation.place)
