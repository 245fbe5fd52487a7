"""Inputs of a range: drawn uniformly, near zero and over all magnitudes."""

import numpy as np
import pytest
import torch

import harness
from harness.floats import FORMATS
from harness.formula import inputs
from harness.formula.grammar import parsed
from harness.formula.spelling import domain, written


def test_cancellation_near_zero_is_found_in_a_wide_range() -> None:
    """A uniform draw from a wide range contains no number near zero, and none whose square is ordinary."""
    verdicts = harness.check(
        lambda x: torch.sqrt(1 + x * x) - 1,
        formula="sqrt(1 + x ** 2) - 1",
        form="x ** 2 / (sqrt(1 + x ** 2) + 1)",
        inputs={"x": "-1e30..1e30"},
        laws=["value", "finite"],
        dtypes=["float32"],
    )
    value, finite = verdicts
    assert value.status == "broken"
    assert value.violation is not None
    assert value.violation.actual != value.violation.expected
    assert finite.status == "broken"


@pytest.mark.parametrize(
    "text", ["-1e30..1e30", "0..1", "1e-3..1e30", "-1e4..3", "-2..-1e-9", "0.5..2", "0..65535 whole"]
)
def test_a_draw_stays_in_its_range_and_reaches_all_of_it(text: str) -> None:
    """All magnitudes are drawn between the ends, or from the smallest ordinary number to an end."""
    facts, format_ = domain(text, "x"), FORMATS["float64"]
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((300, 4)) * 10.0 ** rng.integers(-4, 3, size=(300, 1))
    drawn = inputs.admitted(rows, facts, format_, varied=True).numpy()
    assert ((facts.low <= drawn) & (drawn <= facts.high)).all()
    sizes = np.log10(np.abs(drawn[drawn != 0.0]))
    ends = sorted((abs(facts.low), abs(facts.high)))
    least = 1.0 if facts.whole else inputs.least(format_)
    first = np.log10(ends[0] if facts.low * facts.high > 0.0 else min(least, ends[1]))
    decades = np.histogram(sizes, bins=8, range=(first, np.log10(ends[1])))[0]
    assert (decades > 0).all()


def test_a_range_beyond_float16_is_restored_within_float16() -> None:
    """A shrinking step clamps to the part of the range that the dtype has."""
    formula = parsed(written("log(x)", inputs={"x": "1.5..1e9"}))
    restore = inputs.axes_of(formula, "x", ("n",)).restore
    assert restore is not None
    restored = restore(torch.tensor([0.0, 3.0, 60000.0], dtype=torch.float16), FORMATS["float16"])
    assert restored is not None
    assert restored.tolist() == [1.5, 3.0, 60000.0]
