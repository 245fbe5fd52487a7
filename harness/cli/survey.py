"""The command ``survey``."""

from dataclasses import replace

import typer

from harness.cli import options
from harness.cli.option_groups import ExecutionOptions, takes_execution_options, takes_question
from harness.cli.options import console, progress, reject_nothing, say, say_claim, session
from harness.cli.panels import epilog
from harness.execution.interrupt import Ending, uninterruptible
from harness.surveyor.plan import Survey

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


@takes_question(laws={"help": "Survey only this law."})
@takes_execution_options
def survey(
    target: options.TargetArgument = "cases",
    *,
    question: Survey,
    run: options.RunOption = None,
    quiet: options.QuietOption = False,
    execution: ExecutionOptions,
) -> None:
    """Find the first float at which a law breaks, and the largest error."""
    from harness.display.survey import print_survey
    from harness.surveyor.discovery import Discoveries
    from harness.wording import disagreeing, unanswered, undeclared
    from harness.wording.number import count

    reject_nothing(target, "survey")
    planned = replace(question, target=target)
    discoveries, total, done = Discoveries(), 0, 0
    with session(run, planned.seed) as opened:
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
    say(*(f"run: {remark}" for remark in opened.remarks))
    say_claim(target, planned.contract, (found.contract for found in (*discoveries.breakings, *discoveries.worst)))
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
