"""Formulas are evaluated correctly: the enclosure of the screen contains the ball, and gradients are derivatives."""

from typing import Any

import numpy as np
import pytest
import torch

from harness.floats import FORMATS, to_array
from harness.formula.arithmetic import pairs, values
from harness.formula.grammar import WORDS, parse
from harness.formula.inputs import draw_inputs
from harness.formula.model import Model
from harness.formula.node import order
from harness.formula.quantity import Quantity
from harness.formula.running_error import DOUBLE, DOUBLE_DOUBLE, errors
from harness.formula.spelling import written

ONE = [
    *(f"{name}(x)" for name in ("exp", "log", "log1p", "expm1", "sqrt", "tanh", "abs", "sigmoid", "softplus")),
    *(f"{name}(x)" for name in ("erf", "erfc", "sin", "cos", "atan", "sinh", "cosh", "sign", "log2", "exp2", "relu")),
    "x ** 3 - x / (1 + x * x)",
    "max(x, 0.3) - min(x, -0.3) + clip(x, -1, 1)",
    "where(x < 0.1, x * x, log(x))",
]
ROWS = [
    *(f"{name}(x)" for name in ("sum", "mean", "cumsum", "norm", "softmax", "log_softmax", "logsumexp", "max", "min")),
    "(x - mean(x)) / sqrt(mean((x - mean(x)) ** 2) + 0.001)",
]
TWO = [
    "dot(x, y)",
    "x / y - log(x * x / (y * y))",
    "sum(square(x - y)) / count(x)",
    "pow(x, 3) - log10(y)",
]
FORMULAS = [*ONE, *ROWS, *TWO]


def rows(formula: str, dtype: str, *, extreme: bool = False) -> tuple[Model, list[np.ndarray]]:
    """Return a model and inputs drawn from its contract."""
    model = Model(parse(written(formula)))
    found: list[dict[str, torch.Tensor]] = []
    strategy = draw_inputs(model.formula, FORMATS[dtype], cotangent=True, extreme=extreme)
    found.append(_example(strategy))
    return model, [to_array(x) for x in found[0].values()]


def _example(strategy: object) -> dict[str, torch.Tensor]:
    from hypothesis import Phase, given, seed, settings

    kept: list[dict[str, torch.Tensor]] = []

    @seed(1)
    @settings(max_examples=6, database=None, phases=[Phase.generate], deadline=None)
    @given(strategy)  # type: ignore[call-overload, untyped-decorator]
    def draw(example: dict[str, torch.Tensor]) -> None:
        kept.append(example)

    draw()
    return max(kept, key=lambda example: next(iter(example.values())).numel())


def violations(of: Quantity, given: list[np.ndarray], *, wide: bool) -> tuple[int, int]:
    """Return the number of elements outside the running error, and the number of elements.

    An element is outside if its distance from the ball exceeds the running error.
    """
    environment = {name: x[:24] for name, x in of.environment(given).items()}
    nodes = of._true_orders[-1]
    doubles = values(nodes, environment)
    shape = of._shape(environment)
    found = pairs(nodes, environment)[nodes[-1]] if wide else None
    hi = np.broadcast_to(doubles[nodes[-1]] if found is None else found.hi, shape)
    lo = np.broadcast_to(0.0 if found is None else found.lo, shape)
    off = np.broadcast_to(errors(nodes, doubles, DOUBLE_DOUBLE if wide else DOUBLE)[nodes[-1]], shape)
    balls: Any = of._balls(environment, shape)
    wrong = count = 0
    for at in np.ndindex(shape):
        if np.isfinite(off[at]) and np.isfinite(hi[at]) and balls[at].is_finite():
            count += 1
            wrong += bool(abs((balls[at] - float(hi[at])) - float(lo[at])) > float(off[at]) * (1 + 2**-20))
    return wrong, count


@pytest.mark.parametrize("wide", [False, True], ids=["in-float64", "in-double-double"])
@pytest.mark.parametrize("formula", FORMULAS)
def test_the_screen_encloses_the_truth(formula: str, *, wide: bool) -> None:
    """The running error covers value and gradient, on ordinary and extreme numbers."""
    seen = 0
    for extreme in (False, True):
        model, given = rows(formula, "float64" if wide else "float32", extreme=extreme)
        for of in (model.value, next(iter(model.gradients.values()))):
            wrong, count = violations(of, given if of is not model.value else given[:-1], wide=wide)
            assert wrong == 0
            seen += count
    assert seen or (wide and any(name in formula for name in ("erf", "sin", "cos", "atan")))


