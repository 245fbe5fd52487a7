"""Breaking points of the softmax family, exact to the float, equal to the closed forms and to known numbers."""

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.calling.target import load
from harness.case import Break, Case
from harness.error import UsageError
from harness.floats.format import FORMATS, from_ordinal, to_ordinal
from harness.floats.oracle import confirming
from harness.laws.standard_rays import list_rays
from harness.record import Breaking
from harness.surveyor.breaking import RaySearch, breaking, follows
from harness.surveyor.explore import explorations
from harness.surveyor.search import Budget
from harness.verdict.job import Job, list_jobs
from harness.wording.survey import (
    format_closed_form,
    select_disagreeing,
    select_unanswered,
    select_undeclared,
    survey_line,
)

DTYPES = ("float16", "bfloat16", "float32", "float64")

KNOWN: dict[str, tuple[float | None, ...]] = {
    "scratch.softmax, value, spike": (11.09375, 89.0, 88.72283935546875, 709.7827128933841),
    "scratch.softmax, value, uniform offset": (9.015625, 87.0, 86.64340209960938, 707.7032713517042),
    "scratch.softmax, value, negative offset": (17.34375, 93.0, 103.97208404541016, 745.1332191019412),
    "scratch.softmax, gradient, spike": (11.09375, 89.0, 88.72283935546875, 709.7827128933841),
    "scratch.clamped_softmax, value, two-point gap": (None, 50.5, 50.00000762939453, 50.000000000000014),
    "scratch.shifted_softmax, value, spike": (None,) * 4,
    "concise.softmax, value, spike": (None,) * 4,
    "concise.softmax, gradient, ramp": (None,) * 4,
    "scratch.log_of_softmax, finite_on_extreme_logits, two-point gap": (
        17.34375,
        93.0,
        103.97208404541016,
        745.1332191019412,
    ),
    "scratch.log_of_softmax, gradient, reversed gap": (11.09375, 89.0, 88.72283935546875, 709.7827128933841),
    "concise.log_softmax, dominating_class_not_lost, two-point gap": (
        7.625,
        5.5625,
        16.63553237915039,
        36.73680056967711,
    ),
    "scratch.logits_minus_logsumexp, dominating_class_not_lost, uniform offset": (8192.0, 1024.0, 67108864.0, 2.0**55),
    "concise.cross_entropy, loss_not_lost, two-point gap": (7.625, 5.5625, 16.63553237915039, 36.73680056967711),
    "scratch.clamped_cross_entropy, value, reversed gap": (13.7734375, 28.125, 27.63102912902832, 27.631021115927563),
    "scratch.clamped_cross_entropy, gradient, reversed gap": (11.09375, 27.75, 27.63102149963379, 27.63102111592755),
}
"""The breaking point in each dtype, by case, law and ray."""


@cache
def found(case: str, law: str, ray: str, dtype: str) -> Breaking:
    """Follow a law of a shipped case along a ray."""
    (declared,) = [one for one in load() if one.name.endswith(case)]
    (job,) = list_jobs([declared], laws=[law], dtypes=[dtype])
    return breaking(job, next(one for one in list_rays(job.contract) if one.name == ray))


@pytest.mark.parametrize("place", KNOWN)
def test_breaking_points_are_the_known_numbers_to_the_float(place: str) -> None:
    """Values and gradients are tested separately in four dtypes.

    Ball arithmetic confirms them, measured again separately. In 16 bits every earlier number was tried.
    """
    case, law, ray = place.split(", ")
    for dtype, point in zip(DTYPES, KNOWN[place], strict=True):
        record = found(case, law, ray, dtype)
        assert record.value == point, dtype
        grouped = "cross_entropy" in case
        assert record.certainty == "exhausted" or grouped or FORMATS[dtype].precision > 11
        if point is None:
            continue
        assert record.confirmed
        (declared,) = [one for one in load() if one.name.endswith(case)]
        (job,) = list_jobs([declared], laws=[law], dtypes=[dtype])
        chosen = next(one for one in list_rays(job.contract) if one.name == ray)
        at = to_ordinal(torch.tensor([point], dtype=job.format.dtype))
        with confirming():
            broken = [
                job.subject.measure(job.law, chosen.example(from_ordinal(at + step, job.format), job.format)).broken
                for step in (-1, 0)
            ]
        assert broken == [False, True]


