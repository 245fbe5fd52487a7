"""The command ``report``."""

from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import run_folder, say

if TYPE_CHECKING:
    from harness.record import RunFolder


def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Runs, or folders of runs; the newest is reported, beside the others. The latest if absent."
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder for the page; inside the run when absent.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write the verdicts as JUnit XML.")] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Turn a run into one page that opens offline, its Markdown, its data and a badge.

    With several runs, the page is about the newest one: it says what changed since the one before, and shows all of
    them side by side and over time. Exit code 2: a command that filled the run was interrupted or failed.
    """
    from harness.record import RUNS, Ended, RunFolder, Verdict, early, unfinished, write_atomically
    from harness.show.document import to_junit

    *earlier, run = _named(runs) if runs else [RunFolder.latest(RUNS)]
    (point,) = entry_points(group="harness.report", name="page")
    page, lines = point.load()(run, output, earlier)
    if junit is not None:
        write_atomically(junit, to_junit(run.read(Verdict), early=early(run.head().work, "check")))
    say(f"report: {page}")
    for line in lines:
        say(line)
    if open_:
        typer.launch(page.resolve().as_uri())
    if any(work.ended is not Ended.STOPPED for work in unfinished(run.head().work)):
        raise typer.Exit(2)


def _named(names: list[str]) -> "list[RunFolder]":
    """Return the runs that are named, and those in the folders of runs, oldest first and each once."""
    from harness.record import oldest_first

    folders = map(run_folder, names)
    return oldest_first(run for folder in folders for run in folder.runs() or [folder])
