"""The command ``survey``."""

from dataclasses import replace

import typer

from harness.command import options, runner
from harness.command.option_groups import ExecutionOptions, takes_options, takes_question
from harness.command.options import Output, console, reject_nothing, say, say_claim
from harness.command.runner import Work
from harness.surveyor.plan import Survey


@takes_question(laws={"help": "Survey only this law."})
@takes_options
def survey(
    target: options.TargetArgument = "cases",
    *,
    question: Survey,
    run: options.RunOption = None,
    quiet: options.QuietOption = False,
    execution: ExecutionOptions,
) -> None:
    """Find the first float at which a law breaks, and the largest error.

    Examples
    --------
      harness survey homework.py:softmax
      harness survey homework.py:softmax --dtypes float16 --law value

    Exit codes:
      0  every break is declared, and at the declared point
      1  something breaks that is not declared, or not at the declared point
    """
    from harness.surveyor.discovery import Discoveries
    from harness.surveyor.display import print_survey
    from harness.wording.survey import select_disagreeing, select_unanswered, select_undeclared

    reject_nothing(target, "survey")
    planned = replace(question, target=target)
    discoveries = Discoveries()

    def work(survey: Work) -> None:
        with execution.backend(planned) as backend:
            survey.begin("surveying", len(backend.pieces), planned)
            for title, part in planned.findings(backend):
                survey.keep(title, discoveries.add, part)

    def show(survey: Work) -> int:
        breakings, worst = discoveries.breakings, discoveries.worst
        say_claim(target, planned.contract, (record.contract for record in (*breakings, *worst)))
        if not quiet:
            print_survey(console(), discoveries, single=":" in target)
        say(f"{discoveries} -- {survey.early}; the rest was not surveyed" if survey.early else f"{discoveries}")
        undeclared = select_undeclared(breakings, worst)
        return int(any((select_disagreeing(breakings), undeclared, select_unanswered(breakings))))

    raise typer.Exit(runner.run(work, show, kept=discoveries, unit="part", output=Output(run), seed=planned.seed))
