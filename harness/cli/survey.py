"""The command ``survey``."""

from typing import Annotated

import typer

from harness.cli.claims import declared_breaks, names
from harness.cli.options import (
    CallOption,
    ExecutorOption,
    IsolateOption,
    MemoryOption,
    RunOption,
    Target,
    TimeoutOption,
    console,
    conventions,
    progress,
    session,
)
from harness.error import UsageError


def survey(
    target: Target = "cases",
    contract: Annotated[str | None, typer.Option(help="Contract that the function claims; or only this one.")] = None,
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
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws.")] = 20240229,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; 1 when absent.")] = None,
    isolate: IsolateOption = True,
    timeout: TimeoutOption = 10.0,
    memory: MemoryOption = 4.0,
    executor: ExecutorOption = None,
    run: RunOption = None,
) -> None:
    """Find where the laws break, to the exact float, and the inputs on which an implementation is worst.

    `harness survey homework.py:softmax --contract softmax` takes one function in a file, `harness survey` the chapter's
    cases. Exit code 1: something breaks that is not declared, or elsewhere than its closed form says.
    """
    from harness.record import Accumulator, Breaking, Profile, Worst, disagreeing, unanswered, undeclared
    from harness.show.survey import print_survey
    from harness.surveyor.findings import Findings
    from harness.surveyor.survey import Survey
    from harness.work.executor import executor_named
    from harness.work.limits import Limits

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
    # A search lasts as long as it is told to, beside what a law may take.
    apart = executor is not None or (isolate and planned.is_foreign)
    limits = Limits(timeout, memory, law_s=12.0 * timeout + (seconds or 0.0)) if apart else None
    opened = session(run, seed)
    found, end, lost = Findings(), "", None
    try:
        with executor_named(executor, jobs) as hands, progress() as bar:
            task = bar.add_task("surveying", total=None if limits else len(planned.parts()))
            for title, findings in planned.run(processes=jobs or 1, limits=limits, executor=hands):
                found.add(findings)
                bar.update(task, advance=1, description=title)
    except KeyboardInterrupt:
        end = "interrupted"
    except UsageError as error:
        if not (found.breakings or found.worst or found.accumulators):
            raise
        # What was found before is not lost.
        end, lost = "ended by an error", error
    if opened is not None:
        opened.folder.merge(Breaking, found.breakings)
        opened.folder.merge(Worst, found.worst)
        opened.folder.merge(Profile, found.profiles)
        opened.folder.merge(Accumulator, found.accumulators)
    print_survey(console(), found, single=":" in target)
    print(f"{found}{f' -- {end}, the rest was not surveyed' if end else ''}")
    if lost is not None:
        raise lost
    if end:
        raise typer.Exit(130)
    wrong = (disagreeing(found.breakings), undeclared(found.breakings, found.worst), unanswered(found.breakings))
    raise typer.Exit(int(any(wrong)))
