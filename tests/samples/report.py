"""Runs with a few records, and the texts of a written report."""

from pathlib import Path
from typing import Any, NamedTuple

import samples.benchmarks
import samples.run

from harness.record import FILES, RunFolder
from harness.reports.page import write_report


class Report(NamedTuple):
    """The path of a page, its lines in the terminal, its HTML and its Markdown."""

    page: Path
    lines: list[str]
    html: str
    markdown: str


def reported(run: RunFolder) -> Report:
    """Write the report of a run into it."""
    page, lines = write_report(run)
    return Report(page, lines, page.read_text(encoding="utf-8"), page.with_suffix(".md").read_text(encoding="utf-8"))


def run_of(path: Path, *records: Any, **suites: list[dict[str, Any]]) -> RunFolder:
    """Write a run with some records, and with some suites of benchmarks."""
    run = RunFolder(path)
    run.write_head(samples.run.head())
    kinds: tuple[Any, ...] = tuple(FILES)
    for kind in kinds:
        if chosen := [record for record in records if type(record) is kind]:
            run.write(kind, chosen)
    for suite, entries in suites.items():
        samples.benchmarks.write_suite(run, suite, entries)
    return run