def test_the_gradient_of_a_log_of_softmax_breaks_before_its_value() -> None:
    """From ln(max) to -ln(sub/2), the value is finite and the gradient is NaN."""
    gradient = found("scratch.log_of_softmax", "gradient", "reversed gap", "float32")
    value = found("scratch.log_of_softmax", "finite_on_extreme_logits", "reversed gap", "float32")
    assert gradient.actual is not None
    assert np.isnan(gradient.actual)
    assert (gradient.value, value.value) == (88.72283935546875, 103.97208404541016)


SURVEYED = "softmax_regression"
"""The family that the report's job surveys; the job fails if a case breaks elsewhere than declared."""

DECLARED = [(case, law, ray) for case in load() if case.family != SURVEYED for law, ray in case.breaks_at]


def test_the_family_that_is_left_out_below_is_surveyed_by_the_reports_job() -> None:
    """That job covers every dtype, and the baseline has its breaking points."""
    tox = (Path(__file__).parents[2] / "tox.ini").read_text(encoding="utf-8")
    (words,) = re.findall(rf"^    harness survey cases\.{SURVEYED} (.*)$", tox, re.MULTILINE)
    assert not {"--law", "--dtypes", "--ray", "--seconds"}.intersection(words.split())
    assert sum(len(case.breaks_at) for case in load(f"cases.{SURVEYED}")) > 30


@pytest.mark.parametrize(("case", "law", "ray"), DECLARED, ids=lambda value: getattr(value, "name", value))
def test_every_declared_closed_form_gives_the_breaking_point(case: Case, law: str, ray: str) -> None:
    """Every dtype with a declaration is tested."""
    checked = 0
    for exploration in explorations([case], Budget(batches=0)):
        for job in exploration.jobs:
            for one in list_rays(job.contract):
                if (job.law.name, one.name) == (law, ray) and case.declared_point(law, ray, job.format.name):
                    record = breaking(job, one)
                    assert record.agrees, format_closed_form(record)
                    checked += 1
    assert checked


def naive(logits: Tensor) -> Tensor:
    """The definition."""
    return logits.exp() / logits.exp().sum(-1, keepdim=True)


def spike_of(case: Case) -> Breaking:
    """Follow the value along a spike in float32."""
    (job,) = list_jobs([case], laws=["value"], dtypes=["float32"])
    return breaking(job, next(one for one in list_rays(job.contract) if one.name == "spike"))


def test_a_closed_form_that_is_declared_wrongly_is_shown_to_disagree() -> None:
    """The record and the last line contain the value of the form."""
    record = spike_of(Case(naive, "softmax", breaks_at={("value", "spike"): "p ln 2"}))
    assert record.agrees is False
    assert format_closed_form(record) == "DISAGREES with p ln 2 = 16.63553233"
    assert select_disagreeing([record]) == [record]
    assert "0 of 1 declared closed forms agree" in survey_line([record], [])


def test_a_closed_form_that_is_declared_where_nothing_breaks_disagrees_too() -> None:
    """The shifted softmax is right up to the end of the ray."""
    record = spike_of(Case(lambda x: x.softmax(-1), "softmax", breaks_at={("value", "spike"): "ln(max + ulp/2)"}))
    assert (record.value, record.agrees) == (None, False)


def test_an_undeclared_closed_form_is_recognized() -> None:
    """The record states that neither the form nor the break is declared."""
    record = spike_of(Case(naive, "softmax"))
    assert (record.form, record.declared, record.agrees) == ("ln(max + ulp/2)", False, True)
    assert select_undeclared([record], []) == [record]


