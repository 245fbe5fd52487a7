"""The commands that run for real: ``train`` and ``bench``."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape

from harness.cli.options import DataOption, RunOption, Target, console, progress, session
from harness.error import UsageError

Split = Literal["train", "test"]
StartMethod = Literal["fork", "spawn", "forkserver"]

if TYPE_CHECKING:
    from harness.bench.run import Settings
    from harness.record import RunFolder


def train(target: Target = "cases", data: DataOption = None, run: RunOption = None) -> None:
    """Train the chapter's models for real: curves, learned parameters, overfitting."""
    from harness.bench import experiment
    from harness.calling.discovery import load
    from harness.data.dataset import prepare
    from harness.record import Epoch, Image, LearnedParameter
    from harness.show.verdict import print_training
    from harness.timing.clock import threads

    cases, prepared = load(target), prepare(data)
    opened = session(run)
    rows: list[Epoch | LearnedParameter | Image] = []
    with progress() as bar, threads(1):
        task = bar.add_task("training", total=None)
        for made in (
            experiment.linear_regression(cases),
            experiment.softmax_regression(cases, prepared),
            experiment.overfitting(cases, prepared),
        ):
            for row in made:
                rows.append(row)
                bar.update(task, advance=1, description=getattr(row, "case", "samples"))
    if opened is not None:
        opened.note_data(prepared.source)
        opened.folder.write(Epoch, [row for row in rows if isinstance(row, Epoch)])
        opened.folder.write(LearnedParameter, [row for row in rows if isinstance(row, LearnedParameter)])
        opened.folder.write(Image, [row for row in rows if isinstance(row, Image)])
    print_training(console(), rows)
    print(f"data: {prepared.source.note}")


def bench(
    suites: Annotated[
        list[str] | None,
        typer.Argument(
            help="steps, loaders, balance, operations, vectorization, screening (all when absent); "
            "agreement, tuner, search."
        ),
    ] = None,
    target: Annotated[str, typer.Option("--cases", help="Package of cases.")] = "cases",
    data: DataOption = None,
    run: Annotated[str, typer.Option("--run", help="Run to write into.")] = "bench",
    contract: Annotated[str | None, typer.Option(help="Contract of a single function; or only this one.")] = None,
    batch_sizes: Annotated[
        str | None, typer.Option(help="Batch sizes, separated by commas; `full` is 1 to 65,536.", metavar="N,N")
    ] = None,
    workers: Annotated[str | None, typer.Option(help="Workers of loaders, separated by commas.", metavar="N,N")] = None,
    split: Annotated[Split | None, typer.Option(help="Images that loaders load; the test set when absent.")] = None,
    dataset: Annotated[
        str | None, typer.Option(help="A data set of your own, module:factory or file.py:factory.", metavar="TARGET")
    ] = None,
    start_method: Annotated[StartMethod | None, typer.Option(help="How its workers are started.")] = None,
    prefetch: Annotated[str | None, typer.Option(help="Batches a worker keeps ahead.", metavar="N,N")] = None,
    persistent: Annotated[bool | None, typer.Option(help="Whether its workers outlive an epoch.")] = None,
    timeout: Annotated[float | None, typer.Option(min=0.0, help="Seconds of a loader in one configuration.")] = None,
    pin: Annotated[bool, typer.Option("--pin", help="Have its batches in page-locked memory.")] = False,
    seconds: Annotated[float | None, typer.Option(min=0.0, help="Seconds measured a benchmark.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Seeds of each way of searching.")] = None,
    data_sets: Annotated[
        str | None, typer.Option(help="Data sets of the tuner, comma-separated; what others gave stays in the run.")
    ] = None,
) -> None:
    """Time the cases: training steps, loaders, loops against vectorised code; and how fast rows are checked.

    `harness bench loaders --dataset file.py:factory` times torch's loader of a data set of your own.
    `--cases model.py:Net --contract softmax_regression_step` times a model of your own. `harness bench agreement` holds
    our step times against those of torch.utils.benchmark.

    `harness bench search` compares how much of the worst several ways of drawing inputs find in equal time: five ways
    from five seeds for ten seconds each, and one search four times as long. These are 290 s for each implementation,
    44 minutes for the chapter's nine; `--seconds 3` takes 13 minutes, and its table says that it had 3 s.

    `harness bench tuner` measures how near `harness tune` comes to the best loader.
    """
    from harness.bench import run as benchmark
    from harness.data.dataset import prepare

    wanted = suites or list(benchmark.USUAL)
    for suite in wanted:
        if suite not in benchmark.SUITES:
            raise UsageError(rule=f"a suite is one of {', '.join(benchmark.SUITES)}", value=f"`{suite}`")
    settings = benchmark.Settings(
        contract=contract,
        batch_sizes=_batch_sizes(batch_sizes),
        workers=_counts("--workers", workers, least=0),
        data=data,
        seconds=seconds,
        seeds=seeds,
        split=split,
        dataset=dataset,
        start_method=start_method,
        prefetch=_counts("--prefetch", prefetch, least=1),
        persistent=persistent,
        pin=pin,
        timeout=timeout,
        data_sets=tuple(data_sets.split(",")) if data_sets else (),
    )
    _check_loader_options(wanted, settings)
    opened = session(run)
    assert opened is not None
    if "balance" in wanted or ("loaders" in wanted and dataset is None):
        opened.note_data(prepare(data).source)
    codes = []
    for suite in wanted:
        try:
            codes.append(_one_suite(suite, target, opened.folder, settings))
        except benchmark.IdleError as error:
            # Who names a suite wants it; who names none wants those that have something to do.
            if suites or (suite == wanted[-1] and not codes):
                raise
            print(f"{suite}: {error}")
    raise typer.Exit(max(codes))


def _batch_sizes(text: str | None) -> tuple[int, ...]:
    """Read what ``--batch-sizes`` says; nothing where it is absent."""
    from harness.bench.run import FULL

    if text is None or text == "full":
        return FULL if text else ()
    return _counts("--batch-sizes", text, least=1, others=", or `full`")


def _counts(option: str, text: str | None, *, least: int, others: str = "") -> tuple[int, ...]:
    """Read whole numbers; nothing where the option is absent."""
    numbers = [] if text is None else [number.strip() for number in text.split(",")]
    if not all(number.isdecimal() and int(number) >= least for number in numbers):
        raise UsageError(
            rule=f"`{option}` takes whole numbers from {least} separated by commas{others}", value=f"`{text}`"
        )
    return tuple(map(int, numbers))


def _check_loader_options(suites: list[str], settings: "Settings") -> None:
    """Refuse what would have no effect: these options are of torch's loader of a data set."""
    given = {
        "--start-method": settings.start_method is not None,
        "--prefetch": bool(settings.prefetch),
        "--persistent": settings.persistent is not None,
        "--pin": settings.pin,
    }
    for option in (name for name, is_given in given.items() if is_given and settings.dataset is None):
        raise UsageError(
            rule=f"`{option}` sets the loader of a data set", value="no data set", remedy="add `--dataset TARGET`"
        )
    if settings.dataset is not None and "loaders" not in suites:
        raise UsageError(rule="`--dataset` is for loaders", value=", ".join(suites), remedy="name `loaders`")


def _one_suite(name: str, target: str, folder: "RunFolder", settings: "Settings") -> int:
    """Run one suite under a progress bar, and print its summary."""
    from harness.bench.run import run_suite
    from harness.show.bench import print_summary

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
            print_summary(console(), name, document)
