"""The command ``survey``."""

from typing import Annotated

import typer

from harness.cli.options import RunOption, Target, console, conventions, progress, session
from harness.error import UsageError


def survey(
    target: Target = "cases",
    contract: Annotated[str | None, typer.Option(help="Contract that the function claims; or only this one.")] = None,
    law: Annotated[list[str] | None, typer.Option(help="Only this law; may be given several times.")] = None,
    ray: Annotated[list[str] | None, typer.Option(help="Only this ray; may be given several times.")] = None,
    dtypes: Annotated[str | None, typer.Option(help="Only these dtypes, comma-separated.")] = None,
    declare: Annotated[list[str] | None, typer.Option(help="Convention of the function, NAME=VALUE.")] = None,
    batches: Annotated[int, typer.Option(min=0, help="Batches of each search for the worst; 0 searches nothing.")] = 40,
    seconds: Annotated[
        float | None, typer.Option(min=0.0, help="Seconds of each search instead: depends on the machine.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws.")] = 20240229,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    run: RunOption = None,
) -> None:
    """Find where the laws break, to the exact float, and the inputs on which an implementation is worst.

    `harness survey homework.py:softmax --contract softmax` takes one function in a file, `harness survey` the chapter's
    cases. Exit code 1: something breaks that is not declared, or elsewhere than its closed form says.
    """
    from harness.record import Accumulator, Breaking, Profile, Worst, disagreeing, undeclared
    from harness.surveyor.findings import Findings
    from harness.surveyor.survey import Survey
    from harness.surveyor.table import print_survey

    planned = Survey(
        target,
        contract,
        conventions(declare or []),
        law or (),
        tuple(name.strip() for name in dtypes.split(",")) if dtypes else (),
        ray or (),
        batches,
        seconds,
        seed,
    )
    opened = session(run, seed)
    found, interrupted = Findings(), False
    listed = planned.explorations()
    if not listed:
        raise UsageError(rule="a survey needs a contract that has rays", value="none that matches", place=f"`{target}`")
    try:
        with progress() as bar:
            task = bar.add_task("surveying", total=len(listed))
            for exploration, findings in zip(listed, planned.run(processes=jobs), strict=True):
                found.add(findings)
                bar.update(task, advance=1, description=exploration.title)
    except KeyboardInterrupt:
        interrupted = True
    if opened is not None:
        opened.folder.merge(Breaking, found.breakings)
        opened.folder.merge(Worst, found.worst)
        opened.folder.merge(Profile, found.profiles)
        opened.folder.merge(Accumulator, found.accumulators)
    print_survey(console(), found, single=":" in target)
    print(f"{found}{' -- interrupted, the rest was not surveyed' if interrupted else ''}")
    if interrupted:
        raise typer.Exit(130)
    raise typer.Exit(int(bool(disagreeing(found.breakings) or undeclared(found.breakings, found.worst))))
