"""The command ``tune``: find a near-optimal ``DataLoader`` configuration for a data set, as a line to paste."""

from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import JsonOption, console, files_written, progress, reject_unknown, say
from harness.cli.panels import epilog, thorough_option
from harness.error import UsageError

if TYPE_CHECKING:
    from harness.loading.fault import LoadingError, LoadingFault
    from harness.tuner.tuning import SearchSpace, Tuning

Option = typer.Option
BATCH_SIZE = 256
"""Batch size of the book."""
GRACE_S = 20.0
"""Seconds after the time limit at which loading is reported as hanging."""

EPILOG = epilog(
    """
  harness tune my.package:TrainingSet
  harness tune train.py:dataset --batch-sizes 64,128,256
  harness tune train.py:dataset --step train.py:step
""",
    """
More examples:
  one batch size
    harness tune train.py:dataset --batch-size 128
  the cheapest loader that keeps up with a training step of 1.5 ms
    harness tune train.py:dataset --step-ms 1.5

Exit codes:
  0  a configuration was found
  2  the question could not be answered, for example because the data set
     does not deliver
""",
)
"""Examples and exit codes of ``--help``."""


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
) -> None:
    """Find a near-optimal DataLoader configuration for a data set."""
    from harness.calling.discovery import dataset_named
    from harness.display.tuning import as_json, print_tuning
    from harness.tuner.step import Synthetic, load_step
    from harness.tuner.tuning import Tuning

    if step is not None and step_ms is not None:
        raise UsageError("cannot use `--step` together with `--step-ms`", remedy="leave one out")
    space = _space(batch_size, batch_sizes, workers, prefetch, start_method)
    if step_ms is not None and len(space.batch_sizes) > 1:
        remedy = "pass `--step`, which is timed at each batch size"
        raise UsageError("cannot use `--step-ms` with several batch sizes", remedy=remedy)
    data_set = dataset_named(dataset, streams=True)
    steps = load_step(step) if step is not None else None if step_ms is None else Synthetic(step_ms / 1e3)
    tuning = Tuning(data_set, space, cores=_cores(), seconds=seconds, step=steps, seed=seed)
    interrupted = _is_interrupted(tuning, dataset)
    if tuning.standing is None:
        raise UsageError("interrupted before the first measurement")
    with files_written({"json": json}, lambda _: as_json(tuning)) as written:
        print_tuning(console(), tuning)
        say(*written)
    if interrupted:
        say("interrupted; this is the best configuration so far")
        raise typer.Exit(130)


def _space(
    batch_size: int | None, batch_sizes: str | None, workers: str | None, prefetch: str, start_method: str | None
) -> "SearchSpace":
    import multiprocessing

    import torch

    from harness.tuner.configuration import worker_counts
    from harness.tuner.tuning import SearchSpace

    if batch_size is not None and batch_sizes is not None:
        raise UsageError("cannot use `--batch-size` together with `--batch-sizes`", remedy="leave one out")
    methods = multiprocessing.get_all_start_methods()
    reject_unknown([start_method] if start_method is not None else [], methods, "start method", option="--start-method")
    return SearchSpace(
        _numbers("--batch-sizes", batch_sizes, 1) if batch_sizes else (batch_size or BATCH_SIZE,),
        _numbers("--workers", workers, 0) if workers else worker_counts(_cores()),
        _numbers("--prefetch", prefetch, 1),
        pin=torch.accelerator.is_available(),
        start_method=start_method,
    )


def _numbers(option: str, text: str, least: int) -> tuple[int, ...]:
    """Read whole numbers separated by commas; sort them and drop duplicates."""
    try:
        numbers = {int(part) for part in text.split(",")}
    except ValueError:
        numbers = {least - 1}
    if min(numbers) < least:
        rule = f"it must be whole numbers from {least}, separated by commas"
        raise UsageError(f"cannot read `{option}`", rule=rule, value=f"`{text}`")
    return tuple(sorted(numbers))


def _cores() -> int:
    from harness.execution.environment import usable_cores

    return max(1, round(usable_cores()))


def _is_interrupted(tuning: "Tuning", target: str) -> bool:
    """Tune with a progress bar until the end or an interrupt; return whether it was interrupted."""
    from harness.loading.fault import LoadingError
    from harness.loading.supervision import within

    try:
        with progress() as bar, within(tuning.seconds + GRACE_S):
            task = bar.add_task("examining the data set", total=round(tuning.seconds))
            for state in tuning.run():
                best = f"{state.best}: {state.rate.point:,.0f} samples/s"
                bar.update(task, completed=round(tuning.spent_s), description=f"best so far: {best}")
            bar.update(task, description="measuring where the time of a batch goes")
            tuning.close_budget()
    except KeyboardInterrupt:
        return True
    except LoadingError as error:
        if isinstance(error.__cause__, UsageError):  # from the training step
            raise error.__cause__ from None
        fault = _diagnosed(tuning, error)
        problem = f"cannot load samples from `{target}`"
        raise UsageError(problem, rule=fault.sentence, remedy=fault.remedy) from error
    return False


def _diagnosed(tuning: "Tuning", error: "LoadingError") -> "LoadingFault":
    """Return the fault of a loader, with the index of the bad sample if a second pass finds it.

    An exception that the second pass does not reproduce is not the data set's fault, and is raised again.
    """
    from harness.loading.fault import FaultKind
    from harness.loading.reader import uncollated
    from harness.loading.watched import diagnose

    if not tuning.shuffles:
        return tuning.in_time(error.fault, tuning.seconds + GRACE_S)  # a stream has no index
    looked_at = tuning.looked_at
    second = diagnose(tuning.dataset, looked_at.load, workers=looked_at.workers, limit_s=GRACE_S)
    if second is not None and second.index is None and second.kind is FaultKind.RAISED:
        second = uncollated(tuning.dataset, looked_at.load(tuning.dataset, shuffle=False), second)
    if second is not None and (second.kind is not FaultKind.HUNG or second.index is not None):
        return second
    if error.fault.kind is FaultKind.RAISED:
        raise error
    return tuning.in_time(error.fault, tuning.seconds + GRACE_S)
