"""A tuning by the name of its data set, for the process that imports the data set and the training step."""

from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter

from harness.calling.discovery import load_data_set
from harness.error import UsageError
from harness.loading.fault import FaultKind, LoadingError, LoadingFault
from harness.loading.faulty_sample import diagnose, explain_collation
from harness.loading.supervision import supervise
from harness.tuner.search_space import SearchSpace
from harness.tuner.step import Synthetic, load_step
from harness.tuner.tuning import Tuning, TuningResult

GRACE_S = 20.0
"""Seconds after the time limit at which loading is reported as hanging."""

_RESULT = TypeAdapter(TuningResult)


def longest_s(seconds: float) -> float:
    """Return the longest time without an event of a tuning: until loading hangs, and a search for the bad sample."""
    return seconds + 3.0 * GRACE_S


def tune_target(
    dataset: str,
    space: SearchSpace,
    cores: int,
    seconds: float,
    step: str | None,
    step_s: float | None,
    seed: int,
    report: Callable[[Any], None],
) -> dict[str, Any]:
    """Tune the loader of a data set, report the result after each slice, and return the last one.

    Parameters
    ----------
    dataset
        The data set: ``file.py:name`` or ``module:name``.
    space, cores, seconds, seed
        As of :class:`~harness.tuner.tuning.Tuning`.
    step
        Training step that loading must keep up with, named like the data set.
    step_s
        Duration of the training step in seconds, instead of ``step``.
    report
        Called with results in JSON.

    Raises
    ------
    UsageError
        If the data set or the step cannot be loaded, or fails.
    """
    samples = load_data_set(dataset, streams=True)
    training = load_step(step) if step is not None else None if step_s is None else Synthetic(step_s)
    tuning = Tuning(samples, space, cores=cores, seconds=seconds, step=training, seed=seed)

    def tell() -> dict[str, Any]:
        document: dict[str, Any] = _RESULT.dump_python(tuning, mode="json")
        report(document)
        return document

    tell()  # the import has ended
    try:
        with supervise(seconds + GRACE_S):
            for _ in tuning.run():
                tell()
            tuning.close_budget()
    except LoadingError as error:
        if isinstance(error.__cause__, UsageError):  # from the training step
            raise error.__cause__ from None
        fault = _diagnose(tuning, error)
        problem = f"cannot load samples from `{dataset}`"
        raise UsageError(problem, rule=fault.sentence, remedy=fault.remedy) from error
    return tell()


def _diagnose(tuning: Tuning, error: LoadingError) -> LoadingFault:
    """Return the fault of a loader, with the index of the bad sample if a second pass finds it.

    An exception that the second pass does not reproduce is not the data set's fault, and is raised again.
    """
    if not tuning.shuffles:
        return tuning.explain_timeout(error.fault, tuning.seconds + GRACE_S)  # a stream has no index
    looked_at = tuning.looked_at
    second = diagnose(tuning.dataset, looked_at.load, workers=looked_at.workers, limit_s=GRACE_S)
    if second is not None and second.index is None and second.kind is FaultKind.RAISED:
        second = explain_collation(tuning.dataset, looked_at.load(tuning.dataset, shuffle=False), second)
    if second is not None and (second.kind is not FaultKind.HUNG or second.index is not None):
        return second
    if error.fault.kind is FaultKind.RAISED:
        raise error
    return tuning.explain_timeout(error.fault, tuning.seconds + GRACE_S)
