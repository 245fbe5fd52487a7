"""``python -m formula.screens`` in tests/: measure how much the screen of formulas decides, its enclosure and speed.

It evaluates the value and gradient of every word of the grammar on numbers of 42 binades; a tenth are extreme. It
counts the elements that float64 leaves undecided, and the elements that double-double leaves to balls. It also counts
the float64 values that differ from double-double by more than both running errors. Finally it measures rows per second
of CPU time, with the bound.
"""

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
import typer
from formula.test_truth import FORMULAS
from numpy.typing import NDArray

from harness.floats import FORMATS
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

RATED = (("x * sigmoid(1.702 * x)", 1), ("log(1 + exp(x))", 1), ("softmax(x)", 8), ("x / sqrt(mean(x * x) + 1)", 8))
"""Formulas whose screen and bound are timed, with their numbers of columns."""


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


def rates(formula: str, columns: int, rows: int = 4096) -> tuple[float, float]:
    """Return the rows per second of CPU time in float32, for the screen and for both bounds."""
    model = Model(parse(written(formula)))
    x = np.random.default_rng(8).standard_normal((rows, columns))
    given = torch.from_numpy(x if model.formula.by_rows else x[:, 0]).float()
    of, format_ = model.value, FORMATS["float32"]
    exact, arrays = of.oracle(given).hi, [given.double().numpy()]

    return _rate(lambda: of.oracle(given), rows), _rate(lambda: of.bounds(arrays, format_, exact), rows)


def _rate(work: Callable[[], object], rows: int) -> float:
    started, times = time.process_time(), 0
    while time.process_time() - started < 0.3:
        work()
        times += 1
    return times * rows / (time.process_time() - started)


def main(elements: int = 150_000) -> None:
    """Print the counts of undecided elements and of elements outside their enclosure, and the rates."""
    counted = [(name, screened(of, given)) for name, of, given in quantities(elements)]
    for name, seen in counted:
        if seen.outside or seen.in_pairs > seen.elements / 20:
            typer.echo(f"{name:40} {seen.outside} outside, {seen.in_pairs / seen.elements:.1%} to balls")
    total, double, pairs, outside = map(sum, zip(*(seen for _, seen in counted), strict=True))
    typer.echo(
        f"{total:,} elements: {outside} outside of their enclosure, {double / total:.2%} undecided in float64, "
        f"{pairs / total:.2%} in double-double too"
    )
    for formula, columns in RATED:
        screen, bound = rates(formula, columns)
        typer.echo(f"{formula}, {columns} column(s): screen {screen:,.0f} rows/s, both bounds {bound:,.0f} rows/s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
