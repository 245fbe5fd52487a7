"""Profiles: how the deviation grows with the magnitude of the inputs, and how it is distributed in ulp."""

import zlib

import numpy as np
from numpy.typing import NDArray

from harness.floats.measurement import Measurement
from harness.laws.ray import Ray
from harness.laws.standard_rays import rays_of
from harness.record import Profile
from harness.surveyor.genome import Genome, rounded
from harness.surveyor.search import ROWS
from harness.verdict.job import Job

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
    deviations, bounds = _against_magnitude(job, rng)
    counts = _distribution(job, rng)
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


def _against_magnitude(job: Job, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the deviation with the largest share of its bound per interval over the growing rays, and that bound."""
    intervals = (_HIGHEST - _LOWEST) * PER_DOUBLING
    ratios, deviations, bounds = np.full(intervals, -1.0), np.zeros(intervals), np.full(intervals, np.nan)
    for ray in rays_of(job.contract):
        if ray.whole or ray.laws or ray.start(job.format) != 0.0:
            continue
        for at, measurement in _along(job, ray, intervals, rng):
            place = measurement.worst
            if float(measurement.ratio[place]) > ratios[at]:
                ratios[at] = measurement.ratio[place]
                deviations[at], bounds[at] = measurement.deviation[place], measurement.bound[place]
    return deviations, bounds


def _along(job: Job, ray: Ray, intervals: int, rng: np.random.Generator) -> list[tuple[int, Measurement]]:
    """Measure one ray, and split the results by interval."""
    each = _EACH_OF_GROUPED if job.contract.grouped else _EACH
    exponents = _LOWEST + (np.arange(intervals)[:, None] + rng.random((intervals, each))) / PER_DOUBLING
    inside = 2.0 ** exponents.max(1) <= ray.end(job.format)
    values = np.exp2(exponents[inside])
    if not len(values):
        return []
    example = ray.example(rounded(values.reshape(-1), job.format), job.format)
    if not set(job.law.reads) <= set(example):
        return []
    whole = job.subject.measure(job.law, example)
    parts = [
        np.reshape(part, (len(values), -1)) for part in (whole.deviation, whole.bound, whole.actual, whole.expected)
    ]
    return [(int(at), Measurement(*(part[i] for part in parts))) for i, at in enumerate(np.flatnonzero(inside))]


def _distribution(job: Job, rng: np.random.Generator) -> NDArray[np.int64]:
    """Count the output's elements in each class of the histogram."""
    genome = Genome(job)
    rows = genome.seeds(ROWS if not job.contract.grouped else ROWS // 8, rng, near_thresholds=False)
    deviation = job.subject.measure(job.law, genome.decode(rows)).deviation.reshape(-1)
    return np.bincount(np.searchsorted(EDGES, deviation, side="left"), minlength=len(EDGES))
