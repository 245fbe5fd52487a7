"""Steps in the report: ratios, floors, phases, agreement, crossover; and runs of older versions."""

import re
import statistics
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
import samples.benchmarks
from samples.report import reported, run_of

from harness.record import RunFolder
from harness.record.bench import AgreementRecord, StepRecord
from harness.reports.figures.step import floor, phases, step_ratios, step_times
from harness.reports.frame import FRAMES
from harness.reports.front import _draw_pictures
from harness.reports.page_part import Figure
from harness.reports.reading import read
from harness.reports.tables import step
from harness.reports.text import render_markdown
from harness.wording.table.step import (
    agreement_table,
    estimate_text,
    format_crossing,
    format_table,
    pair_table,
    step_table,
)


@pytest.fixture
def measured(tmp_path: Path) -> RunFolder:
    """Return a run with interleaved steps."""
    return run_of(tmp_path, steps=samples.benchmarks.step_entries(), agreement=samples.benchmarks.agreement_entries())


def test_ratios_are_those_within_the_rounds(measured: RunFolder) -> None:
    """They exclude the common drift. Each step has two references, and a reference has itself."""
    frame = FRAMES["step_ratios"](measured)
    closed = frame[frame["case"] == "softmax_regression.scratch.closed_form_step"]
    beside = closed[closed["reference"] == "softmax_regression.scratch.training_step"]
    assert ((beside["low"] <= 0.25) & (beside["high"] >= 0.25)).mean() >= 0.8
    assert (beside["high"] - beside["low"]).max() < 0.03
    assert set(frame["reference"]) == {
        f"{family}.{style}.training_step"
        for family in ("linear_regression", "softmax_regression")
        for style in ("scratch", "concise")
    }
    itself = frame[frame["case"] == frame["reference"]]
    assert (itself[["ratio", "low", "high"]] == 1.0).all().all()


def test_the_distance_to_the_floor_is_that_within_the_rounds(measured: RunFolder) -> None:
    """It is at least one, with an interval."""
    frame = FRAMES["steps"](measured)
    assert (frame["over_floor"] > 1).all()
    assert ((frame["over_floor_low"] <= frame["over_floor"]) & (frame["over_floor"] <= frame["over_floor_high"])).all()


def test_the_tables_of_steps_say_what_was_measured(measured: RunFolder) -> None:
    """The tables have ratios with intervals, and floors with their limiting resource.

    Phases are next to the whole step, and parameters next to their bounds.
    """
    steps, reading = FRAMES["steps"](measured), read(measured)
    ratios = step_table(reading.list_timed(StepRecord))
    assert len(ratios.rows) == len(steps)
    first, closed = ratios.rows[0], ratios.rows[1]
    at = [column.heading for column in ratios.columns].index("time / scratch")
    assert first[at] == "1.00×"
    assert closed[at].startswith(("0.24", "0.25", "0.26"))
    assert " – " in closed[at]
    floors = step.floors(steps)
    assert [column.heading for column in floors.columns][8] == "limited by"
    assert {row[8] for row in floors.rows} == {"arithmetic"}
    apart = step.phases(FRAMES["phases"](measured), steps)
    assert len(apart.rows) == len(steps)
    assert [column.heading for column in apart.columns][3:] == [
        "forward",
        "loss",
        "backward",
        "update",
        "sum",
        "whole step",
    ]
    assert {row[3] for row in step.equality(steps).rows} == {"64"}


def test_scratch_and_concise_are_side_by_side_on_each_device(tmp_path: Path) -> None:
    """There are twenty steps in ten rows; the ratio has its interval from the rounds."""
    run = run_of(tmp_path, steps=samples.benchmarks.step_entries(("cpu", "cuda")))
    timed = read(run).list_timed(StepRecord)
    table = pair_table(timed, accelerator="A card")
    assert len(table.rows) == 10
    names = [f"{what}, {device}" for device in ("cpu", "cuda") for what in ("scratch", "concise", "scratch / concise")]
    assert [column.heading for column in table.columns] == ["contract", "batch size", *names]
    for row in table.rows:
        first = {step.record.style: step for step in reversed(timed) if _is_in_row(step.record, row)}
        ratio = first["scratch"].over(first["concise"].stats.rounds_s)
        assert row[4] == estimate_text(ratio)
        assert ratio.low < ratio.point < ratio.high
    assert "Steps from scratch and concise" in reported(run).page.read_text()


def _is_in_row(record: StepRecord, row: Sequence[str]) -> bool:
    return (record.device, record.contract, f"{record.batch_size:,}") == ("cpu", *row[:2])


