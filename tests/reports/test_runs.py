"""A report of several runs: changes, runs side by side, the trend, and notes about other machines."""

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import samples.benchmarks
import samples.run

from harness.record import Breaking, RunFolder, Status, Verdict
from harness.reports import page as pages
from harness.reports.frame import Frames, frames
from harness.reports.history import Change, differences, tally
from harness.reports.page import write_report
from harness.reports.tables.run import MAX_COLUMNS

DTYPE = "float32"


def run_of(path: Path, created: str, *, verdicts: list[Verdict] | None = None, **environment: Any) -> RunFolder:
    """Return a run with some verdicts, and its head."""
    run = RunFolder(path)
    details = samples.run.environment(**environment)
    run.write_head(samples.run.head(name=path.name, created=created, environment=details))
    run.write(Verdict, verdicts or [])
    return run


def change_of(before: Frames, after: Frames, *, same_machine: bool = True) -> dict[str, str]:
    """Return the change of each entry in either run."""
    changes = differences(before, after, same_machine=same_machine)
    return dict(zip(changes["what"], changes["change"], strict=True))


BECAME = [
    (Status.HOLDS, Status.BROKEN, Change.BROKEN),
    (Status.HOLDS, Status.EXPECTED, Change.BROKEN),
    (Status.UNEXPECTED, Status.EXPECTED, Change.BROKEN),
    (Status.BROKEN, Status.HOLDS, Change.MENDED),
    (Status.EXPECTED, Status.UNEXPECTED, Change.MENDED),
    (Status.EXPECTED, Status.BROKEN, Change.UNCHANGED),
    (Status.HOLDS, Status.HOLDS, Change.UNCHANGED),
    (Status.HOLDS, Status.SKIPPED, Change.UNMEASURED),
    (Status.SKIPPED, Status.HOLDS, Change.NEW),
    (Status.HOLDS, None, Change.UNMEASURED),
    (None, Status.HOLDS, Change.NEW),
]


@pytest.mark.parametrize(("was", "now", "change"), BECAME)
def test_a_law_is_newly_broken_repaired_unchanged_or_not_measured(
    tmp_path: Path, was: Status | None, now: Status | None, change: Change
) -> None:
    """Only whether the law is broken counts, not whether the failure is declared."""
    before, after = (
        run_of(tmp_path / name, "2026-01-01T00:00:00Z", verdicts=[samples.run.verdict(status)] if status else [])
        for name, status in (("before", was), ("after", now))
    )
    assert change_of(frames(before), frames(after)) == {"rows_sum_to_one": change.value}


@pytest.mark.parametrize(
    ("was", "now", "change"),
    [
        (88.5, 88.0, Change.EARLIER),
        (None, 88.0, Change.EARLIER),
        (88.0, 88.5, Change.LATER),
        (88.0, None, Change.LATER),
        (88.0, 88.0, Change.UNCHANGED),
        (None, None, Change.UNCHANGED),
    ],
)
def test_a_breaking_point_moves_inwards_or_outwards(
    tmp_path: Path, was: float | None, now: float | None, change: Change
) -> None:
    """A new breaking point counts as moved inwards."""
    point = samples.run.breakings()[0]
    before, after = (run_of(tmp_path / name, "2026-01-01T00:00:00Z") for name in ("before", "after"))
    before.write(Breaking, [point.model_copy(update={"value": was})])
    after.write(Breaking, [point.model_copy(update={"value": now})])
    assert set(change_of(frames(before), frames(after)).values()) == {change.value}


@pytest.mark.parametrize(
    ("factor", "spread", "change"),
    [
        (2.0, 0.06, Change.SLOWER),
        (0.5, 0.06, Change.FASTER),
        (1.4, 0.001, Change.UNCHANGED),
        (0.7, 0.001, Change.UNCHANGED),
        (2.0, 0.9, Change.UNCHANGED),
    ],
)
def test_a_time_is_called_changed_beyond_what_the_same_code_reaches(
    tmp_path: Path, factor: float, spread: float, change: Change
) -> None:
    """A factor of 1.5 can be noise between processes, and so can overlapping rounds."""
    details: dict[str, Any] = {"case": "a.scratch.step", "device": "cpu", "batch_size": 256}
    runs: list[Frames] = []
    for name, time_s in (("before", 1e-3), ("after", factor * 1e-3)):
        run = run_of(tmp_path / name, "2026-01-01T00:00:00Z")
        entry = samples.benchmarks.benchmark(time_s, spread=spread, dtype=DTYPE, threads=1, **details)
        samples.benchmarks.write_suite(run, "steps", [entry])
        runs.append(frames(run))
    assert change_of(*runs) == {"steps": change.value}
    assert change_of(*runs, same_machine=False) == {}


def test_the_most_urgent_change_comes_first(tmp_path: Path) -> None:
    """The order is newly broken, not measured, repaired, unchanged."""
    before = run_of(
        tmp_path / "before",
        "2026-01-01T00:00:00Z",
        verdicts=[samples.run.verdict(law=law) for law in ("stays", "goes", "breaks")]
        + [samples.run.verdict(Status.BROKEN, law="heals")],
    )
    after = run_of(
        tmp_path / "after",
        "2026-01-02T00:00:00Z",
        verdicts=[samples.run.verdict(law=law) for law in ("stays", "heals")]
        + [samples.run.verdict(Status.BROKEN, law="breaks")],
    )
    changes = differences(frames(before), frames(after), same_machine=True)
    assert changes["what"].tolist() == ["breaks", "goes", "heals", "stays"]
    assert list(tally(changes)) == [Change.BROKEN, Change.UNMEASURED, Change.MENDED, Change.UNCHANGED]


