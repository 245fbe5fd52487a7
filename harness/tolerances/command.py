"""The command ``tolerances``."""

from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.command.option_groups import takes_options
from harness.command.options import Output, say
from harness.command.runner import Work, run
from harness.error import UsageError
from harness.record import Tolerance
from harness.tolerances.place import FINDINGS, Suite
from harness.wording.number import count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.record import Record


@takes_options
def tolerances(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(help="Files, folders and options of pytest.", metavar="ARGUMENT", show_default="all tests"),
    ] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="List comparisons that are sound or not judged, too.")] = False,
    processors: Annotated[
        bool,
        typer.Option("--processors", help="Run the suite again: the same, with one thread, and as other processors."),
    ] = False,
    fix: Annotated[
        bool,
        typer.Option("--fix", help="Show narrower tolerances as a diff, measured with the runs of --processors."),
    ] = False,
    baseline: Annotated[
        Path | None,
        typer.Option(help="File with known findings; only other findings fail.", metavar="FILE"),
    ] = None,
    update_baseline: Annotated[
        bool, typer.Option("--update-baseline", help="Write the findings to the file of --baseline.")
    ] = False,
    output: Output,
) -> None:
    """Find the comparisons of a test suite whose tolerance accepts a wrong result, or refuses a right one.

    Examples
    --------
      harness tolerances tests
      harness tolerances tests/test_loss.py -k cross_entropy
      harness tolerances tests --processors
      harness tolerances tests --fix
      harness tolerances tests --baseline tolerances.json

    pytest runs in this environment and imports your code as it always does.
    Comparisons in tests that fail get no verdict.

    Exit codes:
      0  no comparison is vacuous; with --baseline, no finding is new
      1  a comparison accepts 0 in place of the result, or a finding is new
      2  the suite did not run
    """
    from harness.tolerances.output import find_new, format_suite, read_baseline, write_baseline, write_document

    if update_baseline and baseline is None:
        raise UsageError("cannot update the baseline", rule="`--update-baseline` needs the file of `--baseline`")
    known = None if baseline is None or update_baseline else read_baseline(baseline)
    suites: dict[str, Suite] = {}

    def work(work: Work) -> None:
        from harness.tolerances.suite_run import run_suite

        runs: Mapping[str, Mapping[str, str]] = {"": {}}
        if processors or fix:
            # It imports torch, which takes two seconds.
            from harness.tolerances.processors import list_runs

            runs = list_runs()
        work.begin("collecting", len(runs), shown=100 * len(runs))
        for number, (name, variables) in enumerate(runs.items()):
            decision = "measure" if suites else "both" if processors or fix else "judge"
            show_share = partial(_move, work, name or "tests", 100 * number)
            options = [f"--harness-tolerances-by={decision}", *(arguments or ())]
            run_suite(options, variables, partial(suites.__setitem__, name), show_share)
            work.opened.done += 1

    def judge_all() -> Suite:
        if len(suites) > 1:
            from harness.tolerances.processors import predict_failures

            return predict_failures(suites)
        return next(iter(suites.values()), Suite())

    def show(work: Work) -> int:
        suite = judge_all()
        new = list(suite.places) if known is None else find_new(suite, known)
        fails = any(known is not None or place.answer is Tolerance.VACUOUS for place in new)
        if baseline is not None and update_baseline:
            write_baseline(baseline, suite)
            fails = False
        extra = [] if known is None else [f"{count(len(new), 'finding')} not in {baseline}"]
        summary = "; ".join([_summarize(suite), *extra, *filter(None, [work.early])])
        with output.written(lambda kind: write_document(kind, suite, summary)) as written:
            if output.is_full:
                shown = [*FINDINGS, *([Tolerance.SOUND, Tolerance.UNJUDGED] if every else [])]
                for answer in shown:
                    chosen = [place for place in new if place.answer is answer]
                    say(*(f"{answer.upper():<10}  {place.sentence}" for place in chosen))
                if fix and len(suites) > 1:
                    from harness.tolerances.proposal import propose

                    say(*propose(suites, suite.model_copy(update={"places": tuple(new)})))
                say(summary, *written)
            else:
                shown_suite = suite.model_copy(update={"places": tuple(new)})
                say(*format_suite(output.output_format, shown_suite, summary, early=work.early, fails=fails))
        return int(fails)

    def keep(_: Work) -> "Iterator[Record]":
        yield from (place.record for place in judge_all().places)

    raise typer.Exit(run(work, show, kept=suites, unit="run", output=output, keep=keep))


def _move(work: Work, title: str, before: int, percentage: int) -> None:
    work.move(title, to=before + percentage)


def _summarize(suite: Suite) -> str:
    """Return how many places have which verdict, why some have none, and the tests that failed."""
    counts = Counter(place.answer for place in suite.places)
    words = ", ".join(f"{counts[answer]} {answer}" for answer in Tolerance)
    reasons = Counter(place.reason.partition(" by ")[0] for place in suite.places if place.answer is Tolerance.UNJUDGED)
    why = f" ({', '.join(f'{reason} {count}' for reason, count in reasons.most_common())})" if reasons else ""
    failed = f"; {count(suite.failed, 'test')} failed, without verdicts" if suite.failed else ""
    return f"tolerances: {words}{why}, in {count(suite.passed, 'test')}{failed}"
