"""How much the screen of formulas decides, and whether its enclosure holds.

The value and gradient of every word of the grammar are evaluated on numbers of 42 binades; a tenth are extreme. Counted
are the elements that float64 leaves undecided, the elements that double-double leaves to balls, and the float64 values
that differ from double-double by more than both running errors.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from formula.test_truth import FORMULAS
from numpy.typing import NDArray

from harness.formula.grammar import parse
from harness.formula.model import Model
from harness.formula.quantity import ENOUGH_NARROW, ENOUGH_WIDE, Quantity
from harness.formula.spelling import written

POSITIVE = {"log(x)", "log1p(x)", "log2(x)", "sqrt(x)"}
"""Words that are NaN for negative numbers, where nothing must be decided."""

SPELLED: list[tuple[str, dict[str, str]]] = [
    *((formula, {"x": "positive"} if formula in POSITIVE else {}) for formula in FORMULAS),
    ("-log_softmax(x)[t]", {"x": "", "t": "index"}),
]

FLOOR = 2.0**-190
"""Absolute error that suffices in formats of at most 32 bits."""


class Screened(NamedTuple):
    """Counts of elements: all, undecided in float64, undecided in double-double, outside their enclosure."""

    elements: int
    in_float64: int
    in_pairs: int
    outside: int


def quantities(elements: int, seed: int = 8) -> Iterator[tuple[str, Quantity, list[NDArray[Any]]]]:
    """Yield the value and the gradients of each formula, with numbers as inputs."""
    rng = np.random.default_rng(seed)
    for formula, stated in SPELLED:
        model = Model(parse(written(formula, None, stated)))
        k = 4 if model.formula.by_rows else 1
        n = elements // k
        given: list[NDArray[Any]] = []
        for domain in model.formula.domains.values():
            x = rng.standard_normal((n, k)) * np.exp2(rng.integers(-30, 12, size=(n, 1)).astype(float))
            extreme = rng.random(n) < 0.1
            x[extreme] = np.exp2(rng.uniform(-1000, 1000, size=(extreme.sum(), k))) * rng.choice([-1.0, 1.0])
            x = np.abs(x) if domain.kind == "positive" else x
            number = x if model.formula.by_rows else x[:, 0]
            given.append(rng.integers(k, size=n) if domain.kind == "index" else number)
        yield formula, model.value, given
        weights = rng.standard_normal((n, k) if len(model.output) > 1 else n)
        yield f"gradient of {formula}", next(iter(model.gradients.values())), [*given, weights]


def screened(of: Quantity, given: list[NDArray[Any]]) -> Screened:
    """Return the counts."""
    environment = of.environment(given)
    shape = of._shape(environment)
    double, off = of.enclose(environment, shape, in_pairs=False)
    pair, less_off = of.enclose(environment, shape, in_pairs=True)
    with np.errstate(invalid="ignore", over="ignore"):
        undecided = ~(off <= np.maximum(ENOUGH_NARROW * np.abs(double.hi), FLOOR))
        still = undecided & ~(less_off <= np.maximum(ENOUGH_WIDE * np.abs(pair.hi), FLOOR))
        apart = np.abs((double.hi - pair.hi) - pair.lo)
        outside = np.isfinite(off) & np.isfinite(less_off) & (apart > off * (1.0 + 2.0**-20) + less_off)
    return Screened(undecided.size, int(undecided.sum()), int(still.sum()), int(outside.sum()))