@pytest.mark.parametrize("formula", [*ONE, *ROWS, *TWO])
def test_a_gradient_is_the_derivative(formula: str) -> None:
    """Both graphs agree with finite differences of the value."""
    model = Model(parse(written(formula)))
    rng = np.random.default_rng(3)
    shape = (5, 4) if model.formula.by_rows else (5,)
    given = [np.abs(rng.standard_normal(shape)) + 0.35 for _ in model.names]
    cotangent = rng.standard_normal(model.value.oracle(*map(torch.from_numpy, given)).shape)
    step = 1e-6 * rng.standard_normal(shape)

    def at(sign: float) -> float:
        moved = [given[0] + sign * step, *given[1:]]
        return float((model.value.oracle(*map(torch.from_numpy, moved)).hi * cotangent).sum())

    expected = (at(1.0) - at(-1.0)) / 2.0
    of = model.gradients[model.names[0]]
    environment = of.environment([*given, cotangent])
    for root in (of.true[-1], of.computed):
        found = values(order(root), environment)[root]
        assert float((found * step).sum()) == pytest.approx(expected, rel=1e-5, abs=1e-12)


@pytest.mark.parametrize("dtype", ["float64", "float16"])
@pytest.mark.parametrize("formula", [*ROWS, *TWO, "x ** 3 - x / (1 + x * x)"])
def test_both_bounds_together_equal_each_bound_alone(formula: str, dtype: str) -> None:
    """Shared subexpressions are evaluated once, for the value and for the gradient."""
    model, given = rows(formula, dtype)
    of, format_ = model.gradients[model.names[0]], FORMATS[dtype]
    for quantity, inputs in ((model.value, given[:-1]), (of, given)):
        alone = quantity.written(inputs, format_), quantity.attainable(inputs, format_)
        for together, apart in zip(quantity.bounds(inputs, format_), alone, strict=True):
            np.testing.assert_array_equal(together, apart)


def test_every_word_is_tried() -> None:
    """A new word of the grammar must be added here."""
    tried = " ".join(FORMULAS)
    assert [word for word in WORDS if f"{word}(" not in tried and word not in {"stop"}] == []


@pytest.mark.parametrize("tied", [2, 3, 5])
def test_the_gradient_of_a_maximum_is_undefined_at_ties(tied: int) -> None:
    """Each tied position is undefined; a single maximum, and a maximum used as a shift, are not."""
    x = np.array([[1.5] * tied + [0.5, -2.0], [1.5, 0.25, *[0.5] * tied]])
    ties = np.array([[True] * tied + [False] * 2, [False] * (tied + 2)])
    of = Model(parse(written("max(x)"))).gradients["x"]
    np.testing.assert_array_equal(of.find_undefined([x, np.ones(2)]), ties)
    shift = Model(parse(written("m = max(x); m + log(sum(exp(x - m)))"))).gradients["x"]
    assert not shift.find_undefined([x, np.ones(2)]).any()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_power_is_known_at_zero(dtype: str) -> None:
    """It is zero for positive exponents; the slope exists for exponents above one. Negative bases have no value."""
    x = torch.tensor([0.0, -1.0, 0.25], dtype=getattr(torch, dtype))
    steep, flat, inverse = (Model(parse(written(f"x ** {power}"))) for power in ("(1 / 4)", "1.5", "-0.5"))
    weight = torch.ones_like(x)
    np.testing.assert_array_equal(flat.value.oracle(x).hi, [0.0, np.nan, 0.125])
    np.testing.assert_array_equal(flat.gradients["x"].oracle(x, weight).hi[[0, 2]], [0.0, 0.75])
    assert np.isfinite(flat.value.bounds([to_array(x)], FORMATS[dtype]))[:, 0].all()
    np.testing.assert_allclose(steep.value.oracle(x).hi, [0.0, np.nan, 0.5**0.5], rtol=2.0**-52)
    assert not np.isfinite(steep.gradients["x"].oracle(x, weight).hi[0])
    np.testing.assert_array_equal(inverse.value.oracle(x).hi, [np.nan, np.nan, 2.0])


def test_the_conditioning_of_a_quotient_survives_a_large_divisor() -> None:
    """In float64, a share of 1e-162 changes by 372 times the relative change of the responsible entry."""
    of, format_ = Model(parse(written("exp(-x) / sum(exp(-x))"))).value, FORMATS["float64"]
    x = np.array([[-372.3, 0.5]])
    share = np.exp(-372.8)
    assert of.attainable([x], format_)[0, 1] >= 4.0 * format_.u * 372.3 * share
    assert of.attainable([x], format_)[0, 1] <= 16.0 * format_.u * 372.3 * share


def test_the_bound_of_a_long_row_is_proportional_to_a_tiny_gradient() -> None:
    """The squares of changes below 1e-162 underflow, and once left a bound that no implementation can keep."""
    x = np.zeros((1, 17))
    x[0, :2] = -102.7, 273.2
    gradient = Model(parse(written("log(1 + sum(exp(x)))"))).gradients["x"]
    large, small = (gradient.attainable([x, np.array([weight])], FORMATS["float64"]) for weight in (1.0, 2.0**-20))
    np.testing.assert_allclose(small, 2.0**-20 * large, rtol=1e-12)
