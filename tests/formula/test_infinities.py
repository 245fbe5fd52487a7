"""Values of a formula at infinite inputs follow IEEE 754 if definition and form agree."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

import harness
from harness.api import formula_contract
from harness.case import Case
from harness.floats import FORMATS
from harness.formula.grammar import parse
from harness.formula.model import Model
from harness.formula.spelling import written
from harness.record import Status
from harness.verdict.decide import decide
from harness.verdict.job import list_jobs

LAWS = ["value_at_infinities", "infinite_values", "not_nan_where_infinite", "gradient_at_infinities"]


def broken(function: object, formula: str, form: str | None = None) -> dict[str, Status]:
    """Return the laws at infinities that break."""
    found = harness.check(function, formula=formula, form=form, laws=LAWS, dtypes=["float32"])  # type: ignore[arg-type]
    return {verdict.law: verdict.status for verdict in found if verdict.status is not Status.HOLDS}


def softmax(x: Tensor) -> Tensor:
    """Torch's function."""
    return x.softmax(-1)


def masked_by_a_constant(x: Tensor) -> Tensor:
    """Replaces minus infinity by -20."""
    return x.nan_to_num(neginf=-20.0).softmax(-1)


def masked_too_late(x: Tensor) -> Tensor:
    """NaN is replaced in the value, but not in the gradient."""
    return torch.where(x.isneginf(), 0.0, x.softmax(-1) * (x * 0 + 1))


def of_nothing(x: Tensor) -> Tensor:
    """Subtracts infinity from infinity."""
    m = x.amax(-1, keepdim=True)
    return m[..., 0] + (x - m).exp().sum(-1).log()


def test_a_sound_implementation_keeps_the_limits() -> None:
    """The implementations are torch's softmax and logsumexp."""
    assert not broken(softmax, "exp(x) / sum(exp(x))", "softmax(x)")
    assert not broken(lambda x: x.logsumexp(-1), "log(sum(exp(x)))")


def test_other_entries_of_a_row_with_an_undefined_entry_are_left_open() -> None:
    """If one entry is infinity over infinity, torch returns NaN for the others too, and the law accepts it.

    A wrong entry next to zeros is found.
    """
    formula = "exp(-x) / sum(exp(-x))"
    assert not broken(lambda x: torch.nn.functional.softmin(x, dim=-1), formula)
    wrong = broken(lambda x: (-x).nan_to_num(neginf=-20.0).softmax(-1), formula)
    assert wrong == {"value_at_infinities": Status.BROKEN}


def test_a_row_with_an_undefined_value_has_no_gradient() -> None:
    """After a division by the largest magnitude, infinity over infinity leaves no entry with a gradient.

    With a single infinity, all entries have one.
    """
    assert not broken(lambda x: x / x.abs().amax(-1, keepdim=True), "x / max(abs(x))")
    assert not broken(lambda x: x.log_softmax(-1), "x - log(sum(exp(x)))", "log_softmax(x)")
    of_masked = broken(lambda x: masked_too_late(x).log(), "x - log(sum(exp(x)))", "log_softmax(x)")
    assert of_masked["gradient_at_infinities"] is Status.BROKEN


def largest_for_infinity(x: Tensor) -> Tensor:
    """Returns the largest number in place of infinity."""
    return x.logsumexp(-1).nan_to_num(posinf=torch.finfo(x.dtype).max)


def log_cosh(x: Tensor) -> Tensor:
    """The form of several libraries. It computes infinity minus infinity at minus infinity."""
    return x + torch.nn.functional.softplus(-2.0 * x) - math.log(2.0)


def log_cosh_of_a_magnitude(x: Tensor) -> Tensor:
    """The same form with |x|."""
    return log_cosh(x.abs())


def test_each_law_kills_its_mutant() -> None:
    """A wrong finite value, NaN and a wrong gradient are defects.

    The number that represents infinity is a convention.
    """
    assert broken(masked_by_a_constant, "softmax(x)") == {"value_at_infinities": Status.BROKEN}
    assert broken(masked_too_late, "softmax(x)") == {"gradient_at_infinities": Status.BROKEN}
    assert broken(of_nothing, "log(sum(exp(x)))") == {"not_nan_where_infinite": Status.BROKEN}
    assert broken(largest_for_infinity, "log(sum(exp(x)))") == {"infinite_values": Status.LOST}


def test_nan_is_a_defect_where_the_formula_is_infinite() -> None:
    """It remains a defect for a loss whose form loses digits. A form that selects before it adds holds."""
    assert broken(log_cosh, "log(cosh(x))")["not_nan_where_infinite"] is Status.BROKEN
    assert "not_nan_where_infinite" not in broken(log_cosh_of_a_magnitude, "log(cosh(x))")


def test_an_infinity_whose_sign_a_rounding_decides_is_left_open() -> None:
    """A large angle in bfloat16 has too few digits to decide the sign of its cosine."""

    def rotated(x: Tensor, t: Tensor) -> Tensor:
        return x * torch.cos(t) + (x - x)

    def judged(angle: float) -> Status:
        contract = formula_contract(None, "x * cos(t)", None, None, "rows")
        (job,) = list_jobs([Case(rotated, contract or "")], laws=["not_nan_where_infinite"], dtypes=["bfloat16"])
        infinite, of_angle = (torch.tensor([at], dtype=torch.bfloat16) for at in (torch.inf, angle))
        return decide(job, example={"x": infinite, "t": of_angle}).status

    assert judged(1.0) is Status.BROKEN
    assert judged(12608.0) is Status.HOLDS


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
    """The limit is unknown after an overflow, and if the form gives another value."""
    of = Model(parse(written(formula, form))).value
    limit, known = of.evaluate_at_infinities([np.array([at])])
    assert bool(known[0]) == (expected is not None)
    assert expected is None or limit[0] == expected


def test_a_bound_as_written_is_finite_at_a_limit() -> None:
    """A result that an infinite input turns into zero is exact."""
    of = Model(parse(written("softmax(x)"))).value
    error = of.written([np.array([[0.0, -np.inf, 1.0]])], FORMATS["float32"])
    assert np.isfinite(error).all()
    assert error[0, 1] < 1e-40
