"""The command ``survey``."""

from typing import Annotated

import typer

from harness.cli.means import Means, takes_means
from harness.cli.options import (
    CallOption,
    FormOption,
    FormulaOption,
    InputOption,
    OverOption,
    QuietOption,
    RunOption,
    SeedOption,
    TargetArgument,
    claimed_contract,
    console,
    conventions,
    declared_breaks,
    names,
    progress,
    say,
    say_claim,
    session,
)
from harness.record import SEED
from harness.work.ending import Ending
from harness.work.interrupt import undivided


@takes_means
def survey(
    target: TargetArgument = "cases",
    contract: Annotated[str | None, typer.Option(help="Contract that the function claims; or only this one.")] = None,
    formula: FormulaOption = None,
    form: FormOption = None,
    input_: InputOption = None,
    over: OverOption = "rows",
    call: CallOption = None,
    law: Annotated[list[str] | None, typer.Option(help="Only this law; may be given several times.")] = None,
    ray: Annotated[list[str] | None, typer.Option(help="Only this ray; may be given several times.")] = None,
    dtypes: Annotated[str | None, typer.Option(help="Only these dtypes, comma-separated.")] = None,
    declare: Annotated[list[str] | None, typer.Option(help="Convention of the function, NAME=VALUE.")] = None,
    breaks: Annotated[list[str] | None, typer.Option(help="A failure that is known, LAW[:DTYPE,...][=REASON].")] = None,
    batches: Annotated[int, typer.Option(min=0, help="Batches of each search for the worst; 0 searches nothing.")] = 40,
    seconds: Annotated[
        float | None, typer.Option(min=0.0, help="Seconds of each search instead: depends on the machine.")
    ] = None,
    seed: SeedOption = SEED,
    run: RunOption = None,
    quiet: QuietOption = False,
    *,
    means: Means,
) -> None:
    """Find where the laws break, to the exact float, and the inputs on which an implementation is worst.

    `harness survey homework.py:softmax --contract softmax` takes one function in a file, `harness survey` the chapter's
    cases. Exit code 1: something breaks that is not declared, or elsewhere than its closed form says.
    """
    from harness.record import disagreeing, unanswered, undeclared
    from harness.record.text import count
    from harness.show.survey import print_survey
    from harness.surveyor.discovery import Discoveries
    from harness.surveyor.plan import Survey

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
        with Ending(discoveries) as ending, means.hands(planned) as hands, progress() as bar:
            total = len(hands.pieces)
            opened.plan(planned, total, "part")
            task = bar.add_task("surveying", total=total)
            for title, part in planned.findings(hands):
                with undivided():
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
    early = f" -- {ending.early} after {done:,} of {count(total, 'part')}, the rest was not surveyed"
    say(f"{discoveries}{early if ending.early else ''}")
    ending.settle()
    if ending.code is not None:
        raise typer.Exit(ending.code)
    breakings = discoveries.breakings
    wrong = (disagreeing(breakings), undeclared(breakings, discoveries.worst), unanswered(breakings))
    raise typer.Exit(int(any(wrong)))
