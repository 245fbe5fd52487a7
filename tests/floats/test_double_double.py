"""Double-double arithmetic, compared with ball arithmetic."""

from collections.abc import Callable

import numpy as np
import pytest
from flint import arb, ctx

from harness.floats import DoubleDouble
from harness.floats import double_double as dd

RNG = np.random.default_rng(7)
WIDE = np.concatenate([RNG.uniform(-600, 700, 500), RNG.uniform(-1, 1, 300), 10.0 ** RNG.uniform(-30, 0, 200)])


def pairs(values: np.ndarray) -> DoubleDouble:
    """Return numbers with low parts of up to half an ulp."""
    return DoubleDouble(values, values * RNG.uniform(-1, 1, values.shape) * 2.0**-54)


def relative_error(actual: DoubleDouble, exact: Callable[..., arb], *inputs: DoubleDouble) -> float:
    """Largest relative error, in base-2 logarithm."""
    with ctx.workprec(400):
        worst = arb(0)
        for i in range(len(actual.hi)):
            true = exact(*(arb(float(x.hi[i])) + arb(float(x.lo[i])) for x in inputs))
            worst = max(worst, abs((arb(float(actual.hi[i])) + arb(float(actual.lo[i])) - true) / true).mid())
        return float(worst.log() / arb(2).log()) if worst > 0 else -np.inf


@pytest.mark.parametrize(
    ("function", "exact", "inputs", "bits"),
    [
        (dd.exp, lambda x: x.exp(), pairs(WIDE), 98),
        (dd.log1p, lambda x: (1 + x).log(), pairs(10.0 ** RNG.uniform(-30, 300, 1000)), 95),
        (dd.log1p, lambda x: (1 + x).log(), pairs(-(10.0 ** RNG.uniform(-30, -0.01, 500))), 95),
        (dd.log, lambda x: x.log(), pairs(10.0 ** RNG.uniform(-300, 300, 1000)), 95),
        (dd.root, lambda x: x.sqrt(), pairs(10.0 ** RNG.uniform(-270, 300, 1000)), 104),
        (dd.DOUBLE.exp, lambda x: x.exp(), pairs(WIDE), 98),
        (dd.COMPENSATED.exp, lambda x: x.exp(), pairs(WIDE), 51),
        (dd.COMPENSATED.log1p, lambda x: (1 + x).log(), pairs(10.0 ** RNG.uniform(-30, 300, 500)), 51),
    ],
    ids=["exp", "log1p", "log1p of negative", "log", "root", "double exp", "compensated exp", "compensated log1p"],
)
def test_elementary_functions_keep_their_stated_accuracy(
    function: Callable[[DoubleDouble], DoubleDouble], exact: Callable[..., arb], inputs: DoubleDouble, bits: int
) -> None:
    """The docstrings state the accuracy."""
    assert relative_error(function(inputs), exact, inputs) <= -bits


@pytest.mark.parametrize(
    ("operation", "exact"),
    [
        (lambda x, y: x + y, lambda a, b: a + b),
        (lambda x, y: x - y, lambda a, b: a - b),
        (lambda x, y: x * y, lambda a, b: a * b),
        (lambda x, y: x / y, lambda a, b: a / b),
    ],
    ids=["add", "subtract", "multiply", "divide"],
)
def test_arithmetic_keeps_a_hundred_bits(operation: Callable[..., DoubleDouble], exact: Callable[..., arb]) -> None:
    """Half of the operands nearly cancel."""
    x = pairs(RNG.standard_normal(500))
    y = pairs(np.concatenate([RNG.standard_normal(250), x.hi[250:] * (1.0 + 2.0**-40)]))
    assert relative_error(operation(x, y), exact, x, y) <= -100


def test_products_of_very_large_and_small_factors_are_exact() -> None:
    """The splitter does not overflow."""
    product = dd.two_product(np.array([2.0**1000 + 2.0**950]), np.array([2.0**-900 + 2.0**-945]))
    with ctx.workprec(400):
        exact = (arb(2) ** 1000 + arb(2) ** 950) * (arb(2) ** -900 + arb(2) ** -945)
        assert arb(float(product.hi[0])) + arb(float(product.lo[0])) == exact


def test_infinities_and_nan_pass_as_in_float64() -> None:
    """No NaN appears where plain arithmetic has none."""
    result = dd.exp(dd.lift(np.array([800.0, -800.0, np.nan, 0.0, 1e308])))
    assert np.array_equal(result.hi, [np.inf, 0.0, np.nan, 1.0, np.inf], equal_nan=True)
    assert np.array_equal((dd.lift(np.array([1e308])) + 1e308).hi, [np.inf])
    assert np.array_equal((dd.lift(np.array([1.0])) / 0.0).hi, [np.inf])


@pytest.mark.parametrize("length", [0, 1, 2, 7, 64])
def test_the_sum_of_cancelling_terms_is_exact(length: int) -> None:
    """All terms except the last cancel."""
    terms = np.concatenate([10.0 ** RNG.uniform(0, 15, length), [0.125]])
    both = np.concatenate([terms, -terms[:-1]])
    assert dd.total(dd.lift(both)).hi == 0.125
    assert dd.total(dd.lift(np.empty((3, 0)))).shape == (3,)
