"""A closed form is exact to the last digit."""

import math

import pytest
import torch

from harness.findings.closed_form import overflows_from


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("operation", ["exp", "exp2", "expm1"])
def test_a_function_overflows_at_its_closed_form_and_not_before(operation: str, dtype: str) -> None:
    """The number before is the last one with a finite result."""
    limit = overflows_from(operation, dtype)
    assert limit is not None
    first = torch.tensor(limit, dtype=getattr(torch, dtype))
    assert float(first) == limit
    last = torch.nextafter(first, torch.zeros_like(first))
    function = getattr(torch, operation)
    assert [math.isinf(float(function(x))) for x in (last, first)] == [False, True]


def test_other_functions_have_no_such_number() -> None:
    """A logarithm does not overflow."""
    assert overflows_from("log", "float32") is None
