"""Inputs with a domain: a range is drawn over all magnitudes, and every example stays in its domain."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

import harness
from harness.case import Case
from harness.contracts import contract_named
from harness.floats import FORMATS, Format
from harness.formula import inputs
from harness.formula.grammar import parse
from harness.formula.spelling import domain, written
from harness.laws import list_rays
from harness.record import TensorText
from harness.surveyor.encoding import ExampleEncoding, is_searchable
from harness.surveyor.search import mutate_rows
from harness.verdict.job import list_jobs
from harness.verdict.replay import decode_example


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
    drawn = inputs.map_into_domain(rows, facts, format_, varied=True).numpy()
    assert ((facts.low <= drawn) & (drawn <= facts.high)).all()
    sizes = np.log10(np.abs(drawn[drawn != 0.0]))
    ends = sorted((abs(facts.low), abs(facts.high)))
    least = 1.0 if facts.whole else inputs.least(format_)
    first = np.log10(ends[0] if facts.low * facts.high > 0.0 else min(least, ends[1]))
    decades = np.histogram(sizes, bins=8, range=(first, np.log10(ends[1])))[0]
    assert (decades > 0).all()


def test_a_range_beyond_float16_is_restored_within_float16() -> None:
    """A shrinking step clamps to the part of the range that the dtype has."""
    formula = parse(written("log(x)", inputs={"x": "1.5..1e9"}))
    restore = inputs.axes_of(formula, "x", ("n",)).restore
    assert restore is not None
    restored = restore(torch.tensor([0.0, 3.0, 60000.0], dtype=torch.float16), FORMATS["float16"])
    assert restored is not None
    assert restored.tolist() == [1.5, 3.0, 60000.0]


def off_one(p: Tensor) -> float:
    """Return how far the sum of a row is from one."""
    return float((p.double().sum(-1) - 1.0).abs().max())


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_shown_distribution_sums_to_one(dtype: str) -> None:
    """The sum differs from one only by the rounding of the entries, although entries were dropped and simplified."""
    verdicts = harness.check(
        lambda x: -(x * x.clamp(min=1e-3).log()).sum(-1),
        formula="-sum(x * log(x))",
        inputs={"x": "distribution"},
        laws=["value", "gradient"],
        dtypes=[dtype],
    )
    for verdict in verdicts:
        assert verdict.violation is not None
        example = verdict.violation.example["x"]
        assert isinstance(example, TensorText)
        assert off_one(decode_example({"x": example})["x"]) <= 4.0 * FORMATS[dtype].u


def is_in_domain(text: str, x: Tensor, format_: Format) -> bool:
    """Return whether numbers are in a domain."""
    if text == "distribution":
        return bool((x >= 0.0).all()) and off_one(x) <= 4.0 * format_.u
    low, high = {"unit": (0.0, 1.0), "0.5..0.75": (0.5, 0.75), "-3..-1": (-3.0, -1.0)}[text]
    return bool(((low <= x) & (x <= high)).all())


@pytest.mark.parametrize("inputs", [{}, {"y": ""}], ids=["alone", "with another input"])
@pytest.mark.parametrize("text", ["distribution", "unit", "0.5..0.75", "-3..-1"])
def test_a_survey_stays_in_the_domain(text: str, inputs: Mapping[str, str]) -> None:
    """A survey follows and searches only numbers of the domain, also where it changes the best rows."""
    formula = "sum(x * x * y)" if inputs else "sum(x * x)"
    contract = written(formula, inputs={"x": text, **inputs}).text
    (job,) = list_jobs([Case(lambda *x: x[0], contract)], laws=["value"], dtypes=["float32"])
    rays = list_rays(contract_named(contract))
    assert rays
    for ray in rays:
        t = torch.linspace(ray.start(job.format), ray.end(job.format), 100).to(job.format.dtype)
        assert is_in_domain(text, ray.example(t, job.format)["x"], job.format), ray.name
    if is_searchable(job):
        encoding, rng = ExampleEncoding(job), np.random.default_rng(0)
        rows = mutate_rows(encoding.seeds(400, rng, near_thresholds=True), encoding, rng)
        assert is_in_domain(text, encoding.decode(rows)["x"], job.format)
