"""Traces: the recorded computation of an implementation along a ray, for an interactive picture.

Every call is made in the dtype of the implementation, and has the exact values for the same inputs. The calls extend to
1.5 times the breaking point, and are at neighboring floats around it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from harness.calling.device import CPU
from harness.exact.operators import MOVES
from harness.exact.tape import Step
from harness.floats import Array, Measurement, confirming
from harness.laws import CaseError, Example, Ray, Subject, list_rays
from harness.record import Breaking, RayTrace, RecordedCall, Stage
from harness.record.survey import BOOK
from harness.surveyor.breaking import RaySearch, first_value
from harness.verdict.job import Job
from harness.verdict.replay import format_hexadecimal

SPREAD = 32
"""Number of points from the start of the ray to the end of the plot, closer together at first."""

NEAR = 3
"""Neighboring floats before a breaking point, and from it on."""

COLUMNS = 8
"""Number of recorded entries per row."""

READABLE_RAYS = ("spike", "uniform offset", "two-point gap", "reversed gap", "positive", "negative")
"""Rays that change only a few entries, so that a plot is readable."""

_BEYOND, _CLOSER = 1.5, 1.5
_QUIET = MOVES | {"clone", "copy", "to", "fill", "zero"}


def is_reported(job: Job, ray: Ray, point: Breaking) -> bool:
    """Whether to show a ray: the first ray that changes few entries, and every such ray that breaks."""
    first = next((candidate.name for candidate in list_rays(job.contract) if candidate.name in READABLE_RAYS), None)
    return is_drawn(job, ray) and point.reason is None and (ray.name == first or point.value is not None)


def is_drawn(job: Job, ray: Ray) -> bool:
    """Whether a ray changes few entries, and the job's law is the law of the value."""
    return ray.name in READABLE_RAYS and job.law == first_value(job) and job.device == CPU


def trace(job: Job, ray: Ray, point: Breaking) -> RayTrace:
    """Call an implementation along a ray, around the breaking point of a law of the value."""
    search = RaySearch(job, ray)
    return RayTrace(
        **job.identity,
        ray=ray.name,
        formula=ray.formula,
        breaks_at=point.value,
        form=point.form,
        expected_break=point.expected_break,
        stations=tuple(_call(search, index) for index in _list_places(search, point.value)),
    )


def _list_places(search: RaySearch, breaks_at: float | None) -> list[int]:
    """Return the places of the calls, in order."""
    reach = min(_BEYOND * (breaks_at or search.job.format.log_max), search.ray.end(search.job.format))
    places = set(search.places([reach * (step / SPREAD) ** _CLOSER for step in range(SPREAD + 1)]))
    places |= {search.place(BOOK)} if reach >= BOOK else set()
    if breaks_at is not None:
        first = search.place(breaks_at)
        places |= set(range(first - NEAR, first + NEAR))
    return sorted(index for index in places if 0 <= index < search.length)


def _call(search: RaySearch, index: int) -> RecordedCall:
    job, t = search.job, search.value(index)
    example = search.example(np.array([index], dtype=np.int64))
    measurement, steps = _record_operations(job, example)
    position = measurement.worst
    inputs = next(value for value in example.values() if isinstance(value, Tensor))
    actual = _list_entries(measurement.actual)
    return RecordedCall(
        t=t,
        t_hex=format_hexadecimal(t),
        given=_list_entries(inputs.double().numpy()),
        stages=_list_stages(steps, actual),
        actual=actual,
        expected=_list_entries(measurement.expected),
        deviation=float(measurement.deviation[position]),
        bound=float(measurement.bound[position]),
    )


def _list_entries(values: Array) -> tuple[float, ...]:
    return tuple(np.asarray(values, dtype=np.float64).reshape(-1)[:COLUMNS].tolist())


def _record_operations(job: Job, example: Example) -> tuple[Measurement, Sequence[Step]]:
    """Measure a call by ball arithmetic, and record its operations; none if the call is too long."""
    watched = _Watched(job)
    with confirming():
        try:
            return watched.measure(job.law, example), watched.steps
        except CaseError:
            return job.subject.measure(job.law, example), ()


def _list_stages(steps: Sequence[Step], actual: tuple[float, ...]) -> tuple[Stage, ...]:
    """Return the results of the operations of a call except the last one."""
    stages = [
        Stage(operation=step.operation, values=_list_entries(step.values[0].numpy()))
        for step in steps
        if step.name not in _QUIET and 0 < step.values[0].numel() <= COLUMNS
    ]
    return tuple(stages[:-1] if stages and np.array_equal(stages[-1].values, actual, equal_nan=True) else stages)


class _Watched(Subject):
    """A subject whose first call is recorded."""

    def __init__(self, job: Job) -> None:
        super().__init__(job.case, job.contract, job.format)
        self._recording = self.host.recorder()
        self._record_operations = False

    def attempt(self, what: str, action: Callable[[], Any]) -> Any:
        """Call the implementation, and record the first call."""
        if self._record_operations:
            return super().attempt(what, action)
        self._record_operations = True

        def call_recorded() -> Any:
            with self._recording.body():
                return action()

        return super().attempt(what, call_recorded)

    @property
    def steps(self) -> list[Step]:
        """The recorded operations."""
        return self._recording.tape().steps
