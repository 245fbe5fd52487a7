"""A tuning as a work item of another process, which imports the data set and the training step."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from pydantic import TypeAdapter

from harness.calling.discovery import dataset_named
from harness.error import UsageError
from harness.execution.plan import Document
from harness.loading.fault import FaultKind, LoadingError, LoadingFault
from harness.loading.reader import uncollated
from harness.loading.supervision import within
from harness.loading.watched import diagnose
from harness.tuner.step import Synthetic, load_step
from harness.tuner.tuning import SearchSpace, Tuning, TuningResult

GRACE_S = 20.0
"""Seconds after the time limit at which loading is reported as hanging."""

_RESULT = TypeAdapter(TuningResult)


@dataclass(frozen=True)
class TuningPlan:
    """A tuning of the loader of a data set.

    Parameters
    ----------
    target
        The data set: ``file.py:name`` or ``module:name``.
    space
        Settings to choose from.
    cores
        Number of usable cores.
    seconds
        Time limit.
    step
        Training step that loading must keep up with, named like the data set.
    step_s
        Duration of the training step in seconds, instead of ``step``.
    seed
        Random seed for the order of slices.
    """

    target: str
    space: SearchSpace
    cores: int
    seconds: float
    step: str | None = None
    step_s: float | None = None
    seed: int = 0

    pays_from: ClassVar[int] = 1
    is_foreign: ClassVar[bool] = True

    def longest_s(self, _call_s: float) -> float:
        """Return the maximum duration of a piece: the tuning, and the search for a bad sample."""
        return 2.0 * (self.seconds + GRACE_S) + 60.0

    def load(self) -> "TuningPieces":
        """Load the data set and the step.

        Raises
        ------
        UsageError
            If one of them cannot be loaded.
        """
        data_set = dataset_named(self.target, streams=True)
        given = None if self.step_s is None else Synthetic(self.step_s)
        step = given if self.step is None else load_step(self.step)
        return TuningPieces(self, Tuning(data_set, self.space, self.cores, self.seconds, step, self.seed))


class TuningPieces:
    """The seconds of a tuning; each returns the result until then, so that an interrupt loses at most one."""

    def __init__(self, plan: TuningPlan, tuning: Tuning) -> None:
        self._plan, self._tuning = plan, tuning
        self._limit_s = plan.seconds + GRACE_S
        self._states = self._run()

    def about(self) -> list[Document]:
        """Return a label for each second."""
        return [{"case": self._plan.target} for _ in range(math.ceil(self._plan.seconds) + 1)]

    def do(self, index: int) -> Document:
        """Tune until the end of a second, the last time to the end."""
        is_last = index == math.ceil(self._plan.seconds)
        reached = (not is_last and self._tuning.spent_s > index for _ in self._states)
        is_over = not any(reached)
        return {"is_over": is_over, "result": _RESULT.dump_python(self._tuning, mode="json")}

    def _run(self) -> Iterator[None]:
        """Tune, and yield after each slice.

        Raises
        ------
        UsageError
            If the data set or the step fails.
        """
        try:
            with within(self._limit_s):
                for _ in self._tuning.run():
                    yield
                self._tuning.close_budget()
        except LoadingError as error:
            if isinstance(error.__cause__, UsageError):  # from the training step
                raise error.__cause__ from None
            fault = self._diagnosed(error)
            problem = f"cannot load samples from `{self._plan.target}`"
            raise UsageError(problem, rule=fault.sentence, remedy=fault.remedy) from error

    def _diagnosed(self, error: LoadingError) -> LoadingFault:
        """Return the fault of a loader, with the index of the bad sample if a second pass finds it.

        An exception that the second pass does not reproduce is not the data set's fault, and is raised again.
        """
        tuning, looked_at = self._tuning, self._tuning.looked_at
        if not tuning.shuffles:
            return tuning.in_time(error.fault, self._limit_s)  # a stream has no index
        second = diagnose(tuning.dataset, looked_at.load, workers=looked_at.workers, limit_s=GRACE_S)
        if second is not None and second.index is None and second.kind is FaultKind.RAISED:
            second = uncollated(tuning.dataset, looked_at.load(tuning.dataset, shuffle=False), second)
        if second is not None and (second.kind is not FaultKind.HUNG or second.index is not None):
            return second
        if error.fault.kind is FaultKind.RAISED:
            raise error
        return tuning.in_time(error.fault, self._limit_s)


def result_of(document: Document) -> TuningResult:
    """Return the result in the reply of a piece."""
    return _RESULT.validate_python(document["result"])
