"""The command ``accuracy``, about every float32 number."""

from pathlib import Path
from typing import Annotated

import typer

from harness.command.options import console, run_folder, say
from harness.command.panels import output_option
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
