"""The command ``diff``."""

from contextlib import ExitStack
from typing import Annotated

import typer

from harness.cli.options import console, names, progress, reject_unknown, say
from harness.cli.panels import epilog, thorough_option
from harness.execution.interrupt import Ending

EPILOG = epilog(
    """
  harness diff torch==2.12.1 torch==2.13.0 --sample 256
  harness diff old/bin/python new/bin/python --operations exp,log
""",
    """
Exact arithmetic decides which result is better if their bits differ.
All float32 numbers take about a minute for each operation, or several minutes
if many results changed. pip installs each release once, with its own
settings, such as PIP_INDEX_URL, in .harness/environments.

Exit codes:
  0  no result is worse
  1  a result is farther from the exact value than before
  2  the question could not be answered
""",
)


def diff(
    before: Annotated[str, typer.Argument(help="Release, or path of a Python interpreter.", metavar="BEFORE")],
    after: Annotated[str, typer.Argument(help="Release or interpreter to compare with it.", metavar="AFTER")],
    *,
    operations: Annotated[
        str | None,
        typer.Option(help="Operations, comma-separated, such as exp,log.", show_default="all", metavar="NAME,..."),
    ] = None,
    sample: Annotated[
        int,
        thorough_option(
            min=1,
            max=1 << 16,
            help="Number of blocks to compare; a block is 65,536 neighboring float32 numbers.",
            show_default="65536, which are all numbers",
            metavar="N",
        ),
    ] = 1 << 16,
) -> None:
    """Compare the results of two torch releases bit by bit."""
    from harness.display.accuracy import print_rows
    from harness.proof.float32.difference import BLOCKS, Difference, Release, interpreter
    from harness.proof.float32.operation import OPERATIONS
    from harness.wording.number import count

    reject_unknown(names(operations), OPERATIONS, "operation")
    differences = [Difference(OPERATIONS[name]) for name in names(operations) or OPERATIONS]
    blocks = [i * BLOCKS // sample for i in range(sample)]
    finished: list[Difference] = []
    about: list[str] = []
    with Ending(finished) as ending, ExitStack() as stack, progress() as bar:
        pythons = [interpreter(one) for one in (before, after)]
        releases = [stack.enter_context(Release(python)) for python in pythons]
        about += [f"{one.about()} ({python})" for one, python in zip(releases, pythons, strict=True)]
        task = bar.add_task("comparing", total=sample * len(differences))
        for one in differences:
            for done in one.compare(releases, blocks):
                bar.update(task, advance=done, description=one.operation.name)
            finished.append(one)
    if finished:
        print_rows(console(), [one.row for one in finished])
    say(*(f"{role}: {release}" for role, release in zip(("before", "after"), about, strict=False)))
    worse = [one.operation.name for one in finished if one.counts["worse"]]
    early = f" -- {ending.early} after {len(finished)} of {count(len(differences), 'operation')}"
    found = f"results of {', '.join(worse)} are worse" if worse else "no result is worse"
    say(f"diff: {found}{early if ending.early else ''}")
    ending.settle()
    raise typer.Exit(int(bool(worse)) if ending.code is None else ending.code)
