"""The screen encloses the exact value, decides nearly all elements, and a too small running error is found."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from formula.screens import quantities, screened

from harness.formula import quantity
from harness.formula.arithmetic import values
from harness.formula.grammar import parse
from harness.formula.model import Model
from harness.formula.node import order
from harness.formula.running_error import DOUBLE, errors
from harness.formula.spelling import written


def test_the_screen_decides_nearly_all_and_rightly() -> None:
    """For value and gradient of every word, the screen leaves less than a twentieth of the elements to balls."""
    counts = np.array([screened(of, given) for _, of, given in quantities(400)])
    elements, _, to_balls, outside = counts.sum(0)
    assert outside == 0
    assert to_balls <= elements / 20


def test_few_numbers_go_to_balls_at_once_and_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Single rows agree with batches far below an ulp, and exactly with the balls."""
    for name, of, given in quantities(64):
        rows = [x[:12] for x in given]
        with np.errstate(all="ignore"), monkeypatch.context() as patched:
            few = [of.oracle(*(x[at : at + 1] for x in rows)).hi[0] for at in range(12)]
            patched.setattr(quantity, "FEW_NUMBERS", 0)
            many = of.oracle(*rows).hi
            near = np.abs(few - many) <= 2.0**-40 * np.abs(many) + 2.0**-1070
            assert (near | (np.isnan(few) & np.isnan(many)) | (few == many)).all(), name


def test_a_running_error_that_is_too_small_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elements then lie outside their enclosure."""
    monkeypatch.setattr(quantity, "DOUBLE", replace(DOUBLE, basic=2.0**-56, accumulated=2.0**-56))
    assert sum(
        screened(of, given).outside for name, of, given in quantities(400) if name == "sum(square(x - y)) / count(x)"
    )


@pytest.mark.parametrize("argument", [-1e300, -800.0, -3.0, 3.0, 300.0])
@pytest.mark.parametrize("off", [2.0**-8, 0.5, 3.0, 60.0])
@pytest.mark.parametrize("word", ["exp", "expm1"])
def test_the_error_of_an_exponential_stays_within_its_bound(word: str, argument: float, off: float) -> None:
    """The bound holds after an underflow, where an error of the argument has no effect."""
    root = parse(written(f"{word}(x - y)")).definition
    nodes = order(root)
    given = {"x": np.array([argument]), "y": np.array([0.0])}
    relative = replace(DOUBLE, basic=off / abs(argument), transcendental=0.0, smallest=0.0)
    said = errors(nodes, values(nodes, given), relative)[root]
    function = getattr(np, word)
    grown = abs(function(argument + off) - function(argument))
    assert grown <= said * (1.0 + 1e-9)
    assert said <= max(grown * 1.6, 1e-300)


def test_a_sum_that_cancels_completely_is_not_decided_by_its_float64_value() -> None:
    """The harmonic mean of numbers with opposite reciprocals has no value, in batches as in single rows."""
    of = Model(parse(written("1 / mean(1 / x)"))).value
    row = np.array([-25.459292, -2.8288102, 14.14405, 8.48643, -14.14405, 19.80167, 2.8288102, -19.80167], np.float32)
    rows = np.repeat(
        np.concatenate([row, np.array([25.459292, -8.48643], np.float32)]).astype(np.float64)[None], 8, axis=0
    )
    assert np.isnan(of.oracle(torch.from_numpy(rows.astype(np.float32))).hi).all()