@pytest.mark.parametrize(
    ("points", "text"),
    [
        ({("value", "spice"): "p ln 2"}, "`value` along `spice`"),
        ({("worth", "spike"): "p ln 2"}, "`worth` along `spike`"),
        ({("value", "spike"): "p ln 3"}, "`p ln 3`"),
    ],
)
def test_a_declaration_of_what_there_is_not_is_the_users_error(points: dict[tuple[str, str], str], text: str) -> None:
    """The law, the ray, or the form does not exist."""
    with pytest.raises(UsageError, match=text):
        spike_of(explorations([Case(naive, "softmax", breaks_at=points)], Budget(), dtypes=["float32"])[0].jobs[0].case)


def test_an_implementation_that_raises_is_a_reason_and_not_a_crash() -> None:
    """The law is not counted as holding."""

    def raising(logits: Tensor) -> Tensor:
        raise ValueError("no such luck")

    record = spike_of(Case(raising, "softmax"))
    assert record.reason is not None
    assert "no such luck" in record.reason
    assert select_unanswered([record]) == [record]
    assert select_undeclared([record], []) == []


def test_a_half_width_accumulator_breaks_where_adding_ones_sticks() -> None:
    """A linear map that sums in bfloat16 in order exceeds its bound soon after 2^p ones."""

    def sequential(X: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        total = bias.expand(len(X), len(bias)).clone()
        for j in range(X.shape[1]):
            total = total + X[:, j, None] * weight[:, j]
        return total

    (job,) = list_jobs([Case(sequential, "linear")], laws=["value"], dtypes=["bfloat16"])
    record = breaking(job, next(one for one in list_rays(job.contract) if one.name == "length"))
    assert record.value is not None
    assert 257 <= record.value <= 270
    assert record.actual == 256.0


def job_of(contract: str, law: str) -> Job:
    """Return the job for a law of torch's function in float32."""
    (job,) = list_jobs([Case(torch.sigmoid, contract)], laws=[law], dtypes=["float32"])
    return job


def test_a_contract_gets_the_rays_of_the_shape_of_its_first_input() -> None:
    """A vector has two rays. Contracts with other inputs declare their rays."""
    assert [ray.name for ray in list_rays(job_of("sigmoid", "value").contract)] == ["positive", "negative"]
    assert [ray.name for ray in list_rays(job_of("gaussian_nll", "value").contract)] == ["noise variance"]
    assert list_rays(job_of("accuracy", "share_of_hits").contract) == ()


def test_places_on_a_falling_ray_are_counted_from_its_start() -> None:
    """The temperature falls from one, and a place and its value correspond."""
    (job,) = list_jobs([Case(naive, "softmax")], laws=["value"], dtypes=["float32"])
    ray = next(one for one in list_rays(job.contract) if one.name == "temperature")
    assert follows(job, ray)
    search = RaySearch(job, ray)
    assert search.value(0) == 1.0
    assert search.value(1) == float(np.nextafter(np.float32(1), np.float32(0)))
    assert search.value(search.place(0.25)) == 0.25
    assert search.place(2.0) < 0


def test_a_declared_break_of_long_rows_is_expected_along_the_ray_of_lengths() -> None:
    """The declaration names the law about long rows."""
    case = Case(
        lambda x: (x - x.amax(-1, keepdim=True)).exp() / (x - x.amax(-1, keepdim=True)).exp().sum(-1, keepdim=True),
        "softmax",
        breaks={"value_on_long_rows": Break("the sum is kept in float16", ("float16",))},
    )
    (job,) = list_jobs([case], laws=["value"], dtypes=["float16"])
    record = breaking(job, next(one for one in list_rays(job.contract) if one.name == "length"))
    assert (record.value, record.expected_break) == (65520.0, True)
