"""The commands that run training and benchmarks: ``train`` and ``bench``."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from harness.bench.option import Settings
from harness.command import runner
from harness.command.option_groups import takes_options
from harness.command.options import (
    DataOption,
    Output,
    QuietOption,
    RunOption,
    TargetArgument,
    console,
    progress,
    say,
    session,
)
from harness.command.panels import OUTPUT
from harness.command.runner import Work
from harness.error import UsageError, did_you_mean, join_names
from harness.isolation.limits import Limits

if TYPE_CHECKING:
    from rich.console import Console

    from harness.record import RunFolder


@takes_options
def train(
    target: TargetArgument = "cases",
    data: DataOption = None,
    run: RunOption = None,
    *,
    quiet: QuietOption = False,
    limits: Limits,
) -> None:
    """Train the shipped models; record curves, parameters, overfitting.

    Examples
    --------
      harness train --run mine
      harness report mine
    """
    from harness.bench import experiment
    from harness.calling.discovery import is_shipped
    from harness.data.fashion_mnist import prepare
    from harness.display.verdict import print_training
    from harness.isolation.delegate import run_in_child

    source, total = prepare(data).source, len(experiment.TRAININGS)
    rows: list[experiment.Row] = []

    def work(training: Work) -> None:
        training.begin("training", total)
        training.opened.note_data(source)

        def take(event: tuple[str, dict[str, Any]]) -> None:
            name, fields = event
            if name in experiment.TRAININGS:
                training.opened.done = experiment.TRAININGS.index(name)
                training.move(name, to=training.opened.done)
                return
            if not rows:  # the cases are imported, and earlier records are replaced
                training.opened.discard(*experiment.ROWS.values())
            rows.append(row := experiment.ROWS[name].model_validate(fields))
            training.opened.keep(row)
            training.move(getattr(row, "case", "samples"))

        if is_shipped(target):
            experiment.train_target(target, data, take)
        else:
            run_in_child(
                "harness.bench.experiment:train_target",
                {"target": target, "data": data},
                type(None),
                target=target,
                limits=replace(limits, law_s=experiment.LONGEST_S),
                event=tuple[str, dict[str, Any]],
                on_event=take,
            )
        training.opened.done = total

    def show(training: Work) -> int:
        if not quiet:
            print_training(console(), rows)
        if training.ending.early:
            say(f"{training.ending.early}; the remaining models were not trained")
        say(f"data: {source.note}")
        return 0

    raise typer.Exit(runner.run(work, show, kept=rows, unit="training", output=Output(run)))


OF_DATA_SET = ("prefetch", "pin", "persistent", "start_method")
"""Settings that affect only the loader of a user's data set."""


@takes_options
def bench(
    suites: Annotated[
        list[str] | None,
        typer.Argument(help="Suites to run; they are listed below.", show_default="the usual ones", metavar="SUITE"),
    ] = None,
    target: Annotated[
        str,
        typer.Option("--cases", help="Package of cases, file.py:function or module:function.", metavar="TARGET"),
    ] = "cases",
    *,
    settings: Settings,
    run: Annotated[
        str, typer.Option("--run", help="Run to write to.", metavar="RUN", rich_help_panel=OUTPUT)
    ] = "bench",
    quiet: QuietOption = False,
    limits: Limits,
) -> None:
    """Time training steps, data loaders and vectorized code.

    Examples
    --------
      harness bench steps
      harness bench loaders --dataset train.py:dataset --workers 0,2,4
      harness bench steps --cases model.py:Net --contract softmax_regression_step

    Suites that run by default:
      loaders        data loaders against batch size and number of workers
      steps          training steps
      balance        whether loading keeps up with the training step
      operations     single operations
      vectorization  loops against vectorized code

    A suite that runs only by name:
      agreement      step times compared with torch.utils.benchmark

    Exit codes:
      0  everything was measured
      1  a benchmark failed
      2  nothing could be measured
    """
    from harness.bench import run as benchmark
    from harness.data.fashion_mnist import prepare

    wanted = suites or list(benchmark.DEFAULT_SUITES)
    for suite in wanted:
        if suite not in benchmark.SUITES:
            rule = f"the suites are {join_names(benchmark.SUITES)}"
            raise UsageError(f"unknown suite `{suite}`", rule=rule, remedy=did_you_mean(suite, benchmark.SUITES))
    _check_loader_options(wanted, settings)
    benchmark.require_packages(settings)
    with session(run) as opened:
        opened.expect(len(wanted), "suite", plan=f"bench {target} {wanted} {settings}")
        if "balance" in wanted or ("loaders" in wanted and settings.dataset is None):
            opened.note_data(prepare(settings.data).source)
        codes = []
        for suite in wanted:
            try:
                codes.append(_run_one(suite, target, opened.folder, settings, limits, quiet=quiet))
            except benchmark.IdleError as error:
                # A suite that the user names must run; of the usual suites, only those with work.
                if suites or (suite == wanted[-1] and not codes):
                    raise
                say(f"{suite}: {error}")
            opened.done += 1
    raise typer.Exit(max(codes))


def _check_loader_options(suites: list[str], settings: Settings) -> None:
    """Refuse options without effect: loader options apply only to torch's loader of a data set."""
    if settings.dataset is None:
        for name in (name for name in OF_DATA_SET if getattr(settings, name) != getattr(Settings, name)):
            raise UsageError(f"cannot use `--{name.replace('_', '-')}` without a data set", remedy="pass `--dataset`")
    elif "loaders" not in suites:
        problem = "cannot use `--dataset` without the suite `loaders`"
        raise UsageError(problem, remedy="use `harness bench loaders`")


def _run_one(name: str, target: str, folder: "RunFolder", settings: Settings, limits: Limits, *, quiet: bool) -> int:
    """Run one suite under a progress bar, and print its summary or its number of benchmarks."""
    from harness.bench.run import run_suite

    before = dict(folder.benchmarks()).get(name)
    try:
        with progress() as bar:
            task = bar.add_task(name, total=None)

            def watch(running: str, done: int, total: int) -> None:
                about = escape(running.partition("[")[2].removesuffix("]"))
                bar.update(task, completed=done, total=total, description=f"{name} {about}")

            path = folder.path
            return run_suite(name, target=target, run_folder=path, settings=settings, limits=limits, watch=watch)
    finally:  # after an interrupt, the finished measurements are kept and shown
        document = dict(folder.benchmarks()).get(name)
        if document is not None and document != before:
            print_results(console(), name, document, quiet=quiet)


def print_results(screen: "Console", suite: str, document: Mapping[str, Any], *, quiet: bool = False) -> None:
    """Print the summary of a suite or its number of benchmarks, and why benchmarks were skipped."""
    from harness.bench.display import SUMMARIES
    from harness.display.table import print_sentence

    def count(number: int) -> str:
        return f"{number} benchmark{'s' * (number != 1)}"

    if quiet:
        screen.print(f"{suite}: {count(len(document.get('benchmarks', ())))}", markup=False)
    else:
        SUMMARIES[suite](screen, document)
    reasons = Counter(skip["reason"] for skip in document.get("harness", {}).get("skipped", ()))
    for reason, number in reasons.items():
        print_sentence(screen, f"skipped: {reason} ({count(number)})")
