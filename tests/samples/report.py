"""The texts of a written report."""

from pathlib import Path
from typing import NamedTuple

from harness.record import RunFolder
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
