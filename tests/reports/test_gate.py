"""The gate's part of the report: findings, ratios, and the slices behind them."""

import re
from pathlib import Path
from typing import Any

import pytest
import samples.run
from samples.report import reported, run_of

from harness.record import GateFinding, RunFolder
from harness.reports.figures.run import evidence
from harness.reports.reading import read
from harness.reports.sections import attention
from harness.reports.sections import run as section
from harness.reports.tables import run as gate


def test_the_findings_that_decide_come_first() -> None:
    """A regression comes before an unchanged case."""
    table = gate.list_findings(samples.run.gate_findings())
    assert [row[1] for row in table.rows] == ["regressed", "unchanged"]
    assert "got slower" in table.rows[0][2]


def test_every_arm_has_a_row_with_its_bounds() -> None:
    """The bounds are slowdowns in percent."""
    table = gate.comparisons(samples.run.comparisons())
    assert len(table.rows) == 5
    assert table.rows[0][3:] == ("10", "+10.0 %", "+9.1 %", "+10.9 %", "3.5 %")


def test_the_figure_names_its_range_and_draws_the_case_that_differs_most() -> None:
    """All cases are on the left, the slices of this case on the right."""
    figure = evidence(samples.run.comparisons(), samples.run.slices())
    forest, course = figure.panels
    assert "+0.1 % to +10.0 %" in figure.caption
    assert 'aria-label="Slowdown of 2 cases' in forest.svg
    assert course.title.startswith("softmax_regression.scratch.softmax")
    assert "time since the measurement began (s)" in course.svg


def test_without_slices_the_figure_says_so() -> None:
    """A run without its slices is still readable."""
    figure = evidence(samples.run.comparisons(), [])
    assert figure.panels[1].note == "no slices in this run"


def test_a_regression_is_among_what_needs_attention(tmp_path: Path) -> None:
    """It has a link to the section of the gate. A run without findings has no entry."""
    run = samples.run.full_run(tmp_path / "run")
    reading = read(run)
    shown, own = attention.attention(reading), section.gate(reading)
    assert shown is not None
    assert own is not None
    listed: Any = shown.parts[-1]
    assert any("got slower" in sentence for sentence, target in listed.items if target == "gate")
    assert [part.kind for part in own.parts] == ["table", "figure", "table"]
    RunFolder(tmp_path / "run").write(GateFinding, [])
    assert section.gate(read(run)) is None


@pytest.mark.parametrize(("kept", "colour"), [(2, "bad"), (0, "good")])
def test_a_regression_makes_the_report_red(tmp_path: Path, kept: int, colour: str) -> None:
    """The page is red and begins with the regression, although every law holds."""
    html = reported(run_of(tmp_path, samples.run.verdict(), *samples.run.gate_findings()[:kept])).html
    assert re.findall(r'class="verdict (\w+)"', html) == [colour]
