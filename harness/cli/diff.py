"""The command ``diff``."""

from contextlib import ExitStack
from typing import Annotated

import typer

from harness.command import runner
from harness.command.options import console, names, reject_unknown, say
from harness.command.panels import epilog, thorough_option
from harness.command.runner import Work

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
""",
    exits={
        0: "no result is worse",
        1: "a result is farther from the exact value than before",
    },
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

    reject_unknown(names(operations), OPERATIONS)
    differences = [Difference(OPERATIONS[name]) for name in names(operations) or OPERATIONS]
    blocks = [i * BLOCKS // sample for i in range(sample)]
    finished: list[Difference] = []
    about: list[str] = []

    def work(comparison: Work) -> None:
        comparison.begin("comparing", len(differences), shown=sample * len(differences))
        with ExitStack() as stack:
            pythons = [interpreter(text) for text in (before, after)]
            releases = [stack.enter_context(Release(python)) for python in pythons]
            about.extend(f"{release.about()} ({python})" for release, python in zip(releases, pythons, strict=True))
            for difference in differences:
                for blocks_done in difference.compare(releases, blocks):
                    comparison.move(difference.operation.name, by=blocks_done)
                finished.append(difference)
                comparison.opened.done += 1

    def show(comparison: Work) -> int:
        if finished:
            print_rows(console(), [difference.row for difference in finished])
        say(*(f"{role}: {release}" for role, release in zip(("before", "after"), about, strict=False)))
        worse = [difference.operation.name for difference in finished if difference.counts["worse"]]
        result = f"results of {', '.join(worse)} are worse" if worse else "no result is worse"
        say(f"diff: {result}{comparison.early and f' -- {comparison.early}'}")
        return int(bool(worse))

    raise typer.Exit(runner.run(work, show, kept=finished, unit="operation"))
