"""Two tiers: a defect fails; lost digits are reported, and fail only if the case or the user requires it."""

import pytest
import torch
from torch import Tensor

from harness.case import Case
from harness.contracts import contracts
from harness.error import UsageError
from harness.findings import Grade, grade
from harness.record import Status, Verdict
from harness.verdict.decide import decide
from harness.verdict.job import list_jobs
from harness.wording.verdict import verdict_line

LAW = "dominating_class_not_lost"


def shifted(logits: Tensor) -> Tensor:
    """The form in every library, which loses terms absorbed by 1."""
    shifted = logits - logits.max(-1, keepdim=True).values
    return shifted - shifted.exp().sum(-1, keepdim=True).log()


def decided(case: Case, law: str = LAW, *, strict: bool = False) -> Verdict:
    """Return the verdict on one law in float32."""
    (job,) = list_jobs([case], laws=[law], dtypes=["float32"], strict=strict)
    return decide(job)


def test_what_careful_implementations_lose_is_no_defect() -> None:
    """The verdict has the violation, and the reason why it does not fail."""
    verdict = decided(Case(shifted, "log_softmax"))
    assert verdict.status is Status.LOST
    assert not verdict.status.fails
    assert verdict.violation is not None
    assert "libraries use" in str(verdict.reason)
    assert verdict_line([verdict]).endswith("(0 hold, 1 loses digits)")


def test_a_strict_user_takes_it_for_one() -> None:
    """A case that claims to keep the digits fails too."""
    assert decided(Case(shifted, "log_softmax"), strict=True).status is Status.BROKEN
    assert decided(Case(shifted, "log_softmax", attains=(LAW,))).status is Status.BROKEN


def test_a_declared_loss_keeps_its_reason_and_must_be_found() -> None:
    """A declared loss that does not occur is a wrong declaration."""
    assert decided(Case(shifted, "log_softmax", breaks={LAW: "1 + tiny"})).reason == "1 + tiny"
    assert decided(Case(shifted, "log_softmax", breaks={LAW: "1 + tiny"}), strict=True).status is Status.EXPECTED
    accurate = Case(torch.nn.functional.log_softmax, "log_softmax", breaks={"inputs_unmodified": "no"}, call=_last)
    assert decided(accurate, "inputs_unmodified").status is Status.UNEXPECTED


def _last(function: object, logits: Tensor) -> Tensor:
    return torch.log_softmax(logits, -1)


def test_what_a_case_attains_is_a_law_of_lost_digits() -> None:
    """Any other law holds, or is broken."""
    with pytest.raises(
        UsageError, match=r"unknown law `value` in `attains` of .*: the laws of lost digits of `log_softmax` are"
    ):
        list_jobs([Case(shifted, "log_softmax", attains=("value",))])


def test_each_law_of_lost_digits_says_why() -> None:
    """The reason is one sentence. All laws whose name ends in `not_lost` belong to this tier."""
    laws = [law for contract in contracts().values() for law in contract.laws]
    assert {law.name for law in laws if law.name.endswith("not_lost")} <= {law.name for law in laws if law.lost_digits}


def test_lost_digits_are_graded() -> None:
    """A value that loses its digits is not graded faithful, nor unstable for this reason."""
    value, lost = decided(Case(shifted, "log_softmax"), "value"), decided(Case(shifted, "log_softmax"))
    assert grade([value, lost]) is Grade.BACKWARD_STABLE