@pytest.fixture
def two(tmp_path: Path) -> tuple[RunFolder, RunFolder]:
    """Return a run with every kind of record, and a later run with a broken law and no survey."""
    before = samples.run.full_run(tmp_path / "earlier", name="earlier", created="2026-11-23T00:00:00Z")
    after = samples.run.full_run(tmp_path / "later", name="later")
    verdicts = after.read(Verdict)
    place = next(number for number, verdict in enumerate(verdicts) if verdict.status is Status.HOLDS)
    verdicts[place] = verdicts[place].model_copy(update={"status": Status.BROKEN, "violation": samples.run.violation()})
    after.write(Verdict, verdicts)
    after.write(Breaking, [])
    return before, after


def test_the_page_says_what_changed_since_the_run_before(two: tuple[RunFolder, RunFolder]) -> None:
    """A sentence at the top and a table below show the changes. Missing results are one row."""
    before, after = two
    path, lines = write_report(after, earlier=[before])
    points = len(frames(before).breakings)
    html, markdown = path.read_text(encoding="utf-8"), path.with_suffix(".md").read_text(encoding="utf-8")
    sentence = f"Since earlier: 1 newly broken and {points} not measured."
    assert sentence in lines
    assert f'{sentence} <a href="#runs">' in html
    assert sentence in markdown
    assert "Changes since earlier" in html
    assert f"all {points}" in html
    assert "Runs side by side" in html
    assert "Trend over runs" in html


def test_a_run_that_changed_nothing_says_so(tmp_path: Path) -> None:
    """The sentence has the number of comparisons, so that an empty comparison is visible."""
    before, after = (samples.run.full_run(tmp_path / name, name=name) for name in ("before", "after"))
    _, lines = write_report(after, earlier=[before])
    compared = len(differences(frames(before), frames(after), same_machine=True))
    assert lines[-1] == f"Since before: all {compared:,} laws and figures unchanged."
    assert compared > 400


def test_runs_on_other_machines_are_compared_except_for_times(tmp_path: Path) -> None:
    """Laws are compared, times are not, and the page says so. The name of a run is escaped."""
    other = samples.run.environment(processor="another processor")
    before = samples.run.full_run(tmp_path / "before", name="<img src=x>", environment=other)
    after = samples.run.full_run(tmp_path / "after", name="after")
    html = write_report(after, earlier=[before])[0].read_text(encoding="utf-8")
    assert "another processor" in html
    assert "different processors" in html
    assert "1 run on other processors excluded from the times." in html
    assert "<img src=x>" not in html
    assert "&lt;img src=x&gt;" in html


def test_many_runs_are_a_trend_with_columns_for_the_latest(tmp_path: Path) -> None:
    """A hundred runs fit, in order of creation. The number of runs without a column is shown."""
    runs = [
        run_of(
            tmp_path / f"run-{number:03}",
            f"2026-01-01T{number // 60:02}:{number % 60:02}:00Z",
            verdicts=[samples.run.verdict(Status.BROKEN if number == 40 else Status.HOLDS)],
            git_commit=f"{number:07x}" + "0" * 33,
        )
        for number in range(100)
    ]
    page = write_report(runs[-1], earlier=runs[:-1])[0]
    html = page.read_text(encoding="utf-8")
    assert "100 runs, oldest first." in html
    drawn = pd.read_csv(page.parent / "data" / "trend.csv").query("measure == 'verdicts that fail'")
    assert list(drawn.query("value > 0")["run"]) == ["run-040"]
    assert len(drawn) == 100
    documented = pd.read_csv(page.parent / "data" / "schema.csv").query("frame == 'trend'")
    assert list(documented["column"]) == list(drawn.columns)
    assert f"{100 - MAX_COLUMNS} older runs not shown." in html
    assert html.count('scope="col" class="text">run-') == MAX_COLUMNS
    assert "0000063" in html  # the latest commit is named on the axis


@pytest.mark.parametrize(
    ("statuses", "message", "color"),
    [
        ([], "none checked", "lightgrey"),
        ([Status.SKIPPED], "none checked", "lightgrey"),
        ([Status.HOLDS, Status.EXPECTED], "no defect in 2", "brightgreen"),
        ([Status.HOLDS, Status.BROKEN, Status.SKIPPED], "1 of 2 fail", "red"),
    ],
)
def test_a_badge_repeats_the_verdict(tmp_path: Path, statuses: list[Status], message: str, color: str) -> None:
    """The format is that for shields.io."""
    verdicts = [samples.run.verdict(status, law=f"law-{number}") for number, status in enumerate(statuses)]
    write_report(run_of(tmp_path, "2026-01-01T00:00:00Z", verdicts=verdicts))
    badge = json.loads((tmp_path / "report" / "badge.json").read_text(encoding="utf-8"))
    assert badge == {"schemaVersion": 1, "label": "laws", "message": message, "color": color}


def test_a_summary_that_is_too_long_loses_its_last_sections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The section about problems always stays, and dropped sections are named."""
    run = samples.run.full_run(tmp_path)
    monkeypatch.setattr(pages, "SUMMARY_BYTES", 9000)
    markdown = write_report(run)[0].with_suffix(".md").read_text(encoding="utf-8")
    assert len(markdown.encode()) <= 9000
    titles = r"^## (\d+ findings? needs? attention|Nothing needs attention|Remarks on this run)$"
    assert re.search(titles, markdown, re.M)
    assert "## Environment" not in markdown
    left_out = markdown[markdown.index("Left out here") :]
    assert "Environment" in left_out
