"""Accumulators: the format and the order in which an implementation sums, inferred from sums that stall.

The terms are a one and many small numbers. In a given width, the sum does not change with any single small term, but
the output shows all of them together. If none of them arrives, the sum is sequential in that width. If a part of them
is missing, there are partial sums, and only the partial sum with the one loses its small terms. If all of them arrive,
the accumulator is wider, or the partial sums are too short to matter.

A contract defines how to obtain the sum from an output: :attr:`harness.laws.contract.Contract.total`.
"""

import math
from dataclasses import dataclass

import numpy as np

from harness.floats.format import FORMATS, Format
from harness.laws.case_error import CaseError
from harness.record import Accumulator
from harness.verdict.job import Job

WIDTHS = tuple(sorted(FORMATS, key=lambda name: FORMATS[name].precision))
"""The widths in question, from the coarsest."""

MIN_TERMS, MAX_TERMS = 2048, 65_536
"""Bounds on the number of small terms: enough for an accuracy of a few thousandths, and still fast."""

_SEEN = 1024.0
"""The small terms together are this many unit roundoffs of the output."""

_ALL, _NOTHING = 0.004, 0.03
"""Lost share below which the sum counts as lossless, and arriving share below which nothing counts as arriving."""

NOTHING_LOST = "nothing lost"
"""The order where no width that the output can show is too narrow."""


@dataclass(frozen=True)
class Probe:
    """The result for small terms that a given width loses next to a one.

    Parameters
    ----------
    width
        The format.
    share
        The observed share of their sum; ``None`` if the output cannot show it.
    """

    width: Format
    share: float | None


def accumulator(job: Job) -> Accumulator | None:
    """Infer how a case sums; ``None`` if its contract has no sum that the output shows."""
    if job.contract.total is None:
        return None
    try:
        probes = [_measure_probe(job, FORMATS[name]) for name in WIDTHS]
    except CaseError as error:
        return record(job, None, None, (str(error),))
    shares = [(probe.width, probe.share) for probe in probes if probe.share is not None]
    evidence = tuple(_explain(width, share, _compute_tolerance(job)) for width, share in shares)
    stalled = next(((width, share) for width, share in shares if share < 1.0 - _compute_tolerance(job)), None)
    if stalled is None:
        finest = shares[-1][0] if shares else None
        return record(job, _find_wider(finest) if finest else None, NOTHING_LOST if shares else None, evidence)
    width, share = stalled
    order = "one term after the other" if share <= _NOTHING else f"in about {round(1.0 / (1.0 - share))} parts"
    return record(job, width.name, order, evidence)


def _compute_tolerance(job: Job) -> float:
    """Return the largest share of a loss that the rounding of the output can explain."""
    return max(_ALL, 4.0 * job.format.u)


def _measure_probe(job: Job, width: Format) -> Probe:
    """Sum one and many small terms, each three quarters of the smallest term that a width adds to one."""
    assert job.contract.total is not None
    small = 0.75 * width.u
    count = _count(job, small)
    if count is None:
        return Probe(width, None)
    terms = np.concatenate([[1.0], np.full(count, small)])
    formed, exact = job.contract.total(job.subject, terms)
    share = (formed - 1.0) / (exact - 1.0)
    return Probe(width, float(np.clip(share, 0.0, 1.0)) if math.isfinite(share) else 0.0)


def _count(job: Job, small: float) -> int | None:
    """Return the number of small terms whose sum the output shows to a few thousandths; ``None`` if it is too large."""
    needed = max(MIN_TERMS, _SEEN * job.format.u / small)
    return None if needed > MAX_TERMS else 2 ** math.ceil(math.log2(needed))


def _find_wider(width: Format) -> str | None:
    """Return the next wider format, which is the narrowest that loses nothing; ``None`` beyond float64."""
    wider = [name for name in WIDTHS if FORMATS[name].precision > width.precision]
    return wider[0] if wider else None


def _explain(width: Format, share: float, tolerance: float) -> str:
    lost = "nothing is lost" if share >= 1.0 - tolerance else f"{100.0 * (1.0 - share):.3g} % is lost"
    return f"adding terms of 3/4 u of {width.name} to 1: {lost}"


def record(job: Job, width: str | None, order: str | None, evidence: tuple[str, ...]) -> Accumulator:
    """Return the record of how a case sums."""
    identity = {name: value for name, value in job.identity.items() if name not in {"law", "group"}}
    return Accumulator(**identity, width=width, order=order, evidence=evidence)
