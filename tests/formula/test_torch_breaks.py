"""What torch's own functions break is found unprompted, where the machine shows it."""

import pytest
from formula.catalogued import CATALOGUED
from formula.judging import decided
from formula.torch_breaks import ELSEWHERE, LAWS, TORCH_BREAKS

from harness.case import Case
from harness.record import Status
from harness.verdict.job import jobs


@pytest.mark.parametrize("name", TORCH_BREAKS)
def test_a_break_of_torch_is_found_where_it_is(name: str) -> None:
    """By the law and as the status that the table has, with the number of examples that everybody has."""
    one = TORCH_BREAKS[name]
    (found,) = decided(
        jobs([Case(one.function, one.contract, name=name)], laws=[one.law], dtypes=[one.dtype]), examples=None
    )
    assert found.status is (one.status if one.shows() else Status.HOLDS), one.why


def test_what_is_declared_elsewhere_is_of_the_catalogue() -> None:
    """With a reason each; and what is asked of it are laws that it has."""
    assert {name for name, _ in ELSEWHERE} <= set(CATALOGUED)
    assert all(ELSEWHERE.values())
    assert {job.law.name for job in jobs([Case(CATALOGUED["exp"].torch, "exp")])} >= set(LAWS)
