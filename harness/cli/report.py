"""The command ``report``."""

from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import run_folder
from harness.error import UsageError


def report(
    runs: Annotated[list[str] | None, typer.Argument(help="Run to report; the latest when absent.")] = None,
    output: Annotated[Path | None, typer.Option(help="Folder for the page; inside the run when absent.")] = None,
) -> None:
    """Turn a run into one page that opens offline, its Markdown and its data."""
    from harness.record import RUNS, RunFolder

    if runs and len(runs) > 1:
        raise UsageError(rule="one run is reported at a time", value=f"{len(runs)} runs")
    folder = run_folder(runs[0]) if runs else RunFolder.latest(RUNS)
    (point,) = entry_points(group="harness.report", name="page")
    page, line = point.load()(folder, output)
    print(f"report: {page}")
    print(line)
