"""The commands that run for real: ``train`` and ``bench``."""

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from harness.bench.option import OPTIONS, Settings, Split, StartMethod
from harness.cli.options import DataOption, QuietOption, RunOption, TargetArgument, console, progress, say, session
from harness.error import UsageError, did_you_mean
from harness.work.ending import Ending

if TYPE_CHECKING:
    from harness.record import RunFolder


def train(
    target: TargetArgument = "cases", data: DataOption = None, run: RunOption = None, *, quiet: QuietOption = False
) -> None:
    """Train the chapter's models for real: curves, learned parameters, overfitting."""
    from harness.bench import experiment
    from harness.calling.discovery import load
    from harness.data.dataset import prepare
    from harness.record import ClassWeights, Confusion, Epoch, FitData, Image, LearnedParameter
    from harness.show.verdict import print_training
    from harness.timing.clock import threads

    cases, prepared = load(target), prepare(data)
    rows: list[Epoch | LearnedParameter | FitData | ClassWeights | Confusion | Image] = []
    with session(run) as opened:
        opened.expect(TRAININGS, "training")
        opened.note_data(prepared.source)
        opened.anew(Epoch, LearnedParameter, FitData, ClassWeights, Confusion, Image)
        with Ending(rows) as ending, progress() as bar, threads(1):
            task = bar.add_task("training", total=TRAININGS)
            for made in (
                experiment.linear_regression(cases),
                experiment.softmax_regression(cases, prepared),
                experiment.overfitting(cases, prepared),
            ):
                for row in made:
                    rows.append(row)
                    opened.keep(row)
                    bar.update(task, description=getattr(row, "case", "samples"))
                opened.done += 1
                bar.update(task, advance=1)
        opened.end(ending)
    if not quiet:
        print_training(console(), rows)
    if ending.early:
        say(f"{ending.early}: the rest was not trained")
    say(f"data: {prepared.source.note}")
    ending.settle()
    if ending.code is not None:
        raise typer.Exit(ending.code)


TRAININGS = 3
"""What is trained: linear regression, softmax regression, and a model that overfits."""


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _option(name: str, *flags: str) -> Any:
    """Return the command's option for one of the suite's, from its declaration."""
    option = OPTIONS[name]
    return typer.Option(
        *flags,
        help=option.help,
        metavar=option.metavar if option.least is None else None,  # else the range stands there
        min=option.least,
        parser=_parser(name) if option.takes_several else None,
    )


def _parser(name: str) -> Callable[[str], Any]:
    """Return what reads several numbers or names; what it cannot read is the user's error."""
    parse = OPTIONS[name].parse

    def read(text: str) -> Any:
        try:
            return parse(text)
        except argparse.ArgumentTypeError as error:
            raise UsageError(rule=f"`{_flag(name)}` takes {parse}", value=f"`{text}`") from error

    return read


