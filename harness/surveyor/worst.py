"""The worst case of a search: minimal, measured by ball arithmetic, and recorded with its replay."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from harness.floats.double_double import Array
from harness.floats.measurement import Measurement
from harness.floats.oracle import confirming
from harness.laws.law import Example
from harness.record import Worst
from harness.surveyor.search import Objective, SearchResult
from harness.verdict.job import Job
from harness.verdict.replay import is_one_group, replay_command, to_text
from harness.verdict.rows import of_rows
from harness.verdict.shrink import minimise

_SLACK = 1e-9
"""Relative loss of deviation allowed for a simpler witness."""


def witness(job: Job, result: SearchResult, objective: Objective) -> Worst:
    """Record the best row of a search for one objective."""
    example = result.example(objective)
    target = _size(job.subject.measure(job.law, example), objective)

    def as_bad(candidate: Example) -> bool:
        inside = bool(np.all(_inside(job, candidate)))
        return inside and _size(job.subject.measure(job.law, candidate), objective) >= target * (1 - _SLACK)

    def as_bad_rows(together: Example) -> NDArray[np.bool_] | None:
        sizes = of_rows(_values(job.subject.measure(job.law, together), objective))
        return None if sizes is None else _inside(job, together) & (sizes >= target * (1 - _SLACK))

    example = minimise(example, job.axes, job.format, as_bad, broken_rows=as_bad_rows)
    with confirming():
        measurement = job.subject.measure(job.law, example)
    values = _values(measurement, objective)
    at = tuple(int(i) for i in np.unravel_index(int(values.argmax()), values.shape))
    read = {name: example[name] for name in job.law.reads}
    return Worst(
        **job.identity,
        objective=objective,
        rows=result.rows,
        deviation=float(measurement.deviation[at]),
        bound=measurement.admitted(at),
        unit=job.law.unit,
        place=at[1:] if is_one_group(example, job.contract) else at,
        actual=float(measurement.actual[at]),
        expected=float(measurement.expected[at]),
        magnitude=max(float(x.double().abs().max()) for x in read.values() if isinstance(x, Tensor) and x.numel()),
        example=to_text(read, job.contract),
        replay=replay_command(job.case, job.contract, job.law.name, job.format, read, ""),
        declared=job.when_broken[1],
    )


def _values(measurement: Measurement, objective: Objective) -> Array:
    return measurement.ratio if objective == "ratio" else measurement.deviation


def _size(measurement: Measurement, objective: Objective) -> float:
    return float(_values(measurement, objective).max(initial=0.0))


def _inside(job: Job, example: Example) -> NDArray[np.bool_]:
    """Return which rows have only numbers within the domain of the contract."""
    inside = np.array([True])
    leading = next((axes.names[:1] for axes in job.axes.values()), ())
    for name, axes in job.axes.items():
        if axes.largest is not None:
            magnitudes = example[name].double().abs().numpy()
            rows = len(magnitudes) if leading and axes.names[:1] == leading else 1
            inside = inside & (np.fmax.reduce(magnitudes.reshape(rows, -1), axis=-1) <= axes.largest(job.format))
    return inside
