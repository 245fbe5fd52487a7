"""The command ``tune``: a near-best ``DataLoader`` configuration for a data set, as the line to paste."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import console, progress, say
from harness.error import UsageError, did_you_mean

if TYPE_CHECKING:
    from harness.loading.fault import LoadingError, LoadingFault
    from harness.tuner.step import Step
    from harness.tuner.tuning import Tuning, Wish

Option = typer.Option
BATCH_SIZE = 256
"""The book's."""
GRACE_S = 20.0
"""Seconds beyond the time bound after which loading is said to hang."""

EXAMPLES = """
\b
Examples:
  a data set, or a function or class that makes one
    harness tune my.package:TrainingSet
    harness tune train.py:dataset --batch-size 128
  several batch sizes are allowed
    harness tune train.py:dataset --batch-sizes 64,128,256
  enough is enough: the cheapest that keeps ahead of the step
    harness tune train.py:dataset --step train.py:step
    harness tune train.py:dataset --step-ms 1.5

\b
Exit codes:
  0  a configuration was found
  2  the question could not be answered: the data set does not deliver, ...
"""
"""What ``--help`` says at its end."""


def tune(
    dataset: Annotated[str, typer.Argument(help="module:name or file.py:name of a data set, or of what makes one.")],
    batch_size: Annotated[int | None, Option(min=1, help=f"Samples a batch; {BATCH_SIZE} when absent.")] = None,
    batch_sizes: Annotated[str | None, Option(help="Batch sizes to choose from, comma-separated.")] = None,
    workers: Annotated[str | None, Option(help="Numbers of workers to choose from, comma-separated.")] = None,
    prefetch: Annotated[str, Option(help="Prefetch factors to choose from, comma-separated.")] = "2,4",
    start_method: Annotated[str | None, Option(help="How workers start: fork, spawn or forkserver.")] = None,
    step: Annotated[str | None, Option(help="The training step, a function of a batch: module:function.")] = None,
    step_ms: Annotated[float | None, Option(min=1e-6, help="Milliseconds of the training step instead.")] = None,
    seconds: Annotated[float, Option(min=0.1, help="Time bound.")] = 30.0,
    seed: Annotated[int, Option(min=0, help="Seed of the order of measurements.")] = 0,
    json: Annotated[Path | None, Option(help="Write what was found as JSON.")] = None,
) -> None:
    """Find a near-best DataLoader configuration with few measurements, and print the line to paste."""
    from harness.calling.data_set import dataset as load
    from harness.show.tuning import print_tuning
    from harness.tuner.step import load_step
    from harness.tuner.tuning import Tuning

    if step is not None and step_ms is not None:
        raise UsageError(rule="`--step` and `--step-ms` exclude each other", value="both")
    wish = _wish(batch_size, batch_sizes, workers, prefetch, start_method)
    if step_ms is not None and len(wish.batch_sizes) > 1:
        raise UsageError(
            rule="`--step-ms` is the time of one step, and so of one batch size",
            value=f"{len(wish.batch_sizes)} batch sizes",
            remedy="give `--step`, which is timed at each",
        )
    data_set = load(dataset, streams=True)
    steps = load_step(step) if step is not None else _synthetic(step_ms)
    tuning = Tuning(data_set, wish, cores=_cores(), seconds=seconds, step=steps, seed=seed)
    interrupted = _run(tuning, dataset)
    if tuning.standing is None:
        raise UsageError(rule="something is measured before the end", value="an interrupt before the first slice")
    print_tuning(console(), tuning)
    if json is not None:
        from harness.record import write_atomically
        from harness.show.tuning import as_json

        write_atomically(json, as_json(tuning))
        say(f"json: {json}")
    if interrupted:
        say("interrupted: this is the best so far")
        raise typer.Exit(130)


def _synthetic(step_ms: float | None) -> "Step | None":
    from harness.tuner.step import Synthetic

    return None if step_ms is None else Synthetic(step_ms / 1e3)


def _wish(
    batch_size: int | None, batch_sizes: str | None, workers: str | None, prefetch: str, start_method: str | None
) -> "Wish":
    import multiprocessing

    import torch

    from harness.tuner.configuration import worker_counts
    from harness.tuner.tuning import Wish

    if batch_size is not None and batch_sizes is not None:
        raise UsageError(rule="`--batch-size` and `--batch-sizes` exclude each other", value="both")
    methods = multiprocessing.get_all_start_methods()
    if start_method is not None and start_method not in methods:
        near = did_you_mean(start_method, methods)
        raise UsageError(
            rule=f"`--start-method` is one of {', '.join(methods)}", value=f"`{start_method}`", remedy=near
        )
    return Wish(
        _numbers("--batch-sizes", batch_sizes, 1) if batch_sizes else (batch_size or BATCH_SIZE,),
        _numbers("--workers", workers, 0) if workers else worker_counts(_cores()),
        _numbers("--prefetch", prefetch, 1),
        pin=torch.accelerator.is_available(),
        start_method=start_method,
    )


def _numbers(option: str, text: str, least: int) -> tuple[int, ...]:
    """Read whole numbers separated by commas, each once, in order."""
    try:
        numbers = {int(part) for part in text.split(",")}
    except ValueError:
        numbers = {least - 1}
    if min(numbers) < least:
        raise UsageError(rule=f"`{option}` takes whole numbers from {least}, separated by commas", value=f"`{text}`")
    return tuple(sorted(numbers))


def _cores() -> int:
    from harness.work.environment import usable_cores

    return max(1, round(usable_cores()))


def _run(tuning: "Tuning", target: str) -> bool:
    """Tune with a progress bar until the end or an interrupt; whether it was interrupted."""
    from harness.loading.fault import LoadingError, within

    try:
        with progress() as bar, within(tuning.seconds + GRACE_S):
            task = bar.add_task("looking at the data set", total=round(tuning.seconds))
            for standing in tuning.run():
                best = f"{standing.best}: {standing.rate.point:,.0f} samples/s"
                bar.update(task, completed=round(tuning.spent_s), description=f"best so far: {best}")
            bar.update(task, description="where the time of a batch goes")
            tuning.close_budget()
    except KeyboardInterrupt:
        return True
    except LoadingError as error:
        if isinstance(error.__cause__, UsageError):  # the step, which runs within too
            raise error.__cause__ from None
        fault = _diagnosed(tuning, error)
        raise UsageError(
            rule="a data set delivers its samples", value=fault.sentence, place=f"`{target}`", remedy=fault.remedy
        ) from error
    return False


def _diagnosed(tuning: "Tuning", error: "LoadingError") -> "LoadingFault":
    """What a loader did, with the sample at which it did it where a second look finds that.

    Where the second look finds nothing, what was raised is no fault of the data set's.
    """
    from harness.loading.fault import FaultKind
    from harness.loading.reader import uncollated
    from harness.loading.watched import diagnose

    if not tuning.shuffles:
        return error.fault  # a stream has no index
    looked_at = tuning.looked_at
    again = diagnose(tuning.dataset, looked_at.load, workers=looked_at.workers, limit_s=GRACE_S)
    if again is not None and again.index is None and again.kind is FaultKind.RAISED:
        again = uncollated(tuning.dataset, looked_at.load(tuning.dataset, shuffle=False), again)
    if again is not None and (again.kind is not FaultKind.HUNG or error.fault.kind is FaultKind.HUNG):
        return again
    if error.fault.kind is FaultKind.RAISED:
        raise error
    return error.fault


tune.__doc__ = f"{tune.__doc__}\n{EXAMPLES}"
