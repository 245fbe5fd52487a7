"""The command ``tune``: find a near-optimal ``DataLoader`` configuration for a data set, as a line to paste."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from harness.command import runner
from harness.command.option_groups import takes_options
from harness.command.options import JsonOption, console, reject_unknown, say, write_files
from harness.command.panels import thorough_option
from harness.command.runner import Work
from harness.error import UsageError
from harness.isolation.limits import Limits

if TYPE_CHECKING:
    from harness.tuner.search_space import SearchSpace

Option = typer.Option
BATCH_SIZE = 256
"""Batch size of the book."""


@takes_options
def tune(
    dataset: Annotated[
        str,
        typer.Argument(
            help="Data set, or a function or class that makes one: module:name or file.py:name.", metavar="DATASET"
        ),
    ],
    batch_size: Annotated[
        int | None, Option(min=1, help="Samples in a batch.", show_default=f"{BATCH_SIZE}", metavar="N")
    ] = None,
    batch_sizes: Annotated[
        str | None, Option(help="Batch sizes to choose from, comma-separated.", metavar="N,...")
    ] = None,
    workers: Annotated[
        str | None,
        Option(help="Numbers of workers to choose from, comma-separated.", show_default="by cores", metavar="N,..."),
    ] = None,
    prefetch: Annotated[str, Option(help="Prefetch factors to choose from, comma-separated.", metavar="N,...")] = "2,4",
    start_method: Annotated[
        str | None,
        Option(help="Start method of workers.", show_default="the system's", metavar="fork|spawn|forkserver"),
    ] = None,
    step: Annotated[
        str | None,
        Option(
            help="Training step that the loader must keep up with, a function of a batch.", metavar="FILE.py:FUNCTION"
        ),
    ] = None,
    step_ms: Annotated[
        float | None,
        Option(min=1e-06, help="Duration of the training step in milliseconds, instead of --step.", metavar="MS"),
    ] = None,
    seconds: Annotated[float, thorough_option(min=0.1, help="Time limit, in seconds.", metavar="SECONDS")] = 30.0,
    seed: Annotated[int, thorough_option(min=0, help="Random seed for the order of measurements.", metavar="N")] = 0,
    json: JsonOption = None,
    *,
    limits: Limits,
) -> None:
    """Find a near-optimal DataLoader configuration for a data set.

    Examples
    --------
      harness tune my.package:TrainingSet
      harness tune train.py:dataset --batch-sizes 64,128,256
      harness tune train.py:dataset --step train.py:step

    More examples:
      one batch size
        harness tune train.py:dataset --batch-size 128
      the cheapest loader that keeps up with a training step of 1.5 ms
        harness tune train.py:dataset --step-ms 1.5

    Exit codes:
      0  a configuration was found
      2  the question could not be answered, for example because the data set does
         not deliver
    """
    from harness.isolation.delegate import run_in_child
    from harness.tuner.display import make_json, print_tuning
    from harness.tuner.target import longest_s
    from harness.tuner.tuning import TuningResult

    if step is not None and step_ms is not None:
        raise UsageError("cannot use `--step` together with `--step-ms`", remedy="leave one out")
    space = _make_space(batch_size, batch_sizes, workers, prefetch, start_method)
    if step_ms is not None and len(space.batch_sizes) > 1:
        remedy = "pass `--step`, which is timed at each batch size"
        raise UsageError("cannot use `--step-ms` with several batch sizes", remedy=remedy)
    question = {
        "dataset": dataset,
        "space": space,
        "cores": _count_cores(),
        "seconds": seconds,
        "step": step,
        "seed": seed,
    }
    question["step_s"] = None if step_ms is None else step_ms / 1e3
    results: list[TuningResult] = []

    def work(tuning: Work) -> None:
        tuning.begin("examining the data set", round(seconds))

        def take(reached: TuningResult) -> None:
            results[:] = [reached]
            if (state := reached.standing) is not None:
                best = f"best so far: {state.best}: {state.rate.point:,.0f} samples/s"
                tuning.move(best, to=round(reached.spent_s))

        results[:] = [
            run_in_child(
                "harness.tuner.target:tune_target",
                question,
                TuningResult,
                target=dataset,
                limits=replace(limits, law_s=longest_s(seconds)),
                event=TuningResult,
                on_event=take,
            )
        ]

    def show(tuning: Work) -> int:
        if not results or results[0].standing is None:
            raise UsageError("interrupted before the first measurement")
        with write_files({"json": json}, lambda _: make_json(results[0])) as written:
            print_tuning(console(), results[0])
            say(*written)
        if tuning.ending.early:
            say(f"{tuning.ending.early}; this is the best configuration so far")
        return 0

    raise typer.Exit(runner.run(work, show, kept=(), unit="second"))


def _make_space(
    batch_size: int | None, batch_sizes: str | None, workers: str | None, prefetch: str, start_method: str | None
) -> "SearchSpace":
    import multiprocessing

    import torch

    from harness.tuner.search_space import SearchSpace, worker_counts

    if batch_size is not None and batch_sizes is not None:
        raise UsageError("cannot use `--batch-size` together with `--batch-sizes`", remedy="leave one out")
    methods = multiprocessing.get_all_start_methods()
    reject_unknown([start_method] if start_method is not None else [], methods, "start method", option="--start-method")
    return SearchSpace(
        _read_numbers("--batch-sizes", batch_sizes, 1) if batch_sizes else (batch_size or BATCH_SIZE,),
        _read_numbers("--workers", workers, 0) if workers else worker_counts(_count_cores()),
        _read_numbers("--prefetch", prefetch, 1),
        pin=torch.accelerator.is_available(),
        start_method=start_method,
    )


def _read_numbers(option: str, text: str, least: int) -> tuple[int, ...]:
    """Read whole numbers separated by commas; sort them and drop duplicates."""
    try:
        numbers = {int(part) for part in text.split(",")}
    except ValueError:
        numbers = {least - 1}
    if min(numbers) < least:
        rule = f"it must be whole numbers from {least}, separated by commas"
        raise UsageError(f"cannot read `{option}`", rule=rule, value=f"`{text}`")
    return tuple(sorted(numbers))


def _count_cores() -> int:
    from harness.execution.environment import usable_cores

    return max(1, round(usable_cores()))
