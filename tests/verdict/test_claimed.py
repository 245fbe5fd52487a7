"""Dtypes that an implementation does not claim, and results that no platform must have."""

import torch
from torch import Tensor

import harness
from harness.case import Case
from harness.record import Status, Verdict
from harness.verdict.decide import decide
from harness.verdict.job import list_jobs
from harness.wording.finding import unclaimed_line
from harness.wording.verdict import verdict_line


def naive_softmax(x: Tensor) -> Tensor:
    """Softmax as defined."""
    return x.exp() / x.exp().sum(-1, keepdim=True)


def statuses(verdicts: list[Verdict]) -> dict[str, Status]:
    """Return the status of the value in each dtype."""
    return {verdict.dtype: verdict.status for verdict in verdicts if verdict.law == "value"}


def test_16_bit_dtypes_are_claimed_only_if_they_are_named() -> None:
    """A broken law in another dtype is shown, but does not fail."""
    unnamed = harness.check(naive_softmax, "softmax", laws=["value"], corpora=())
    assert statuses(unnamed) == {
        "float64": Status.BROKEN,
        "float32": Status.BROKEN,
        "bfloat16": Status.UNCLAIMED,
        "float16": Status.UNCLAIMED,
    }
    named = harness.check(naive_softmax, "softmax", laws=["value"], dtypes=["float16"], corpora=())
    assert statuses(named) == {"float16": Status.BROKEN}


def test_a_declared_case_claims_every_dtype() -> None:
    """The shipped cases do the same."""
    (job,) = [
        one for one in list_jobs([Case(naive_softmax, "softmax")], laws=["value"]) if one.format.name == "float16"
    ]
    assert decide(job, corpora=()).status is Status.BROKEN


def test_what_is_not_claimed_is_one_line_after_the_verdict() -> None:
    """It names the dtypes and the option to claim them."""
    verdicts = harness.check(naive_softmax, "softmax", laws=["value"], dtypes=None or (), corpora=())
    narrow = [verdict for verdict in verdicts if verdict.dtype in {"float16", "bfloat16"}]
    assert verdict_line(narrow) == "verdict: no defect in 1 law (2 verdicts: 0 hold, 2 not claimed)"
    line = unclaimed_line(narrow)
    assert line.startswith("not claimed: exp overflows at")
    assert line.endswith("(`--dtypes bfloat16,float16` claims them)")
    there = [verdict.model_copy(update={"dtype": f"{verdict.dtype} on sim"}) for verdict in narrow]
    assert unclaimed_line([*narrow, *there]).endswith("(`--dtypes bfloat16,float16` claims them)")
    assert unclaimed_line([verdict for verdict in verdicts if verdict.dtype == "float32"]) == ""


def test_an_error_in_a_dtype_that_is_not_claimed_does_not_fail() -> None:
    """A function for float32 and float64 need not declare it."""

    def wide_only(x: Tensor) -> Tensor:
        if x.dtype not in {torch.float32, torch.float64}:
            raise TypeError("float32 or float64, please")
        return x.softmax(-1)

    verdicts = harness.check(wide_only, "softmax", laws=["value"], corpora=())
    assert statuses(verdicts)["float32"] is Status.HOLDS
    assert statuses(verdicts)["float16"] is Status.UNCLAIMED
    assert "float32 or float64, please" in unclaimed_line(verdicts)


def test_zero_for_a_normal_result_is_broken_although_subnormal_results_are_zero_too() -> None:
    """The law is decided again without subnormal numbers, which would otherwise hide the failure."""

    def cut_off(x: Tensor) -> Tensor:
        y = 1 / (1 + (-x).exp())
        return torch.where(y < 1e-30, 0.0 * y, y)

    (verdict,) = harness.check(cut_off, "sigmoid", laws=["value"], dtypes=["float32"], corpora=())
    assert verdict.status is Status.BROKEN
    assert verdict.violation is not None
    assert verdict.violation.expected >= torch.finfo(torch.float32).tiny