@pytest.mark.parametrize(
    ("accelerator", "reason"), [(None, "no accelerator on this machine"), ("A card", "A card was not timed")]
)
def test_without_times_on_an_accelerator_the_pairs_have_one_plain_reason(
    measured: RunFolder, accelerator: str | None, reason: str
) -> None:
    """The other columns are complete."""
    table = pair_table(read(measured).list_timed(StepRecord), accelerator=accelerator)
    assert {row[-1] for row in table.rows} == {reason}
    assert all("×" in row[4] for row in table.rows)


def test_each_format_has_its_time_beside_its_error(tmp_path: Path) -> None:
    """The ratio is taken within the rounds, and a missing format has its reason."""
    entries = samples.benchmarks.step_entries()
    rounds_s = entries[0]["stats"]["data"]
    half = {"rounds_s": [2.0 * round_s for round_s in rounds_s], "error_ulp": 40_000.0}
    formats = {"float32": {"error_ulp": 2.5}, "tf32": {"absent": "no TF32 on cpu"}, "bfloat16": half}
    entries[0]["extra_info"]["formats"] = formats
    run = run_of(tmp_path, steps=entries)
    table = format_table(read(run).list_timed(StepRecord))
    (row,) = table.rows
    headings = ["float32 error", "tf32 / float32", "bfloat16 / float32", "bfloat16 error"]
    assert [column.heading for column in table.columns][4:] == headings
    assert [*row[4:6], row[7]] == ["2.50", "no TF32 on cpu", "40,000"]
    assert row[6].startswith("2.00×")
    assert "Time and error of a step in other formats" in reported(run).page.read_text()
    frame = FRAMES["step_formats"](run).set_index("format")
    assert frame.loc["bfloat16", "ratio"] == pytest.approx(2.0)
    assert frame.loc["bfloat16", "median_s"] == pytest.approx(2.0 * statistics.median(rounds_s))
    assert frame.loc["float32", "median_s"] == entries[0]["stats"]["median"]
    assert frame.loc["tf32", "absent"] == "no TF32 on cpu"
    assert frame.loc["float32", "error_ulp"] == 2.5


def test_agreement_is_decided_by_the_whole_interval(measured: RunFolder) -> None:
    """It is within, beyond, or undecided."""
    rows = agreement_table(read(measured).list_timed(AgreementRecord)).rows
    assert [row[-1] for row in rows] == ["within 3%", "beyond 3%", "undecided"]


def test_figures_of_steps_name_what_they_show(measured: RunFolder) -> None:
    """Captions and text alternatives have numbers of this run."""
    ratio_figure = step_ratios(FRAMES["step_ratios"](measured))
    assert [panel.title for panel in ratio_figure.panels] == ["linear_regression, CPU", "softmax_regression, CPU"]
    assert re.search(r"closed_form_step is [\d.]+ times as fast as .*scratch.training_step \(", ratio_figure.caption)
    assert "is closest, at " in floor(FRAMES["steps"](measured)).caption
    apart = phases(FRAMES["phases"](measured))
    assert apart.panels[0].title == "linear_regression, CPU, batch 256"
    assert "backward" in apart.panels[0].svg


def test_all_steps_are_in_one_picture(measured: RunFolder) -> None:
    """Times are curves above the floor. Ratios are rows, with a point for each batch size up to five."""
    steps = FRAMES["steps"](measured)
    family = steps[steps["family"] == "softmax_regression"]
    cases = set(family["case"])
    ratios = step_ratios(FRAMES["step_ratios"](measured).query("family == 'softmax_regression'"))
    for figure in (step_times(family, accelerator=None), ratios, floor(family)):
        (panel,) = figure.panels
        assert panel.narrow
        assert {case for case in cases if f'data-of="{case}"' in panel.svg} == cases
    legend = set(re.findall(r">batch ([\d,]+)</text>", ratios.panels[0].svg))
    assert legend == {f"{size:,}" for size in family["batch_size"]}
    many = pd.concat([family.assign(batch_size=size) for size in range(1, 12)])
    assert len(set(re.findall(r">batch (\d+)</text>", floor(many).panels[0].svg))) <= 5


def test_a_run_whose_steps_were_timed_one_after_the_other_says_so(tmp_path: Path) -> None:
    """It has times, but no ratio, floor or phase."""
    run = run_of(tmp_path, steps=samples.benchmarks.old_step_entries())
    assert FRAMES["step_ratios"](run).empty
    assert FRAMES["phases"](run).empty
    assert FRAMES["steps"](run)["over_floor"].isna().all()
    html = reported(run).html
    assert "These steps were timed one after the other" in html
    assert "concise is 1.61 times as fast as scratch" in html
    assert 'id="model-softmax-regression-steps-table"' in html
    for absent in ("step-ratios", "floor-table", "phases-table", "step-ratio-figure", "agreement-table"):
        assert f'-{absent}"' not in html


