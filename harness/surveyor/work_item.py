"""Parts of a survey: independent tasks, each seeded by its subject.

The witness of a search is made minimal and measured by ball arithmetic. A profile shows how the deviation grows with
the magnitude of the inputs, and its distribution in ulp.
"""

import zlib
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.calling.adapter import NotApplicable
from harness.calling.modes import seed_all
from harness.floats import Array, Measurement, confirming
from harness.laws import CaseError, Example, Ray, list_rays
from harness.record import Accumulator, Breaking, Profile, Worst
from harness.surveyor.accumulator import accumulator, record
from harness.surveyor.breaking import breaking
from harness.surveyor.discovery import Discovery, Skip
from harness.surveyor.encoding import ExampleEncoding, round_to_format
from harness.surveyor.search import ROWS, Budget, Objective, SearchResult, search
from harness.surveyor.trace import is_drawn, is_reported, trace
from harness.verdict.job import Job
from harness.verdict.probe import Probe
from harness.verdict.replay import is_one_group
from harness.verdict.shrink import minimise
from harness.verdict.trial import reduce_to_rows
from harness.verdict.violation import make_witness

SEARCH = Ray("search", "rows that a search draws", lambda *_: {}, lambda _: 0.0)
"""Placeholder for a ray in records of a search without a result."""


@dataclass(frozen=True)
class WorkItem:
    """One task of a survey.

    Parameters
    ----------
    job
        The law to follow, for a case in a dtype.
    budget
        Budget of a search; its seed is the seed of every draw.
    what
        Kind of task: the breaking point along a ray, a search for the worst, or the order of sums.
    ray
        The ray.
    """

    job: Job
    budget: Budget
    what: Literal["ray", "search", "sums"]
    ray: Ray = SEARCH

    @property
    def title(self) -> str:
        """Description of the task."""
        return f"{self.job.case.name} [{self.job.format.name}]"

    @property
    def is_drawn(self) -> bool:
        """Whether a trace along the ray may be part of a picture."""
        return self.what == "ray" and is_drawn(self.job, self.ray)

    def findings(self) -> list[Discovery]:
        """Do the task; return a skip if the law does not apply to the implementation."""
        if (reason := self.job.exemption) is not None:
            return [self._skip(reason)]
        with torch.random.fork_rng(devices=[]):
            seed_all(self.budget.seed)
            try:
                return self._find_all()
            except NotApplicable as reason:
                return [self._skip(str(reason))]

    def find_after_probe(self, probe: Probe) -> list[Discovery]:
        """Do the task for the case with its probed properties."""
        job, properties = probe.examine(self.job)
        return [*properties, *replace(self, job=job).findings()]

    def _skip(self, reason: str) -> Skip:
        identity = self.job.identity
        return Skip(case=identity["case"], law=identity["law"], dtype=identity["dtype"], reason=reason)

    def _find_all(self) -> list[Discovery]:
        if self.what == "ray":
            point = breaking(self.job, self.ray)
            return [point, trace(self.job, self.ray, point)] if is_reported(self.job, self.ray, point) else [point]
        if self.what == "search":
            return self._search()
        summed = accumulator(self.job)
        return [] if summed is None else [summed]

    def _search(self) -> list[Discovery]:
        job = self.job
        subject = f"{self.budget.seed} {job.case.name} {job.law.name} {job.format.name}"
        # In ulp of a tiny gradient a deviation says nothing: its bound is absolute.
        objectives: tuple[Objective, ...] = ("deviation", "ratio") if job.law.group == "value" else ("ratio",)
        budget = replace(self.budget, objectives=objectives, seed=zlib.crc32(subject.encode()))
        try:
            result = search(job, budget)
            findings: list[Discovery] = [witness(job, result, best.objective) for best in result.best]
            if job.law.group == "value":
                findings.append(profile(job, self.budget.seed))
        except CaseError as error:
            return [self.failure_record(str(error))]
        return findings

    def failure_record(self, reason: str) -> Breaking | Accumulator:
        """Return the record of an implementation without a result."""
        if self.what == "sums":
            return record(self.job, None, None, (reason,))
        return Breaking(
            **self.job.identity,
            unit=self.job.law.unit,
            ray=self.ray.name,
            formula=self.ray.formula,
            value=None,
            value_hex=None,
            end=self.ray.end(self.job.format),
            certainty="scanned",
            probes=0,
            reason=reason,
        )


_SLACK = 1e-9
"""Relative loss of deviation allowed for a simpler witness."""


