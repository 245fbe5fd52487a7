"""Titles state the result of the run, and the failures that a survey found are grouped by cause."""

import math
from pathlib import Path
from typing import Any

import pytest
import samples.benchmarks
import samples.run
from samples.report import Report, reported, run_of

from harness.record import Breaking, RayTrace, RunFolder, Stage, Status
from harness.reports.figures.trace import watch
from harness.reports.reading import Reading, read
from harness.reports.sections import attention, law, loader, operation, training
from harness.reports.summary import breaks
from harness.reports.tables.matrix import matrices
from harness.reports.template import templates


def found(**changes: Any) -> Breaking:
    """Return an undeclared breaking point of a softmax as defined."""
    details = {"declared": False, "expected_break": False, "form": None} | changes
    return samples.run.breaking("softmax_regression.scratch.softmax", "softmax", "float32", **details)


CAUSES = [
    found(ray="spike", form="ln(max + ulp/2)", replay="harness check x"),
    found(ray="symmetric pair", form="ln(max + ulp/2)"),
    found(ray="uniform offset", form="ln((max + ulp/2) / k)", value=86.64),
    found(ray="negative offset", form="-ln(sub/2)", value=103.97),
    found(ray="ramp", law="gradient", actual=0.5, value=31.34, deviation=208.0),
    found(ray="temperature", value=0.01),
]


def test_breaking_points_with_one_closed_form_are_one_finding() -> None:
    """Points without a form are grouped by the kind of failure, and come last."""
    assert [group.sentence for group in breaks(CAUSES)] == [
        "exp overflows from t = 88.72283935546875 on in float32 (t = ln(max + ulp/2))",
        "the sum of exponentials overflows from t = 86.64 on in float32 (t = ln((max + ulp/2) / k))",
        "exp underflows to zero from t = 103.97 on in float32 (t = -ln(sub/2))",
        "the error exceeds its bound from t = 31.34 in float32 on the ray ramp",
        "the answer is not finite from t = 0.01 in float32 on the ray temperature",
    ]
    card = breaks(CAUSES)[0].card
    assert ("rays", "spike and symmetric pair") in card.details
    assert ("rerun", "harness check x") in card.details


def test_a_declared_break_is_no_finding() -> None:
    """Nor is a ray on which nothing breaks."""
    assert breaks([found(expected_break=True), found(declared=True), found(value=None)]) == []


def test_the_page_of_a_survey_shows_a_card_for_each_cause(tmp_path: Path) -> None:
    """The headline names the first cause, and the title of the section counts the findings."""
    html = reported(run_of(tmp_path, *CAUSES)).html
    assert html.count('<article class="cause"') == 5
    assert "<h2>5 findings need attention</h2>" in html
    headline = html[html.index("<h1 ") : html.index("</h1>")]
    assert "exp overflows from t = 88.72283935546875 on in float32" in headline
    assert "4 more findings below" in headline


def test_a_failure_that_a_check_found_is_no_finding_of_the_survey(tmp_path: Path) -> None:
    """The verdict has the cause and the example."""
    broken = samples.run.verdict(Status.BROKEN, case=CAUSES[0].case, law="value", dtype="float32")
    html = reported(run_of(tmp_path, broken, *CAUSES)).html
    assert "on the ray temperature" not in html
    assert "on the ray ramp" in html


def test_the_titles_of_sections_count(tmp_path: Path) -> None:
    """Of a run without findings, the title says so."""
    assert read(run_of(tmp_path / "a")) is not None
    calm = attention.attention(read(run_of(tmp_path / "b", samples.run.verdict())))
    assert calm is not None
    assert calm.title == "Nothing needs attention"
    laws = law.laws(
        read(run_of(tmp_path / "c", samples.run.verdict(), samples.run.verdict(Status.EXPECTED, law="other")))
    )
    assert laws is not None
    assert laws.title == "1 of 2 laws holds"


def test_laws_that_hold_everywhere_are_folded() -> None:
    """A few of them are not, and nothing is folded if nothing else would remain."""
    calm = [samples.run.verdict(law=f"law_{number}") for number in range(4)]
    broken = samples.run.verdict(Status.EXPECTED, law="broken")
    (matrix,) = matrices([*calm, broken])
    assert [row.law for row in matrix.notable] == ["broken"]
    assert [row.law for row in matrix.calm] == [verdict.law for verdict in calm]
    assert matrices(calm)[0].calm == ()
    assert matrices([*calm[:3], broken])[0].calm == ()


def titles(section: Any, reading: Reading) -> list[str]:
    """Return the shown titles of the figures of a section."""
    built = section(reading)
    return [] if built is None else [part.visible_title for part in built.parts if part.kind == "figure"]


@pytest.fixture
def reading(full: RunFolder) -> Reading:
    """Return all data of a run with every kind of record."""
    return read(full)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        (training.steps, ["at batch 256", "of the minimum time", "phase takes"]),
        (training.training, ["reaches a held-out accuracy of"]),
        (loader.best, ["the step has less than half of the time"]),
        (loader.balance, ["always keep the loop waiting over"]),
        (law.summary, ["measured errors are within their bounds"]),
        (operation.vectorization, ["as fast as a loop"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_figure_states_its_result(reading: Reading, section: Any, words: list[str]) -> None:
    """The title has the number that the figure shows."""
    shown = titles(section, reading.of("family", "softmax_regression") if section is training.steps else reading)
    assert [text for text in words if not any(text in title for title in shown)] == []


def test_the_figures_of_an_operation_state_their_results(reading: Reading) -> None:
    """One contract: how many implementations break, and how many results are correctly rounded."""
    shown = titles(operation.survey, reading.of("contract", "softmax"))
    assert any("of softmax" in title for title in shown)
    assert any(title.endswith("of the results are correctly rounded") for title in shown)


def test_the_page_shows_the_result_as_the_title(report: Report) -> None:
    """The general title of such a figure is not on the page."""
    assert "measured errors are within their bounds</h3>" in report.html
    assert "Worst deviation as a share of its bound" not in report.html


def test_the_moving_figure_names_a_clamp() -> None:
    """A finite wrong answer after a clamp is the fault of the clamp."""
    trace = next(trace for trace in samples.run.traces() if trace.breaks_at is not None)
    calls = tuple(
        call.model_copy(update={"actual": tuple(2.0 for _ in call.actual), "stages": (CLAMP,)})
        for call in trace.stations
    )
    shown = watch([RayTrace(**{**trace.__dict__, "stations": calls})])
    assert shown is not None
    assert shown.first.claim.startswith("Clamping makes scratch.softmax silently wrong from t = 88.72")
    assert math.isfinite(shown.first.trace.stations[-1].actual[0])


CLAMP = Stage(operation="clamp_max", values=(50.0,))


def test_a_sentence_of_the_terminal_has_the_units_of_the_page() -> None:
    """Only a number has a unit."""
    shown = str(templates().filters["breakable"]("84% of the 563 us per batch is up to us"))
    assert shown == "84% of the 563 µs per batch is up to us"
