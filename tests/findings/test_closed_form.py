"""A closed form is exact to the last digit."""

import math

import pytest
import torch

from harness.findings.closed_form import FORMS, evaluate_form, find_overflow, reaches
from harness.floats import FORMATS, from_ordinal, to_ordinal


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("operation", ["exp", "exp2", "expm1"])
def test_a_function_overflows_at_its_closed_form_and_not_before(operation: str, dtype: str) -> None:
    """The number before is the last one with a finite result."""
    limit = find_overflow(operation, dtype)
    assert limit is not None
    first = torch.tensor(limit, dtype=getattr(torch, dtype))
    assert float(first) == limit
    last = torch.nextafter(first, torch.zeros_like(first))
    function = getattr(torch, operation)
    assert [math.isinf(float(function(x))) for x in (last, first)] == [False, True]


def test_other_functions_have_no_such_number() -> None:
    """A logarithm does not overflow."""
    assert find_overflow("log", "float32") is None


@pytest.mark.parametrize("name", [name for name in FORMS if name != "max + ulp/2"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_a_form_lies_between_two_floats_or_on_one(name: str, dtype: str) -> None:
    """`first` is the first float at or beyond the form."""
    format_ = FORMATS[dtype]
    form = evaluate_form(name, dtype, 8)
    near = torch.tensor(float(form), dtype=torch.float64).to(format_.dtype)
    around = [float(from_ordinal(to_ordinal(near) + step, format_)) for step in (-2, 2)]
    assert [reaches(value, form) for value in around] == [False, True]
    assert [reaches(value, form, falling=True) for value in around] == [True, False]


@pytest.mark.parametrize("dtype", FORMATS)
def test_no_number_of_a_format_reaches_half_an_ulp_above_its_largest(dtype: str) -> None:
    """Only a count or infinity does."""
    format_ = FORMATS[dtype]
    form = evaluate_form("max + ulp/2", dtype, 8)
    assert [reaches(value, form) for value in (format_.max, float("inf"))] == [False, True]
