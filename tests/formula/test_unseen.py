"""Operations that no catalogue has: the right implementations keep their formula's laws, the wrong ones do not."""

import pytest
from formula.further import FURTHER
from formula.judging import decided
from formula.unseen import UNSEEN

from harness.api import formula_contract
from harness.case import Case
from harness.formula.spelling import stated_inputs
from harness.record import Status, Verdict
from harness.verdict.job import jobs

OPERATIONS = {**UNSEEN, **FURTHER}

LAWS = {"value", "finite", "gradient", "gradient_finite"}


def verdicts(name: str, which: str) -> list[Verdict]:
    """Those of the laws that a defect breaks."""
    operation = OPERATIONS[name]
    contract = formula_contract(None, operation.formula, operation.form, stated_inputs(operation.inputs), "rows")
    case = Case(getattr(operation, which), contract or "")
    listed = jobs([case], laws=sorted(LAWS), dtypes=["float32"])
    return decided(listed, examples=12)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_right_implementation_has_no_defect(name: str) -> None:
    """Whatever order it computes in."""
    assert {verdict.status for verdict in verdicts(name, "right")} == {Status.HOLDS}


@pytest.mark.filterwarnings("ignore:std")  # the deviation of one number
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_wrong_implementation_has_one(name: str) -> None:
    """And it is shown on an input."""
    broken = [verdict for verdict in verdicts(name, "wrong") if verdict.status is Status.BROKEN]
    assert broken
    assert all(verdict.violation is not None for verdict in broken)
