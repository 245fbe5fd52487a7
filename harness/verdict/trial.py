"""Trials: measure a law on examples, confirm violations by ball arithmetic, and count."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from harness.calling.adapter import NotApplicable
from harness.floats.measurement import Measurement
from harness.floats.oracle import confirming
from harness.laws.case_error import CaseError
from harness.laws.law import Example
from harness.laws.subject import Subject
from harness.record import Fault
from harness.verdict.job import Job
from harness.verdict.replay import to_json
from harness.verdict.rows import of_rows, worst_row

ATTEMPTS = 16
"""Most repetitions of a law that broke, for failures that do not show each time."""

TRIES = 4
"""Repetitions in which a failure must show before the example is minimized."""

ADMITS_ALL = 40.0
"""Binary logarithm at which bounds are clipped: a bound this large admits everything."""

_TIERS_AGREE = 2.0**-10
"""Largest difference between the two tiers, relatively or in the unit of the law, that is not worth a word."""

_SHORT = 240
"""Characters up to which an example is part of a message."""


@dataclass
class Census:
    """Counts of examples and rows, and the worst deviation."""

    examples: int = 0
    rows: int = 0
    worst_ratio: float = -1.0
    deviation: float | None = None
    bound: float | None = None
    largest: float | None = None
    magnitudes: list[float] = field(default_factory=list)
    """Mean binary logarithm of the bounds, by example; bounds of zero and infinity are omitted."""
    digests: list[bytes] = field(default_factory=list)
    """Digests of the tried examples, in order."""
    cut_short: bool = False
    """Whether the time ran out before every example was drawn."""
    witness: tuple[Example, Measurement] | None = None
    """Example and measurement of the first failure of an intermittent law."""

    def count(self, measurement: Measurement) -> None:
        """Count one example and its rows."""
        self.examples += 1
        if measurement.ratio.size:
            self.rows += len(measurement.ratio) if measurement.ratio.ndim else 1

    def note(self, measurement: Measurement) -> None:
        """Keep the worst ratio of a deviation to its bound, and the largest deviation."""
        if measurement.ratio.size == 0:
            return
        self.largest = max(self.largest or 0.0, float(measurement.deviation.max()))
        admitting = measurement.bound[(measurement.bound > 0.0) & np.isfinite(measurement.bound)]
        if admitting.size:
            self.magnitudes.append(float(np.minimum(np.log2(admitting), ADMITS_ALL).mean()))
        ratio = float(measurement.ratio[measurement.worst])
        if ratio > self.worst_ratio:
            self.worst_ratio = ratio
            self.deviation = float(measurement.deviation[measurement.worst])
            self.bound = measurement.admitted(measurement.worst)

    @property
    def typical_bound(self) -> float | None:
        """Geometric mean of the bounds up to ``2**40``, each example counted once; zero without positive bounds."""
        if self.bound is None:
            return None
        if not self.magnitudes:
            return 0.0
        return math.exp2(math.fsum(self.magnitudes) / len(self.magnitudes))

    @property
    def inputs(self) -> str | None:
        """Digest of the tried examples; ``None`` if there were none."""
        return hashlib.blake2b(b"".join(self.digests), digest_size=3).hexdigest() if self.digests else None


@dataclass(frozen=True)
class Trials:
    """A law to try on one example after the other.

    Parameters
    ----------
    job
        The law, for a case in a dtype.
    subject
        The subject of the law.
    census
        Counts of the trials.
    """

    job: Job
    subject: Subject
    census: Census = field(default_factory=Census)

    def failing(self, example: Example) -> Example | None:
        """Measure an example; return its worst row if it breaks the law and ball arithmetic agrees."""
        measurement = self.measure(example)
        self.census.count(measurement)
        if measurement.broken and self.job.law.intermittent:
            self.census.note(measurement)
            self.census.witness = example, measurement
            return example
        if measurement.broken:
            row = self._worst_row(example, measurement)
            with confirming():
                confirmed = self.subject.measure(self.job.law, row)
            if confirmed.broken:
                self.census.note(measurement)
                return row
            self._agree(row, confirmed)
            measurement = confirmed
        self.census.note(measurement)
        return None

    def failing_rows(self, example: Example, *, unlike: bool) -> list[tuple[Example, float]]:
        """Return failing rows of an example, each with its severity on the screening oracle.

        Parameters
        ----------
        example
            The example.
        unlike
            Whether to include, besides the worst row, the worst and the median row with a finite deviation, which may
            have
            other causes.
        """
        measurement = self.measure(example)
        rows = [self._worst_row(example, measurement)] if measurement.broken else []
        if unlike and (finite := _without(measurement, np.isinf)).broken:
            severity = _of_broken_rows(finite)
            if not math.isfinite(measurement.most_severe):
                rows.append(self._worst_row(example, finite))
            rows.append(self._worst_row(example, _without(finite, lambda rows: rows > np.median(severity))))
        return [(row, self.measure(row).most_severe) for row in rows]

    def _worst_row(self, example: Example, measurement: Measurement) -> Example:
        peculiar = self.job.law.inputs is not None
        return worst_row(example, self.job.axes, measurement, self.breaks, peculiar=peculiar)

    def measure(self, example: Example) -> Measurement:
        """Measure; if the law cannot use an unchecked result, this is an error of the case.

        If the contract describes the result, the subject has checked it already.
        """
        try:
            return self.subject.measure(self.job.law, example)
        except (CaseError, NotApplicable):
            raise
        except (Exception, SystemExit) as error:
            if self.job.contract.output is not None:
                raise
            raise self.subject.misfit(error) from error

    def measure_until_broken(self, example: Example) -> Measurement:
        """Measure an example that should break the law; repeat this if the law is intermittent."""
        measurement = self.measure(example)
        for _ in range(ATTEMPTS - 1 if self.job.law.intermittent else 0):
            if measurement.broken:
                break
            measurement = self.measure(example)
        return measurement

    def breaks(self, example: Example) -> bool:
        """Whether an example breaks the law, on the current tier of the oracle."""
        return self.measure(example).broken

    def broken_rows(self, example: Example) -> NDArray[np.bool_] | None:
        """Return which rows break the law; ``None`` if it does not measure row by row."""
        ratio = of_rows(self.measure(example).ratio)
        return None if ratio is None else ratio > 1.0

    def severity_of_rows(self, example: Example) -> NDArray[np.float64] | None:
        """Return the severities of the rows; ``None`` if the law does not measure row by row."""
        return of_rows(self.measure(example).severity)

    def shows_each_time(self, example: Example) -> bool:
        """Whether the examples that break the law do so in every measurement."""
        return not self.job.law.intermittent or all(self.breaks(example) for _ in range(TRIES))

    def _agree(self, row: Example, confirmed: Measurement) -> None:
        """Raise an error for a violation that only the screen found, unless rounding of the screen explains it.

        Raises
        ------
        CaseError
            If a second call gives another result, or the two tiers of the oracle disagree.
        """
        job = self.job
        first, second = self.measure(row), self.measure(row)
        with confirming():
            again = self.measure(row)
        pairs = ((first, second), (confirmed, again))
        same = all(np.array_equal(one.actual, other.actual, equal_nan=True) for one, other in pairs)
        if not (same and first.broken):
            raise CaseError(
                f"{job.case.name} gives a different result when it is called again on the same inputs",
                Fault.UNREPEATABLE,
            )
        at = first.worst
        screened, exact = float(first.deviation[at]), float(confirmed.deviation[at])
        if not math.isclose(screened, exact, rel_tol=_TIERS_AGREE, abs_tol=_TIERS_AGREE):
            raise CaseError(
                f"internal error of the harness: the two tiers of the oracle disagree on {job.law.name}, "
                f"{screened:.6g} {job.law.unit} and {exact:.6g}{_in_short(to_json(row, job.contract, job.format))}",
                Fault.ORACLE,
            )


def _in_short(example: str) -> str:
    """Return an example as the end of a sentence, or an empty text if it has many rows."""
    return f", on {example}" if len(example) <= _SHORT else ""


def _of_broken_rows(measurement: Measurement) -> NDArray[np.float64]:
    """Return the severities of the broken rows."""
    severity, ratio = of_rows(measurement.severity), of_rows(measurement.ratio)
    return np.array([measurement.most_severe]) if severity is None or ratio is None else severity[ratio > 1.0]


def _without(measurement: Measurement, apart: Callable[[NDArray[np.float64]], NDArray[np.bool_]]) -> Measurement:
    """Return the measurement without the rows that are this far beyond their bounds."""
    severity = of_rows(measurement.severity)
    rows = apart(np.array([measurement.most_severe]) if severity is None else severity)
    left_out = rows.reshape(-1, *(1,) * (measurement.ratio.ndim - 1)) if severity is not None else rows[0]
    return replace(measurement, deviation=np.where(left_out, 0.0, measurement.deviation))
