"""A gradient is one of the one-sided gradients, or lies between them, where a condition of the formula changes."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from formula.switching import ENTROPY, GROWTH, LAW, LOSSY, RIGHT, SINC, WRONG, Sample, broken
from torch import Tensor

import harness
from harness.floats import FORMATS, to_array
from harness.formula import inputs as of_inputs
from harness.formula import one_sided
from harness.formula.grammar import parse
from harness.formula.law import Laws
from harness.formula.model import Model
from harness.formula.spelling import Domain, written
from harness.laws import Law

ONLY_HERE = {
    "sinc by where",
    "direction by where",
    "absolute value by a root",
    "absolute value by a quotient",
    "relative growth by where",
    "relative growth with a constant at zero",
    "distance by a root",
}
"""Wrong gradients that no other law finds."""


def _name(sample: Sample) -> str:
    return sample.name.replace(" ", "-")


@pytest.mark.parametrize("sample", [one for one in WRONG if one.name in ONLY_HERE], ids=_name)
def test_nan_and_another_slope_at_a_switching_point_are_defects(sample: Sample) -> None:
    """The one-sided gradients are finite, or the branch at the point has a finite gradient."""
    assert broken(sample, "float32", LAW)


@pytest.mark.parametrize("sample", RIGHT, ids=_name)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_subgradients_and_infinite_slopes_hold(sample: Sample, dtype: str) -> None:
    """Any subgradient is right, and an infinite slope admits any gradient but NaN."""
    assert not broken(sample, dtype, LAW)


@pytest.mark.parametrize(
    "function", [lambda p: torch.where(p > 0, -p * p.log(), 0.0), lambda p: -torch.xlogy(p, p)], ids=["where", "xlogy"]
)
def test_nan_beside_an_infinite_slope_is_no_defect(function: Callable[[Tensor], Tensor]) -> None:
    """The slope of the entropy at zero is infinite; the branch that is selected there has the slope zero."""
    sample = Sample("entropy", ENTROPY, function, {"p": "0..1"})
    assert not broken(sample, "float32", LAW)
    assert broken(sample, "float32", LOSSY, lossy=True)
    assert not broken(Sample("entr", ENTROPY, torch.special.entr, {"p": "0..1"}), "float32", LOSSY, lossy=True)


def law_of(formula: str) -> list[Law]:
    """Return the laws of gradients at switching points."""
    return [law for law in Laws(Model(parse(written(formula)))).gradients() if law.name.startswith(LAW)]


@pytest.mark.parametrize("formula", ["log(1 + exp(x))", "max(x, 0) + log1p(exp(-abs(x)))", "where(x < 0, expm1(x), x)"])
def test_a_formula_whose_branches_have_equal_slopes_has_no_such_law(formula: str) -> None:
    """A law that cannot fail is not stated."""
    assert not law_of(formula)


@pytest.mark.parametrize(
    ("formula", "points"),
    [
        (SINC, [0.0]),
        ("abs(x)", [0.0]),
        ("min(max(x + 3, 0), 6)", [-3.0, 3.0]),
        ("where(x <= 20, log1p(exp(x)), x)", [20.0]),
        ("where(abs(x) > 0.5, x, 0)", [-0.5, 0.5]),
    ],
)
def test_the_examples_contain_each_switching_point_itself(formula: str, points: list[float]) -> None:
    """Numbers one step before and after it are drawn too."""
    model = Model(parse(written(formula)))
    conditions = model.gradients["x"].conditions
    x = of_inputs.switching_rows(model.formula, conditions, FORMATS["float32"], 96, 1, 0)["x"]
    for point in points:
        there = torch.tensor(point)
        assert bool((x == there).any())
        assert point == 0.0 or bool((x == torch.nextafter(there, torch.tensor(math.inf))).any())


@pytest.mark.parametrize(
    ("formula", "at", "expected"),
    [
        (SINC, 0.0, (0.0, 0.0, True)),
        (GROWTH, 0.0, (0.5, 0.5, True)),
        ("abs(x)", 0.0, (-1.0, 1.0, True)),
        ("max(x, 0)", 0.0, (0.0, 1.0, True)),
        ("where(x > 0, sqrt(x), 0)", 0.0, (0.0, 0.0, False)),
        ("where(x > 0, -x * log(x), 0)", 0.0, (0.0, 0.0, False)),
        ("where(x > 0, 1, 0) * x", 0.0, (0.0, 1.0, True)),
        ("sign(x)", 0.0, (0.0, 0.0, False)),
    ],
)
def test_the_limits_are_the_one_sided_derivatives(formula: str, at: float, expected: tuple[float, float, bool]) -> None:
    """A side with an infinite slope, and a jump of the value, leave finite gradients unjudged."""
    of = Model(parse(written(formula))).gradients["x"]
    environment = of.environment([np.array([at]), np.ones(1)])
    assert of.find_ties(environment).all() or expected[0] == expected[1] == 0.0
    around = one_sided._Around(of, "x", environment, np.array([[0]]))
    limits = around.limits(Domain(), FORMATS["float64"])
    assert limits.exists.all()
    np.testing.assert_allclose([limits.low[0], limits.high[0]], expected[:2], atol=1e-6)
    assert bool(limits.finite[0]) is expected[2]


def test_the_hidden_branch_of_where_is_named() -> None:
    """The quotient 0 / 0 in the backward pass is no reason to change the divisor."""

    def sinc(x: Tensor) -> Tensor:
        return torch.where(x == 0, 1.0, x.sin() / x)

    verdicts = harness.check(sinc, formula=SINC, laws=[LAW], dtypes=["float32"])
    assert "hidden branch" in str(verdicts)
    violation = verdicts[0].violation
    assert violation is not None
    assert math.isnan(violation.actual)
    assert violation.expected == 0.0


def test_an_outer_gradient_is_admitted_only_within_the_difference_of_the_sides() -> None:
    """The sum of two clamps has the slope 1.01 at zero, outside of 0.01 and 1; the slope 5 is wrong."""
    of = Model(parse(written("where(x < 0, 0.01 * x, x)"))).gradients["x"]
    given = (torch.zeros(1), torch.ones(1))
    for slope, wrong in ((1.01, False), (0.5, False), (5.0, True), (-3.0, True)):
        actual = torch.tensor([slope])
        found = one_sided.measure_one_sided(of, "x", Domain(), actual, given, FORMATS["float32"])
        assert found.broken is wrong
        assert to_array(actual).shape == found.deviation.shape
