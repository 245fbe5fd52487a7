"""Enclosures show which elements have no value; these need neither a ball nor more digits."""

from typing import Any

import numpy as np
import pytest
import torch
from flint import ctx

from harness.floats import confirming, to_arb
from harness.formula import ball, undefined
from harness.formula.arithmetic import values
from harness.formula.grammar import parse
from harness.formula.model import Model
from harness.formula.quantity import Quantity
from harness.formula.running_error import DOUBLE, errors
from harness.formula.spelling import spelling, written

CENTRED = "a = x - mean(x); b = y - mean(y); sum(a * b) / sqrt(sum(a * a) * sum(b * b))"
NAN = np.nan

NOWHERE: list[tuple[str, list[list[float]], list[bool]]] = [
    ("x / max(abs(x))", [[0.0, 0.0], [0.0, 1.0]], [True, False]),
    ("x / (x - x)", [[3.0, 0.0]], [True]),
    ("(x - mean(x)) / norm(x - mean(x))", [[4.0] * 7, [0.125] * 7, [4.0] * 6 + [4.5]], [True, True, False]),
    ("log(x) + 0 * sum(x)", [[0.0, -1.0]], [True]),
    ("sum(log1p(x))", [[0.0, -1.5], [0.0, 2.0]], [True, False]),
    ("cumsum(sqrt(x))", [[-1.0, 1.0]], [True]),
    ("where(x < 1, x, 1 / (x - x)) + 0 * max(x)", [[0.5, 0.25], [2.0, 2.0]], [False, True]),
    ("exp(x) + 0 * max(x)", [[900.0, 0.0]], [False]),
    ("x / (x - mean(x)) + 0 * max(x)", [[0.1, 0.1, 0.1]], [False]),
]
"""A formula, rows, and whether each row certainly has no value. Three tenths are rounded in float64."""


def value_of(formula: str) -> Quantity:
    """Return the quantity of the value."""
    return Model(parse(written(formula))).value


@pytest.mark.parametrize(("formula", "rows", "said"), NOWHERE)
def test_signs_show_which_elements_have_no_value(formula: str, rows: list[list[float]], said: list[bool]) -> None:
    """Signs never exclude an element that has or may have a value, and balls confirm each exclusion."""
    of = value_of(formula)
    for row, nowhere in zip(rows, said, strict=True):
        environment = of.environment([np.array([row])])
        flags = of.nowhere(environment, of._shape(environment))
        assert flags.all() == nowhere
        assert not any(x.is_finite() for x in of._balls(environment, of._shape(environment))[flags])


