"""The commands that run training and benchmarks: ``train`` and ``bench``."""

import argparse
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from harness.bench.option import OPTIONS, Settings, Shape, Split, StartMethod
from harness.cli.option_groups import takes_limits
from harness.cli.options import DataOption, QuietOption, RunOption, TargetArgument, console, progress, say, session
from harness.cli.panels import LOADERS, OUTPUT, THOROUGH, epilog
from harness.error import UsageError, did_you_mean, listed
from harness.execution.interrupt import Ending
from harness.isolation.limits import Limits

if TYPE_CHECKING:
    from rich.console import Console

    from harness.record import RunFolder

TRAIN_EPILOG = epilog("""
  harness train --run mine
  harness report mine
""")


@takes_limits
def train(
    target: TargetArgument = "cases",
    data: DataOption = None,
    run: RunOption = None,
    *,
    quiet: QuietOption = False,
    limits: Limits,
) -> None:
    """Train the shipped models; record curves, parameters, overfitting."""
    from harness.bench import experiment
    from harness.calling.discovery import is_shipped
    from harness.data.dataset import prepare
    from harness.display.verdict import print_training
    from harness.isolation.delegate import run_in_child

    source, total = prepare(data).source, len(experiment.TRAININGS)
    rows: list[experiment.Row] = []
    with session(run) as opened:
        opened.expect(total, "training")
        opened.note_data(source)
        with Ending(rows) as ending, progress() as bar:
            task = bar.add_task("training", total=total)

            def take(event: tuple[str, dict[str, Any]]) -> None:
                name, fields = event
                if name in experiment.TRAININGS:
                    opened.done = experiment.TRAININGS.index(name)
                    bar.update(task, completed=opened.done, description=name)
                    return
                if not rows:  # the cases are imported, and earlier records are replaced
                    opened.discard(*experiment.ROWS.values())
                rows.append(row := experiment.ROWS[name].model_validate(fields))
                opened.keep(row)
                bar.update(task, description=getattr(row, "case", "samples"))

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
            opened.done = total
        opened.end(ending)
    if not quiet:
        print_training(console(), rows)
    if ending.early:
        say(f"{ending.early}; the remaining models were not trained")
    say(f"data: {source.note}")
    ending.settle()
    if ending.code is not None:
        raise typer.Exit(ending.code)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _option(name: str, *flags: str, panel: str | None = None) -> Any:
    """Convert the declaration of a suite's option into an option of the command."""
    option = OPTIONS[name]
    return typer.Option(
        *flags,
        help=option.help,
        metavar=option.metavar or "|".join(option.choices) or None,
        min=option.least,
        parser=_parser(name) if option.takes_several else None,
        rich_help_panel=panel,
    )


def _parser(name: str) -> Callable[[str], Any]:
    """Return a function that reads several numbers or names, and raises a usage error for other text."""
    parse = OPTIONS[name].parse

    def read(text: str) -> Any:
        try:
            return parse(text)
        except argparse.ArgumentTypeError as error:
            problem = f"cannot read `{_flag(name)}`"
            raise UsageError(problem, rule=f"it must be {parse}", value=f"`{text}`") from error

    return read


BENCH_EPILOG = epilog(
    """
  harness bench steps
  harness bench loaders --dataset train.py:dataset --workers 0,2,4
  harness bench steps --cases model.py:Net --contract softmax_regression_step
""",
    """
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
""",
)


@takes_limits
def bench(
    suites: Annotated[
        list[str] | None,
        typer.Argument(help="Suites to run; they are listed below.", show_default="the usual ones", metavar="SUITE"),
    ] = None,
    target: Annotated[
        str,
        typer.Option("--cases", help="Package of cases, file.py:function or module:function.", metavar="TARGET"),
    ] = "cases",
    contract: Annotated[str | None, _option("contract")] = None,
    data: DataOption = None,
    dataset: Annotated[str | None, _option("dataset", panel=LOADERS)] = None,
    split: Annotated[Split | None, _option("split", panel=LOADERS)] = None,
    batch_sizes: Annotated[Sequence[int] | None, _option("batch_sizes", panel=LOADERS)] = None,
    workers: Annotated[Sequence[int] | None, _option("workers", panel=LOADERS)] = None,
    prefetch: Annotated[Sequence[int] | None, _option("prefetch", panel=LOADERS)] = None,
    pin: Annotated[bool, _option("pin", "--pin", panel=LOADERS)] = False,
    persistent: Annotated[bool | None, _option("persistent", panel=LOADERS)] = None,
    start_method: Annotated[StartMethod | None, _option("start_method", panel=LOADERS)] = None,
    data_sets: Annotated[Sequence[str] | None, _option("data_sets", panel=LOADERS)] = None,
    shapes: Annotated[Sequence[Shape] | None, _option("shapes")] = None,
    timeout: Annotated[float | None, _option("timeout", panel=THOROUGH)] = None,
    seconds: Annotated[float | None, _option("seconds", panel=THOROUGH)] = None,
    run: Annotated[
        str, typer.Option("--run", help="Run to write to.", metavar="RUN", rich_help_panel=OUTPUT)
    ] = "bench",
    *,
    quiet: QuietOption = False,
    limits: Limits,
) -> None:
    """Time training steps, data loaders and vectorized code."""
    from harness.bench import run as benchmark
    from harness.data.dataset import prepare

    wanted = suites or list(benchmark.DEFAULT_SUITES)
    for suite in wanted:
        if suite not in benchmark.SUITES:
            rule = f"the suites are {listed(benchmark.SUITES)}"
            raise UsageError(f"unknown suite `{suite}`", rule=rule, remedy=did_you_mean(suite, benchmark.SUITES))
    settings = Settings(
        contract=contract,
        batch_sizes=batch_sizes or (),
        workers=workers or (),
        shapes=shapes or (),
        data=data,
        seconds=seconds,
        split=split,
        dataset=dataset,
        start_method=start_method,
        prefetch=prefetch or (),
        persistent=persistent,
        pin=pin,
        timeout=timeout,
        data_sets=data_sets or (),
    )
    _check_loader_options(wanted, settings)
    benchmark.require_packages(settings)
    with session(run) as opened:
        opened.expect(len(wanted), "suite", plan=f"bench {target} {wanted} {settings}")
        if "balance" in wanted or ("loaders" in wanted and dataset is None):
            opened.note_data(prepare(data).source)
        codes = []
        for suite in wanted:
            try:
                codes.append(_one_suite(suite, target, opened.folder, settings, limits, quiet=quiet))
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
        for name in (name for name in settings.given() if OPTIONS[name].of_dataset):
            raise UsageError(f"cannot use `{_flag(name)}` without a data set", remedy="pass `--dataset`")
    elif "loaders" not in suites:
        problem = "cannot use `--dataset` without the suite `loaders`"
        raise UsageError(problem, remedy="use `harness bench loaders`")


def _one_suite(name: str, target: str, folder: "RunFolder", settings: Settings, limits: Limits, *, quiet: bool) -> int:
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
    from harness.display.bench import SUMMARIES
    from harness.display.narrow import print_sentence

    def counted(number: int) -> str:
        return f"{number} benchmark{'s' * (number != 1)}"

    if quiet:
        screen.print(f"{suite}: {counted(len(document.get('benchmarks', ())))}", markup=False)
    else:
        SUMMARIES[suite](screen, document)
    reasons = Counter(skip["reason"] for skip in document.get("harness", {}).get("skipped", ()))
    for reason, number in reasons.items():
        print_sentence(screen, f"skipped: {reason} ({counted(number)})")
