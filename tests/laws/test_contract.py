"""A numeric convention accepts any number of its range, and the laws use the declared number."""

import pytest
import torch

import harness
from harness.error import UsageError
from harness.laws import AnyNumber

SMALL = AnyNumber((1e-5, 1e-6), least=1e-37, most=1e3)


@pytest.mark.parametrize("value", [1e-5, 3e-7, 1e-37, 1e3, 1])
def test_any_number_of_the_range_may_be_declared(value: float) -> None:
    """The range includes its ends and whole numbers."""
    assert value in SMALL


@pytest.mark.parametrize("value", [0.0, -1e-5, 1e4, float("nan"), float("inf"), "small", None])
def test_values_outside_the_range_may_not_be_declared(value: object) -> None:
    """NaN is refused too."""
    assert value not in SMALL


def test_the_default_is_the_first_of_the_usual_numbers() -> None:
    """The convention is a sequence of the usual numbers."""
    assert (SMALL[0], list(SMALL), len(SMALL), SMALL[1:]) == (1e-5, [1e-5, 1e-6], 2, (1e-6,))


def test_a_number_outside_the_range_is_refused_with_the_range() -> None:
    """It is a user error."""
    with pytest.raises(
        UsageError, match=r"convention `eps` .*: `layer_norm` allows any number from 0 to 1000, got `-1.0`"
    ):
        harness.check(torch.softmax, "layer_norm", declares={"eps": -1.0})
