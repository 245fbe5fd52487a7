"""Right implementations of operations outside the catalog hold, and wrong ones break a law."""

from collections.abc import Callable

import pytest
from formula.judging import decided
from formula.operations.catalogue import OPERATIONS, Operation
from torch import Tensor

from harness.api import formula_contract
from harness.case import Case
from harness.formula.spelling import stated_inputs
from harness.record import Status, Verdict
from harness.verdict.job import list_jobs

pytestmark = pytest.mark.judged

LAWS = {"value", "finite", "gradient", "gradient_finite"}


def verdicts(name: str, which: str) -> list[Verdict]:
    """Decide the laws that a defect breaks."""
    return verdicts_of(OPERATIONS[name], getattr(OPERATIONS[name], which))


def verdicts_of(operation: Operation, function: Callable[..., Tensor]) -> list[Verdict]:
    """Decide these laws for another implementation of the operation."""
    contract = formula_contract(None, operation.formula, operation.form, stated_inputs(operation.inputs), "rows")
    case = Case(function, contract or "")
    listed = list_jobs([case], laws=sorted(LAWS), dtypes=["float32"])
    return decided(listed, examples=12)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_right_implementation_has_no_defect(name: str) -> None:
    """The laws hold for any order of operations."""
    assert {verdict.status for verdict in verdicts(name, "right")} == {Status.HOLDS}


@pytest.mark.filterwarnings("ignore:std")  # torch warns about the deviation of one number
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_wrong_implementation_has_one(name: str) -> None:
    """At least one law breaks, and each broken law shows an input."""
    broken = [verdict for verdict in verdicts(name, "wrong") if verdict.status is Status.BROKEN]
    assert broken
    assert all(verdict.violation is not None for verdict in broken)


def test_a_power_that_is_nan_at_zero_is_a_defect() -> None:
    """The entropy of a certain event is NaN. The law once held because the formula did not define zero to the 3/2."""
    found = verdicts_of(OPERATIONS["tsallis_entropy"], lambda p: 2 * (1 - (p * p / p.sqrt()).sum(-1)))
    assert "value" in {verdict.law for verdict in found if verdict.status is Status.BROKEN}
