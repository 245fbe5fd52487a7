"""The commands that run for real: ``train`` and ``bench``."""

from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import DataOption, RunOption, Target, console, progress, session
from harness.error import UsageError

if TYPE_CHECKING:
    from harness.benchmark import Settings
    from harness.record import RunFolder


def train(target: Target = "cases", data: DataOption = None, run: RunOption = None) -> None:
    """Train the chapter's models for real: curves, learned parameters, overfitting."""
    from harness import experiment
    from harness.dataset import prepare
    from harness.discovery import load
    from harness.record import Epoch, Estimate, Image
    from harness.terminal import print_training
    from harness.timing import threads

    cases, prepared = load(target), prepare(data)
    opened = session(run)
    rows: list[Epoch | Estimate | Image] = []
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
        opened.folder.write(Estimate, [row for row in rows if isinstance(row, Estimate)])
        opened.folder.write(Image, [row for row in rows if isinstance(row, Image)])
    print_training(console(), rows)
    print(f"data: {prepared.source.note}")


def bench(
    suites: Annotated[
        list[str] | None,
        typer.Argument(
            help="steps, loaders, balance, vectorization, screening (all when absent); agreement, tuner, search."
        ),
    ] = None,
    target: Annotated[str, typer.Option("--cases", help="Package of cases.")] = "cases",
    data: DataOption = None,
    run: Annotated[str, typer.Option("--run", help="Run to write into.")] = "bench",
    contract: Annotated[str | None, typer.Option(help="Contract of a single function; or only this one.")] = None,
    batch_sizes: Annotated[
        str | None, typer.Option(help="Batch sizes, separated by commas; `full` is 1 to 65,536.", metavar="N,N")
    ] = None,
    seconds: Annotated[float | None, typer.Option(min=0.0, help="Seconds measured a benchmark.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Seeds of each way of searching.")] = None,
    data_sets: Annotated[
        str | None, typer.Option(help="Data sets of the tuner, comma-separated; what others gave stays in the run.")
    ] = None,
) -> None:
    """Time the cases: training steps, loaders, loops against vectorised code; and how fast rows are checked.

    `--cases model.py:Net --contract softmax_regression_step` times a model of your own. `harness bench agreement` holds
    our step times against those of torch.utils.benchmark. `harness bench search` compares how much of the worst several
    ways of drawing inputs find in equal time, `harness bench tuner` how near `harness tune` comes to the best loader.
    """
    from harness import benchmark
    from harness.dataset import prepare

    wanted = suites or list(benchmark.USUAL)
    for suite in wanted:
        if suite not in benchmark.SUITES:
            raise UsageError(rule=f"a suite is one of {', '.join(benchmark.SUITES)}", value=f"`{suite}`")
    opened = session(run)
    assert opened is not None
    if {"loaders", "balance"} & set(wanted):
        opened.note_data(prepare(data).source)
    worst = 0
    settings = benchmark.Settings(
        contract=contract,
        batch_sizes=_batch_sizes(batch_sizes),
        data=data,
        seconds=seconds,
        seeds=seeds,
        data_sets=tuple(data_sets.split(",")) if data_sets else (),
    )
    for suite in wanted:
        worst = max(worst, _one_suite(suite, target, opened.folder, settings))
    raise typer.Exit(worst)


def _batch_sizes(text: str | None) -> tuple[int, ...]:
    """Read what ``--batch-sizes`` says; nothing where it is absent."""
    from harness.benchmark import FULL

    if text is None or text == "full":
        return FULL if text else ()
    numbers = text.split(",")
    if not all(number.strip().isdecimal() and int(number) > 0 for number in numbers):
        raise UsageError(
            rule="`--batch-sizes` takes whole numbers from 1 separated by commas, or `full`", value=f"`{text}`"
        )
    return tuple(map(int, numbers))


def _one_suite(name: str, target: str, folder: "RunFolder", settings: "Settings") -> int:
    """Run one suite under a progress bar, and print its summary where it has one."""
    from harness.benchmark import run_suite
    from harness.step_summary import SUMMARIES

    if name not in SUMMARIES:
        return run_suite(name, target=target, run_folder=folder.path, settings=settings)
    before = dict(folder.benchmarks()).get(name)
    try:
        with progress() as bar:
            task = bar.add_task(name, total=None)

            def watch(running: str, done: int, total: int) -> None:
                bar.update(task, completed=done, total=total, description=f"{name} {running}")

            return run_suite(name, target=target, run_folder=folder.path, settings=settings, watch=watch)
    finally:  # an interrupt keeps what was measured, and shows it
        document = dict(folder.benchmarks()).get(name)
        if document is not None and document != before:
            SUMMARIES[name](console(), document)