def test_a_page_with_steps_in_turns_has_every_part(measured: RunFolder) -> None:
    """Each figure and table occurs once per family."""
    html = reported(measured).html
    parts = ("step-ratio-figure", "floor-figure", "phases-figure", "step-ratios", "floor-table", "step-equality")
    assert html.count('-agreement-table"') == 1
    for part in (*parts, "phases-table"):
        assert html.count(f'-{part}"') == html.count('<article class="sheet model"')
    assert render_markdown("no accelerator on this machine") in html


def test_an_accelerator_has_its_columns_and_its_crossover(tmp_path: Path) -> None:
    """The columns are launch, device and graph, and the caption has the batch size from which it wins."""
    run = run_of(tmp_path, steps=samples.benchmarks.step_entries(("cpu", "cuda")))
    steps = FRAMES["steps"](run)
    table = step.steps(steps, accelerator="NVIDIA H100")
    headings = [column.heading for column in table.columns]
    assert headings[-10:] == [
        *("accelerator step", "launch time", "device events", "CUDA graph", "CUDA graph, events", "copy to device"),
        *("cold cache", "step with copy", "with pinned copy", "CPU / accelerator"),
    ]
    assert all("–" not in row[-1] for row in table.rows)
    assert "No graph" not in table.caption
    html = reported(run).html
    assert 'id="model-softmax-regression-crossover-table"' in html


def test_the_picture_of_both_devices_has_their_crossing(tmp_path: Path) -> None:
    """The first step of each style has a panel with both devices, the parts of the time and the floor."""
    run = run_of(tmp_path, steps=samples.benchmarks.step_entries(("cpu", "cuda")))
    reading = read(run)
    steps = reading.frames.steps
    family = steps[steps["family"] == "softmax_regression"]
    figure = step_times(family, accelerator="NVIDIA H100", comparisons=reading.comparisons)
    assert [panel.title for panel in figure.panels] == [
        "softmax_regression.scratch.training_step",
        "softmax_regression.concise.training_step",
    ]
    for name in ("CPU", "cuda", "compute", "launch", "transfer", "floor"):
        assert all(f">{name}</text>" in panel.svg for panel in figure.panels), name
    assert re.search(r"concise.training_step: from \d+ \[\d+, \d+\] rows on cuda is faster\.", figure.caption)
    (first,) = [each for each in reading.comparisons if each.case == family["case"].iloc[0]]
    alone = step_times(family, accelerator="NVIDIA H100", comparisons=[first])
    assert re.fullmatch(r"From \d+ \[\d+, \d+\] rows on cuda is faster", alone.claim)
    (front,) = [part for part, *_ in _draw_pictures(reading) if isinstance(part, Figure) and part.name == "front-step"]
    assert front.claim == alone.claim


def test_without_an_accelerator_the_picture_has_the_cpu_and_one_reason(measured: RunFolder) -> None:
    """The CPU's curves stand above the floor on the same axes."""
    reading = read(measured)
    figure = step_times(reading.frames.steps, accelerator=None, comparisons=reading.comparisons)
    assert [panel.title for panel in figure.panels] == ["linear_regression, CPU", "softmax_regression, CPU"]
    assert figure.caption.count("no accelerator on this machine") == 1
    assert "The gray line is the floor" in figure.caption
    assert reading.comparisons == []


def test_a_run_without_rounds_has_a_crossing_without_interval(tmp_path: Path) -> None:
    """The medians cross, and nothing says how well they are known."""
    entries = samples.benchmarks.step_entries(("cpu", "cuda"))
    for entry in entries:
        del entry["stats"]["data"]
    comparisons = read(run_of(tmp_path, steps=entries)).comparisons
    assert {format_crossing(each.faster) for each in comparisons} == {"43", "47"}


def test_a_step_that_cannot_be_recorded_says_why_below_the_table(tmp_path: Path) -> None:
    """The reason appears once for all batch sizes, with the case."""
    entries = samples.benchmarks.step_entries(("cpu", "cuda"))
    for entry in entries:
        info = entry["extra_info"]
        if info["device"] == "cuda" and info["case"] == "softmax_regression.scratch.training_step":
            info |= {"graph_s": None, "graph_device_s": None, "graph_absent": "it cannot be recorded: it waits"}
    table = step.steps(FRAMES["steps"](run_of(tmp_path, steps=entries)), accelerator="NVIDIA H100")
    told = "No CUDA graph of softmax_regression.scratch.training_step: it cannot be recorded: it waits. "
    assert table.caption.count(told) == 1
