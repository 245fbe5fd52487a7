"""The command ``report``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from harness.command.options import JunitOption, run_folder, say
from harness.command.panels import output_option
from harness.exit_code import ExitCode

if TYPE_CHECKING:
    from harness.record import RunFolder


def report(
    runs: Annotated[
        list[str] | None, typer.Argument(help="Runs, or folders of runs.", show_default="the latest run", metavar="RUN")
    ] = None,
    output: Annotated[
        Path | None,
        output_option(help="Folder for the page.", show_default="a folder inside the run", metavar="FOLDER"),
    ] = None,
    junit: JunitOption = None,
    new: Annotated[
        bool, typer.Option("--new", help="Make the run first, from the shipped cases, and delete its earlier records.")
    ] = False,
    open_: Annotated[bool, output_option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Write a page about a run: HTML, Markdown, data and a badge.

    Examples
    --------
      harness report
      harness report mine --open
      harness report .harness/runs
      harness report mine --new

    With --new, the run is made first: the shipped cases are checked, surveyed,
    trained, audited and timed, in several minutes. The page exists after the
    first part and is replaced meanwhile; after Ctrl-C, it shows all finished parts.

    With several runs, the page reports the newest one: it lists the changes since
    the previous run, and shows all runs next to each other and over time.

    Exit codes:
      0  the page is written
      1  with --new: a law is broken
      2  the page is written, but a command of the run was interrupted or failed;
         or there is no run
    """
    if new:
        _make(runs or [RUN], output, junit, is_opened=open_)
    from harness.display.junit import make_junit
    from harness.display.verdict_document import Results
    from harness.execution.logbook import logbook
    from harness.record import RUNS, Ended, RunFolder, Verdict, early, find_unfinished, write_atomically

    write_report = logbook("page").write_report
    *earlier, run = _find_runs(runs) if runs else [RunFolder.latest(RUNS)]
    page, lines = write_report(run, output, earlier)
    if junit is not None:
        write_atomically(junit, make_junit(Results(run.read(Verdict), early=early(run.head().work, "check"))))
    say(f"report: {page}", *lines)
    if open_:
        typer.launch(page.resolve().as_uri())
    if any(work.ended is not Ended.STOPPED for work in find_unfinished(run.head().work)):
        raise typer.Exit(ExitCode.NO_ANSWER)


RUN = "report"
"""Default run of ``--new``."""


def _make(runs: list[str], output: Path | None, junit: Path | None, *, is_opened: bool) -> NoReturn:
    """Make a run of the shipped cases with its page, and exit."""
    from harness.cli.main_job import make_run, reject_misuse

    reject_misuse(runs)
    files = {"--output": output, "--junit": junit}
    options = [word for name, file in files.items() if file is not None for word in (name, str(file))]
    raise typer.Exit(make_run(runs[0], options, is_opened=is_opened))


def _find_runs(names: list[str]) -> "list[RunFolder]":
    """Return the runs of these names and in these folders, oldest first and without duplicates."""
    from harness.record import sort_by_age

    folders = map(run_folder, names)
    return sort_by_age(run for folder in folders for run in folder.runs() or [folder])