def witness(job: Job, result: SearchResult, objective: Objective) -> Worst:
    """Record the best row of a search for one objective."""
    example = result.example(objective)
    target = _get_size(job.subject.measure(job.law, example), objective)

    def is_as_bad(candidate: Example) -> bool:
        inside = bool(np.all(_find_inside(job, candidate)))
        return inside and _get_size(job.subject.measure(job.law, candidate), objective) >= target * (1 - _SLACK)

    def find_rows_as_bad(together: Example) -> NDArray[np.bool_] | None:
        sizes = reduce_to_rows(_get_values(job.subject.measure(job.law, together), objective))
        return None if sizes is None else _find_inside(job, together) & (sizes >= target * (1 - _SLACK))

    example = minimise(example, job.axes, job.format, is_as_bad, broken_rows=find_rows_as_bad)
    with confirming():
        measurement = job.subject.measure(job.law, example)
    values = _get_values(measurement, objective)
    position = tuple(int(i) for i in np.unravel_index(int(values.argmax()), values.shape))
    read = [example[name] for name in job.law.reads]
    return Worst(
        **job.identity,
        objective=objective,
        rows=result.rows,
        **make_witness(job, example, measurement, position, ""),
        unit=job.law.unit,
        place=position[1:] if is_one_group(example, job.contract) else position,
        magnitude=max(float(x.double().abs().max()) for x in read if isinstance(x, Tensor) and x.numel()),
        declared=job.when_broken[1],
    )


def _get_values(measurement: Measurement, objective: Objective) -> Array:
    return measurement.ratio if objective == "ratio" else measurement.deviation


def _get_size(measurement: Measurement, objective: Objective) -> float:
    return float(_get_values(measurement, objective).max(initial=0.0))


def _find_inside(job: Job, example: Example) -> NDArray[np.bool_]:
    """Return which rows have only numbers within the domain of the contract."""
    inside = np.array([True])
    leading = next((axes.names[:1] for axes in job.axes.values()), ())
    for name, axes in job.axes.items():
        if axes.largest is not None:
            magnitudes = example[name].double().abs().numpy()
            rows = len(magnitudes) if leading and axes.names[:1] == leading else 1
            inside = inside & (np.fmax.reduce(magnitudes.reshape(rows, -1), axis=-1) <= axes.largest(job.format))
    return inside


PER_DOUBLING = 4
"""Intervals of magnitude in each power of two."""

_LOWEST, _HIGHEST = -4, 14
"""Exponents of the smallest and largest magnitude, within the range of the ray."""

_EACH, _EACH_OF_GROUPED = 32, 4
"""Parameters in an interval, for each ray."""

EDGES = (0.5, *(2.0**i for i in range(21)), float("inf"))
"""Upper ends of the histogram's classes, in ulp."""


def profile(job: Job, seed: int) -> Profile:
    """Measure a law over the magnitudes of every ray, and on rows drawn from all of them."""
    rng = np.random.default_rng([seed, zlib.crc32(f"{job.contract.name} {job.format.name}".encode())])
    deviations, bounds = _measure_by_magnitude(job, rng)
    counts = _count_classes(job, rng)
    ends = 2.0 ** (_LOWEST + (1 + np.arange(len(deviations))) / PER_DOUBLING)
    measured = np.isfinite(bounds)
    return Profile(
        **job.identity,
        unit=job.law.unit,
        magnitudes=tuple(ends[measured].tolist()),
        deviations=tuple(deviations[measured].tolist()),
        bounds=tuple(bounds[measured].tolist()),
        edges=EDGES,
        counts=tuple(int(count) for count in counts),
    )


def _measure_by_magnitude(job: Job, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the deviation with the largest share of its bound per interval over the growing rays, and that bound."""
    intervals = (_HIGHEST - _LOWEST) * PER_DOUBLING
    ratios, deviations, bounds = np.full(intervals, -1.0), np.zeros(intervals), np.full(intervals, np.nan)
    for ray in list_rays(job.contract):
        if ray.whole or ray.laws or ray.start(job.format) != 0.0:
            continue
        for interval, measurement in _measure_ray(job, ray, intervals, rng):
            index = measurement.worst
            if float(measurement.ratio[index]) > ratios[interval]:
                ratios[interval] = measurement.ratio[index]
                deviations[interval], bounds[interval] = measurement.deviation[index], measurement.bound[index]
    return deviations, bounds


def _measure_ray(job: Job, ray: Ray, intervals: int, rng: np.random.Generator) -> list[tuple[int, Measurement]]:
    """Measure one ray, and split the results by interval."""
    number = _EACH_OF_GROUPED if job.contract.grouped else _EACH
    exponents = _LOWEST + (np.arange(intervals)[:, None] + rng.random((intervals, number))) / PER_DOUBLING
    inside = 2.0 ** exponents.max(1) <= ray.end(job.format)
    values = np.exp2(exponents[inside])
    if not len(values):
        return []
    example = ray.example(round_to_format(values.reshape(-1), job.format), job.format)
    if not set(job.law.reads) <= set(example):
        return []
    whole = job.subject.measure(job.law, example)
    parts = [
        np.reshape(part, (len(values), -1)) for part in (whole.deviation, whole.bound, whole.actual, whole.expected)
    ]
    return [(int(place), Measurement(*(part[i] for part in parts))) for i, place in enumerate(np.flatnonzero(inside))]


def _count_classes(job: Job, rng: np.random.Generator) -> NDArray[np.int64]:
    """Count the output's elements in each class of the histogram."""
    encoding = ExampleEncoding(job)
    rows = encoding.seeds(ROWS if not job.contract.grouped else ROWS // 8, rng, near_thresholds=False)
    deviation = job.subject.measure(job.law, encoding.decode(rows)).deviation.reshape(-1)
    return np.bincount(np.searchsorted(EDGES, deviation, side="left"), minlength=len(EDGES))
