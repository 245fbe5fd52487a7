"""What a formula says where inputs are infinite: by the rules of IEEE 754, where definition and form agree."""

import numpy as np
import pytest
import torch
from torch import Tensor

import harness
from harness.floats import FORMATS
from harness.formula.grammar import parsed
from harness.formula.model import Model
from harness.formula.spelling import written
from harness.record import Status

LAWS = ["value_at_infinities", "infinite_values", "gradient_at_infinities"]


def broken(function: object, formula: str, form: str | None = None) -> dict[str, Status]:
    """The laws at infinities that do not hold."""
    found = harness.check(function, formula=formula, form=form, laws=LAWS, dtypes=["float32"])  # type: ignore[arg-type]
    return {verdict.law: verdict.status for verdict in found if verdict.status is not Status.HOLDS}


def softmax(x: Tensor) -> Tensor:
    """Torch's."""
    return x.softmax(-1)


def masked_by_a_constant(x: Tensor) -> Tensor:
    """Minus infinity is taken for -20."""
    return x.nan_to_num(neginf=-20.0).softmax(-1)


def masked_too_late(x: Tensor) -> Tensor:
    """What is NaN is replaced in the value, and not in the gradient."""
    return torch.where(x.isneginf(), 0.0, x.softmax(-1) * (x * 0 + 1))


def of_nothing(x: Tensor) -> Tensor:
    """Infinity less infinity."""
    m = x.amax(-1, keepdim=True)
    return m[..., 0] + (x - m).exp().sum(-1).log()


def test_a_sound_implementation_keeps_the_limits() -> None:
    """Torch's softmax and logsumexp."""
    assert not broken(softmax, "exp(x) / sum(exp(x))", "softmax(x)")
    assert not broken(lambda x: x.logsumexp(-1), "log(sum(exp(x)))")


def test_what_a_row_is_beside_an_entry_that_is_no_number_is_left_open() -> None:
    """Infinity over infinity: torch says NaN of the others too, and one that is wrong beside zeros is seen."""
    formula = "exp(-x) / sum(exp(-x))"
    assert not broken(lambda x: torch.nn.functional.softmin(x, dim=-1), formula)
    wrong = broken(lambda x: (-x).nan_to_num(neginf=-20.0).softmax(-1), formula)
    assert wrong == {"value_at_infinities": Status.BROKEN}


def test_a_row_of_which_one_value_is_no_number_has_no_gradient() -> None:
    """By the largest magnitude: beside infinity over infinity no entry has one; beside one infinity all have."""
    assert not broken(lambda x: x / x.abs().amax(-1, keepdim=True), "x / max(abs(x))")
    assert not broken(lambda x: x.log_softmax(-1), "x - log(sum(exp(x)))", "log_softmax(x)")
    of_masked = broken(lambda x: masked_too_late(x).log(), "x - log(sum(exp(x)))", "log_softmax(x)")
    assert of_masked["gradient_at_infinities"] is Status.BROKEN


def test_each_law_kills_its_mutant() -> None:
    """A finite value and a gradient are defects; of infinite values it is said that they are conventions."""
    assert broken(masked_by_a_constant, "softmax(x)") == {"value_at_infinities": Status.BROKEN}
    assert broken(masked_too_late, "softmax(x)") == {"gradient_at_infinities": Status.BROKEN}
    assert broken(of_nothing, "log(sum(exp(x)))") == {"infinite_values": Status.LOST}


@pytest.mark.parametrize(
    ("formula", "form", "at", "expected"),
    [
        ("tanh(x)", None, np.inf, 1.0),
        ("exp(x)", None, -np.inf, 0.0),
        ("exp(x)", None, 1e3, None),
        ("exp(exp(x)) - x", None, 7.0, None),
        ("1 / x", None, np.inf, 0.0),
        ("x - x", None, np.inf, None),
        ("log(1 + exp(x))", "x + log1p(exp(-x))", -np.inf, None),
        ("log(1 + exp(x))", "softplus(x)", -np.inf, 0.0),
        ("max(x, exp(1000 + 0 * x))", None, -np.inf, None),
    ],
)
def test_a_limit_is_known_where_it_comes_of_the_inputs(
    formula: str, form: str | None, at: float, expected: float | None
) -> None:
    """And not of what overflowed, nor where the form says something else."""
    of = Model(parsed(written(formula, form))).value
    limit, known = of.at_infinities([np.array([at])])
    assert bool(known[0]) == (expected is not None)
    assert expected is None or limit[0] == expected


def test_a_bound_as_written_is_finite_at_a_limit() -> None:
    """What an infinite input makes zero is exact."""
    of = Model(parsed(written("softmax(x)"))).value
    error = of.written([np.array([[0.0, -np.inf, 1.0]])], FORMATS["float32"])
    assert np.isfinite(error).all()
    assert error[0, 1] < 1e-40
