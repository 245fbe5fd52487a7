"""The command ``survey``."""

from typing import Annotated

import typer

from harness.cli.execution_options import ExecutionOptions, takes_execution_options
from harness.cli.options import (
    BreaksOption,
    CallOption,
    ContractOption,
    DeclareOption,
    DtypesOption,
    FormOption,
    FormulaOption,
    InputOption,
    OverOption,
    QuietOption,
    RunOption,
    SeedOption,
    TargetArgument,
    claimed_contract,
    complete_law,
    console,
    conventions,
    declared_breaks,
    names,
    progress,
    refuse_nothing,
    say,
    say_claim,
    session,
)
from harness.cli.panels import THOROUGH, epilog
from harness.execution.ending import Ending
from harness.execution.interrupt import uninterruptible
from harness.record import SEED

EPILOG = epilog(
    """
  harness survey homework.py:softmax
  harness survey homework.py:softmax --dtypes float16 --law value
""",
    """
Exit codes:
  0  every break is declared, and at the declared point
  1  something breaks that is not declared, or not at the declared point
  2  the question could not be answered
""",
)


@takes_execution_options
def survey(
    target: TargetArgument = "cases",
    contract: ContractOption = None,
    formula: FormulaOption = None,
    dtypes: DtypesOption = None,
    law: Annotated[
        list[str] | None,
        typer.Option(help="Survey only this law.", metavar="NAME", autocompletion=complete_law),
    ] = None,
    ray: Annotated[list[str] | None, typer.Option(help="Survey only this ray.", metavar="NAME")] = None,
    call: CallOption = None,
    form: FormOption = None,
    input_: InputOption = None,
    over: OverOption = "rows",
    declare: DeclareOption = None,
    breaks: BreaksOption = None,
    batches: Annotated[
        int,
        typer.Option(
            min=0,
            help="Number of batches in each search for the largest error; 0 searches nothing.",
            metavar="N",
            rich_help_panel=THOROUGH,
        ),
    ] = 40,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Time limit for each search, in seconds, instead of --batches. Results then depend on the machine.",
            metavar="SECONDS",
            rich_help_panel=THOROUGH,
        ),
    ] = None,
    seed: SeedOption = SEED,
    run: RunOption = None,
    quiet: QuietOption = False,
    *,
    execution: ExecutionOptions,
) -> None:
    """Find the first float at which a law breaks, and the largest error."""
    from harness.display.survey import print_survey
    from harness.surveyor.discovery import Discoveries
    from harness.surveyor.plan import Survey
    from harness.wording import disagreeing, unanswered, undeclared
    from harness.wording.number import count

    refuse_nothing(target, "survey")
    contract = claimed_contract(contract, formula, form, input_, over)
    planned = Survey(
        target,
        contract,
        conventions(declare or []),
        declared_breaks(breaks or []),
        call,
        law or (),
        names(dtypes),
        ray or (),
        batches,
        seconds,
        seed,
    )
    discoveries, total, done = Discoveries(), 0, 0
    with session(run, seed) as opened:
        with Ending(discoveries) as ending, execution.backend(planned) as backend, progress() as bar:
            total = len(backend.pieces)
            opened.plan(planned, total, "part")
            task = bar.add_task("surveying", total=total)
            for title, part in planned.findings(backend):
                with uninterruptible():
                    for record in discoveries.add(part):
                        opened.keep(record)
                    opened.done = done = done + 1
                bar.update(task, advance=1, description=title)
        opened.end(ending)
    for remark in opened.remarks:
        say(f"run: {remark}")
    say_claim(target, contract, (found.contract for found in (*discoveries.breakings, *discoveries.worst)))
    if not quiet:
        print_survey(console(), discoveries, single=":" in target)
    early = f" -- {ending.early} after {done:,} of {count(total, 'part')}; the rest was not surveyed"
    say(f"{discoveries}{early if ending.early else ''}")
    ending.settle()
    if ending.code is not None:
        raise typer.Exit(ending.code)
    breakings = discoveries.breakings
    wrong = (disagreeing(breakings), undeclared(breakings, discoveries.worst), unanswered(breakings))
    raise typer.Exit(int(any(wrong)))