@pytest.mark.parametrize("columns", [257, 2_049])
def test_a_long_row_without_a_value_costs_no_ball(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The correlation of a constant row has no value. A varying row in the same batch has the usual one."""
    of = value_of(CENTRED)
    y = np.random.default_rng(columns).standard_normal((3, columns)).astype(np.float32).astype(np.float64)
    x = np.stack([np.full(columns, 4.0), np.full(columns, -1.0), y[2]])
    monkeypatch.setattr(Quantity, "_balls", lambda *_: pytest.fail("balls were asked"))
    np.testing.assert_allclose(of._screen(None, x, y).hi, [NAN, NAN, 1.0])  # type: ignore[arg-type]


def test_balls_of_undefined_elements_are_not_refined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Balls know the mean of three tenths, so that 0 / 0 needs one evaluation. Only cancellation needs more digits."""
    asked: list[tuple[int, int]] = []
    usual = ball._evaluated

    def counted(nodes: Any, environment: Any) -> Any:
        asked.append((ctx.prec, len(environment["x"])))
        return usual(nodes, environment)

    monkeypatch.setattr(ball, "_evaluated", counted)
    of = value_of("(x - mean(x)) / norm(x - mean(x))")
    rows = np.array([[0.1, 0.1, 0.1], [0.0, 1.0, 2.0]])
    (balls,) = [ball.evaluate(of._true_orders, {"x": to_arb(rows)}, rows.shape)]
    assert [x.is_finite() for x in balls[:, 0]] == [False, True]
    assert asked == [(160, 2)]
    asked.clear()
    deep = value_of("exp(x) - 1 - x - x * x / 2 + 0 * max(x)")
    ball.evaluate(deep._true_orders, {"x": to_arb(np.array([[2.0**-70, 1.0]]))}, (1, 2))
    assert len(asked) > 1


@pytest.mark.parametrize(
    ("formula", "row", "exact"),
    [
        ("sum(x)", [4.0] * 257, True),
        ("mean(x)", [-1.0] * 2_049, True),
        ("sum(x)", [2.0**53, 1.0, 1.0], False),
        ("sum(x)", [2.0**53, 1.0, -(2.0**53)], False),
        ("sum(x)", [0.1, 0.2, 0.3], False),
        ("mean(x)", [1.0, 1.0, 2.0], False),
        ("sum(x)", [2.0**1023, -(2.0**1023), 2.0**1023], False),
        ("sum(x)", [5e-324, 1.0], False),
    ],
)
def test_exact_operations_have_no_error(formula: str, row: list[float], exact: bool) -> None:
    """Only exact sums and quotients have no error."""
    nodes = value_of(formula)._true_orders[-1]
    found = values(nodes, {"x": np.array([row])})
    assert (errors(nodes, found, DOUBLE)[nodes[-1]] == 0.0).all() == exact


def test_a_sign_that_is_not_certain_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An enclosure that treats a nearly zero number as zero would declare a defined value undefined."""
    of = value_of("x / (x - mean(x)) + 0 * max(x)")
    environment = of.environment([np.array([[0.1, 0.1, 0.1 + 2.0**-56]])])
    assert not of.nowhere(environment, (1, 3)).any()
    careless = lambda own, one: np.abs(own.values[one]) <= 2.0**-50  # noqa: E731
    monkeypatch.setattr(undefined.InDouble, "is_zero", careless)
    assert of.nowhere(environment, (1, 3)).any()


def test_zero_times_an_infinite_slope_is_not_zero_but_of_a_branch() -> None:
    """The distance of two roots has an infinite slope where both are zero.

    A branch that is not taken, or that has no weight, has no slope.
    """
    p, q = np.array([[1.0, 0.0, 0.0]]), np.array([[0.0, 1.0, 0.0]])
    distance = Model(parse(written("norm(sqrt(p) - sqrt(q))"))).gradients["p"]
    assert distance.find_undefined([p, q, np.ones(1)])[0, 2]
    assert not distance.find_undefined([p + 0.5, q, np.ones(1)]).any()
    taken = Model(parse(written("sum(where(q > 0.5, log(p), 0))"))).gradients["p"]
    assert not taken.find_undefined([np.zeros((1, 3)), p, np.ones(1)]).any()
    root = Model(parse(written("sqrt(p) * sqrt(p)"))).gradients["p"]
    np.testing.assert_array_equal(root.find_undefined([np.zeros(2), np.array([1.0, 0.0])]), [True, False])


def test_an_overflow_in_float64_is_no_infinite_slope() -> None:
    """The gradient of softplus as written is judged after its exponential has overflowed."""
    of = Model(parse(written("log(1 + exp(-x * y))"))).gradients["x"]
    assert not of.find_undefined([np.array([-1430.0]), np.ones(1), np.ones(1)]).any()


def test_both_tiers_say_that_a_number_over_zero_has_no_value() -> None:
    """The screen once took the quotient for an infinity, so that another rounding of the mean counted as a defect."""
    oracle = Model(parse(spelling("formula: mean(x) / sqrt(mean((x - mean(x)) ** 2))"))).value.oracle
    rows = torch.tensor([[0.9999999999999998] * 10, [-2.0000000000000004] * 10, [0.5] * 10], dtype=torch.float64)
    ordinary = torch.arange(90, dtype=torch.float64).reshape(9, 10)
    screened = oracle(torch.cat([rows, ordinary]))
    with confirming():
        exact = oracle(torch.cat([rows, ordinary]))
    assert np.isnan(screened.hi[:3]).all()
    assert np.array_equal(np.isnan(screened.hi), np.isnan(exact.hi))
    assert np.isinf(Model(parse(spelling("formula: exp(x) / 2"))).value.oracle(ordinary + 1000.0).hi).all()


def test_the_screen_knows_a_value_whose_exponential_overflows() -> None:
    """The logarithm of a number beyond the range of float64 is an ordinary number."""
    oracle = Model(parse(spelling("formula: log(mean(exp(x)))"))).value.oracle
    rows = torch.linspace(800.0, 9_000.0, 120, dtype=torch.float64).reshape(12, 10)
    for x in (rows, rows.float()):
        shift = x.double().max(-1, keepdim=True).values
        expected = (shift.squeeze(-1) + (x.double() - shift).exp().mean(-1).log()).numpy()
        np.testing.assert_allclose(oracle(x).hi, expected, rtol=1e-12)
