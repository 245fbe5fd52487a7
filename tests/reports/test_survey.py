"""The report of a survey: exact numbers, closed forms, and lower bounds."""

import re
from typing import Any

import pytest
import samples.benchmarks
import samples.run
from samples.report import reported

from harness.record import Breaking, RunFolder, Status, Verdict
from harness.reports.page import write_report
from harness.wording.table.survey import breaking_table, worst_table


def test_breaking_points_stand_in_a_column_for_each_dtype() -> None:
    """Each number is the shortest decimal, next to the closed form and the result."""
    (row,) = breaking_table(samples.run.breakings()).rows
    numbers = ("709.7827128933841", "88.72283935546875", "89", "11.09375")
    assert row[:3] == ("softmax_regression.scratch.softmax", "value", "spike: (t, 0, ..., 0)")
    assert row[3:] == (*numbers, "ln(max + ulp/2)", "nan, expected 1")


def test_a_form_that_disagrees_is_shown_with_its_dtype() -> None:
    """It is shown even if nothing breaks."""
    case = ("softmax_regression.scratch.softmax", "softmax")
    wrong: dict[str, Any] = {"agrees": False, "form": "p ln 2"}
    broken = samples.run.breaking(*case, "float32", **wrong)
    (row,) = breaking_table([broken, samples.run.breaking(*case, "float64", **wrong, value=None, actual=None)]).rows
    assert row[5] == "p ln 2 DISAGREES in float32; p ln 2 DISAGREES in float64"
    assert row[3:5] == ("–", "88.72283935546875")


def test_a_point_that_is_only_the_first_found_has_an_asterisk(bare: RunFolder) -> None:
    """The caption explains the asterisk."""
    breaking = samples.run.breaking("softmax_regression.scratch.softmax", "softmax", "float32", certainty="scanned")
    assert breaking_table([breaking]).rows[0][3] == "88.72283935546875 *"
    bare.write(Breaking, [breaking])
    assert "An asterisk marks failures" in reported(bare).html


def test_the_worst_is_called_searched_and_a_lower_bound() -> None:
    """An infinite deviation has an infinite share."""
    table = worst_table(samples.run.worst())
    first, last = table.rows[0], table.rows[-1]
    assert first[4:7] == ("inf ulp", "83", "inf×")
    assert last[6] == "0.860×"
    assert {row[-1] for row in table.rows} == {"searched: a lower bound"}


def test_a_run_without_a_survey_shows_none(bare: RunFolder) -> None:
    """The page has no section about it."""
    page, _ = write_report(bare)
    assert '<section id="survey">' not in page.read_text(encoding="utf-8")


def headed(bare: RunFolder) -> tuple[str, list[str]]:
    """Write the report; return the color of its verdict, and its lines."""
    page, lines = write_report(bare)
    (colour,) = re.findall(r'class="verdict (\w+)"', page.read_text(encoding="utf-8"))
    return colour, lines


def test_a_survey_alone_heads_the_page(bare: RunFolder) -> None:
    """The headline is green if everything breaks as declared."""
    bare.write(Breaking, samples.run.breakings())
    colour, lines = headed(bare)
    assert colour == "good"
    assert lines == ["survey: 4 breaking points on 16 rays; 0 worst cases; 4 of 4 declared closed forms agree"]


def test_a_survey_has_the_second_line_after_laws(bare: RunFolder) -> None:
    """It is on the page and in Markdown."""
    bare.write(Verdict, [samples.run.verdict()])
    bare.write(Breaking, samples.run.breakings())
    colour, lines = headed(bare)
    assert colour == "good"
    assert [line.partition(":")[0] for line in lines] == ["verdict", "survey"]
    for name in ("report.html", "report.md"):
        assert lines[1] in (bare.path / "report" / name).read_text(encoding="utf-8").replace("<wbr>", "")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"agrees": False, "form_value": 80.0},
            "[float32] breaks at 88.72283936 along spike; the declared breaking point is "
            "ln(max + ulp/2) = 80.00000000.",
        ),
        (
            {"agrees": False, "value": None, "value_hex": None},
            "[float32] does not break along spike; the declared breaking point is ln(max + ulp/2) = 88.72283936.",
        ),
        (
            {"expected_break": False, "declared": False, "form": None, "form_value": None, "agrees": None},
            "breaks value in float32, found by the survey.",
        ),
        (
            {"value": None, "value_hex": None, "declared": False, "form": None, "reason": "it hung for 30 s.\nMore."},
            "gave no answer for value [float32] along spike: it hung for 30 s.",
        ),
    ],
)
def test_a_failing_survey_makes_the_report_red(bare: RunFolder, changes: dict[str, object], told: str) -> None:
    """The page is red although every law holds, with a sentence in the terminal and among the problems."""
    bare.write(Verdict, [samples.run.verdict()])
    bare.write(Breaking, [samples.run.breaking("softmax_regression.scratch.softmax", "softmax", "float32", **changes)])
    colour, lines = headed(bare)
    assert colour == "bad"
    assert lines[2].startswith("softmax_regression.scratch.softmax ")
    assert lines[2].endswith(told)
    attention = (bare.path / "report" / "report.md").read_text(encoding="utf-8").partition("## Changes")[0]
    assert "Nothing: every law holds" not in attention
    assert "softmax_regression.scratch.softmax" in attention


def test_a_survey_that_finds_something_wrong_is_red_where_every_law_was_skipped(bare: RunFolder) -> None:
    """Skipped laws do not hide the survey."""
    bare.write(Verdict, [samples.run.verdict(Status.SKIPPED)])
    wrong = samples.run.breaking("softmax_regression.scratch.softmax", "softmax", "float32", agrees=False)
    bare.write(Breaking, [wrong])
    assert headed(bare)[0] == "bad"