def bench(
    suites: Annotated[
        list[str] | None,
        typer.Argument(
            help="loaders, steps, balance, operations, vectorization, screening (all when absent); "
            "agreement, audit, tuner, search."
        ),
    ] = None,
    target: Annotated[str, typer.Option("--cases", help="Package of cases.")] = "cases",
    data: DataOption = None,
    run: Annotated[str, typer.Option("--run", help="Run to write into.")] = "bench",
    contract: Annotated[str | None, _option("contract")] = None,
    batch_sizes: Annotated[Sequence[int] | None, _option("batch_sizes")] = None,
    workers: Annotated[Sequence[int] | None, _option("workers")] = None,
    split: Annotated[Split | None, _option("split")] = None,
    dataset: Annotated[str | None, _option("dataset")] = None,
    start_method: Annotated[StartMethod | None, _option("start_method")] = None,
    prefetch: Annotated[Sequence[int] | None, _option("prefetch")] = None,
    persistent: Annotated[bool | None, _option("persistent")] = None,
    timeout: Annotated[float | None, _option("timeout")] = None,
    pin: Annotated[bool, _option("pin", "--pin")] = False,
    seconds: Annotated[float | None, _option("seconds")] = None,
    seeds: Annotated[int | None, _option("seeds")] = None,
    data_sets: Annotated[Sequence[str] | None, _option("data_sets")] = None,
    *,
    quiet: QuietOption = False,
) -> None:
    """Time the cases: training steps, loaders, loops against vectorised code; and how fast rows are checked.

    `harness bench loaders --dataset file.py:factory` times torch's loader of a data set of your own.
    `--cases model.py:Net --contract softmax_regression_step` times a model of your own. `harness bench agreement` holds
    our step times against those of torch.utils.benchmark.

    `harness bench search` compares how much of the worst several ways of drawing inputs find in equal time: five ways
    from five seeds for ten seconds each, and one search four times as long. These are 290 s for each implementation,
    44 minutes for the chapter's nine; `--seconds 3` takes 13 minutes, and its table says that it had 3 s.

    `harness bench audit` measures what an audit of a training step costs in CPU time and memory.

    `harness bench tuner` measures how near `harness tune` comes to the best loader.
    """
    from harness.bench import run as benchmark
    from harness.data.dataset import prepare

    wanted = suites or list(benchmark.USUAL)
    for suite in wanted:
        if suite not in benchmark.SUITES:
            raise UsageError(
                rule=f"a suite is one of {', '.join(benchmark.SUITES)}",
                value=f"`{suite}`",
                remedy=did_you_mean(suite, benchmark.SUITES),
            )
    settings = Settings(
        contract=contract,
        batch_sizes=batch_sizes or (),
        workers=workers or (),
        data=data,
        seconds=seconds,
        seeds=seeds,
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
    with session(run) as opened:
        opened.expect(len(wanted), "suite", plan=f"bench {target} {wanted} {settings}")
        if "balance" in wanted or ("loaders" in wanted and dataset is None):
            opened.note_data(prepare(data).source)
        codes = []
        for suite in wanted:
            try:
                codes.append(_one_suite(suite, target, opened.folder, settings, quiet=quiet))
            except benchmark.IdleError as error:
                # Who names a suite wants it; who names none wants those that have something to do.
                if suites or (suite == wanted[-1] and not codes):
                    raise
                say(f"{suite}: {error}")
            opened.done += 1
    raise typer.Exit(max(codes))


def _check_loader_options(suites: list[str], settings: Settings) -> None:
    """Refuse what would have no effect: these options are of torch's loader of a data set."""
    if settings.dataset is None:
        for name in (name for name in settings.given() if OPTIONS[name].of_dataset):
            raise UsageError(
                rule=f"`{_flag(name)}` sets the loader of a data set",
                value="no data set",
                remedy="add `--dataset TARGET`",
            )
    elif "loaders" not in suites:
        raise UsageError(rule="`--dataset` is for loaders", value=", ".join(suites), remedy="name `loaders`")


def _one_suite(name: str, target: str, folder: "RunFolder", settings: Settings, *, quiet: bool) -> int:
    """Run one suite under a progress bar, and print its summary, or how much it measured."""
    from harness.bench.run import run_suite
    from harness.show.bench import print_skips, print_summary

    before = dict(folder.benchmarks()).get(name)
    try:
        with progress() as bar:
            task = bar.add_task(name, total=None)

            def watch(running: str, done: int, total: int) -> None:
                about = escape(running.partition("[")[2].removesuffix("]"))
                bar.update(task, completed=done, total=total, description=f"{name} {about}")

            return run_suite(name, target=target, run_folder=folder.path, settings=settings, watch=watch)
    finally:  # an interrupt keeps what was measured, and shows it
        document = dict(folder.benchmarks()).get(name)
        if document is not None and document != before:
            (print_skips if quiet else print_summary)(console(), name, document)
