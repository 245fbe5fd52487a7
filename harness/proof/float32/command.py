"""The commands ``accuracy``, about every float32 number, and ``diff``, about two releases of torch."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from harness.command import runner
from harness.command.options import console, reject_unknown, run_folder, say, split_names
from harness.command.panels import output_option, thorough_option
from harness.command.runner import Work
from harness.error import UsageError, did_you_mean, join_names


def accuracy(
    names: Annotated[
        list[str] | None, typer.Argument(help="Operations, such as exp.", show_default="all", metavar="NAME")
    ] = None,
    *,
    runs: Annotated[
        list[str] | None,
        typer.Option(
            "--run",
            help="Show the proofs of a run of `harness prove` instead.",
            metavar="RUN",
            show_default="the proofs of torch in the package",
        ),
    ] = None,
    are_casts: Annotated[
        bool, typer.Option("--casts", help="Show the casts to 16 and 8 bits instead; their names are dtypes.")
    ] = False,
    markdown: Annotated[bool, output_option("--markdown", help="Print a Markdown table.")] = False,
    picture: Annotated[Path | None, output_option("--picture", help="Draw the histograms.", metavar="FILE")] = None,
) -> None:
    """Show how accurate operations are at every float32 number.

    Examples
    --------
      harness accuracy
      harness accuracy exp sqrt --picture accuracy.png
      harness accuracy --casts bfloat16

    The proofs of torch come with the package. To prove your function, or
    for your processor, and to show the result:
      harness prove torch:exp --dtypes float32 --no-isolate --run mine
      harness accuracy --run mine
    """
    from harness.proof.float32.display import accuracy_table, draw_accuracy, print_accuracy
    from harness.proof.float32.recorded import CASTS, names_of, read_recorded, read_run, sort_proofs
    from harness.wording.accuracy import make_accuracy_row, make_cast_row, select_float32

    if are_casts and (runs or picture):
        raise UsageError("cannot use `--casts` together with `--run` or `--picture`", remedy="leave one out")
    kept = [proof for name in runs for proof in read_run(run_folder(name))] if runs else read_recorded()
    proofs = read_recorded(CASTS) if are_casts else select_float32(sort_proofs(kept))
    if not proofs:
        raise UsageError("there are no proofs in float32", remedy="run `harness prove TARGET --dtypes float32`")
    for name in names or ():
        if not any(name in names_of(proof) for proof in proofs):
            operations = sorted({proof.case.rpartition(".")[2] for proof in proofs})
            rule = f"choose from {join_names(operations)}"
            raise UsageError(f"no proof of `{name}` in float32", rule=rule, remedy=did_you_mean(name, operations))
    selected = [proof for proof in proofs if not names or names_of(proof) & set(names)]
    if markdown:
        say(accuracy_table([*map(make_cast_row if are_casts else make_accuracy_row, selected)]).markdown())
    else:
        print_accuracy(console(), selected, are_casts=are_casts)
    if picture is not None:
        draw_accuracy(selected, picture)
        say(f"picture: {picture}")


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
    """Compare the results of two torch releases bit by bit.

    Examples
    --------
      harness diff torch==2.12.1 torch==2.13.0 --sample 256
      harness diff old/bin/python new/bin/python --operations exp,log

    Exact arithmetic decides which result is better if their bits differ.
    All float32 numbers take about a minute for each operation, or several minutes
    if many results changed. pip installs each release once, with its own
    settings, such as PIP_INDEX_URL, in .harness/environments.

    Exit codes:
      0  no result is worse
      1  a result is farther from the exact value than before
    """
    from harness.execution.release import find_interpreter
    from harness.proof.float32.difference import BLOCKS, Difference, Release
    from harness.proof.float32.display import print_rows
    from harness.proof.float32.operation import OPERATIONS

    reject_unknown(split_names(operations), OPERATIONS, "operation")
    differences = [Difference(OPERATIONS[name]) for name in split_names(operations) or OPERATIONS]
    blocks = [i * BLOCKS // sample for i in range(sample)]
    finished: list[Difference] = []
    about: list[str] = []

    def work(comparison: Work) -> None:
        comparison.begin("comparing", len(differences), shown=sample * len(differences))
        with ExitStack() as stack:
            pythons = [find_interpreter(text) for text in (before, after)]
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
