"""The commands that run for real: ``train`` and ``bench``."""

from typing import Annotated

import typer

from harness.cli.options import DataOption, RunOption, Target, console, progress, session
from harness.error import UsageError


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
        typer.Argument(help="steps, loaders, balance, vectorization, screening (all when absent); tuner, search."),
    ] = None,
    target: Annotated[str, typer.Option("--cases", help="Package of cases.")] = "cases",
    data: DataOption = None,
    run: Annotated[str, typer.Option("--run", help="Run to write into.")] = "bench",
    contract: Annotated[str | None, typer.Option(help="Contract of a single function; or only this one.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.0, help="Seconds measured a benchmark.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Seeds of each way of searching.")] = None,
    data_sets: Annotated[
        str | None, typer.Option(help="Data sets of the tuner, comma-separated; what others gave stays in the run.")
    ] = None,
) -> None:
    """Time the cases: training steps, loaders, loops against vectorised code; and how fast rows are checked.

    `harness bench search` compares how much of the worst several ways of drawing inputs find in equal time,
    `harness bench tuner` how near `harness tune` comes to the best loader, and in what share of the time.
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
        data=data,
        seconds=seconds,
        seeds=seeds,
        data_sets=tuple(data_sets.split(",")) if data_sets else (),
    )
    for suite in wanted:
        worst = max(worst, benchmark.run_suite(suite, target=target, run_folder=opened.folder.path, settings=settings))
    raise typer.Exit(worst)
