"""Further examples of a violation: the worst of the same cause, and examples of other causes.

A minimal example barely fails, and alone looks like a false alarm. The worst example must have the same cause: the NaN
of an overflow does not illustrate a mean that underflows. An example of another cause becomes a separate violation, so
that both are reported if one law breaks in two ways.
"""

import contextlib
import math
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from harness.calling.adapter import NotApplicable
from harness.findings import get_mark
from harness.floats import Format, confirming
from harness.laws import CaseError, Example
from harness.record import EventKind, Status, Violation, WorstExample
from harness.verdict.consequence import BASES
from harness.verdict.draw import Deadline, find_failing_rows
from harness.verdict.job import Job
from harness.verdict.replay import MAX_ELEMENTS, restore_example
from harness.verdict.shrink import minimise, minimise_broken
from harness.verdict.trial import Trials
from harness.verdict.violation import (
    Cause,
    add_explanation,
    make_witness,
    measure_magnitude,
    measure_violation,
    trace_cause,
    write_remedy,
)

CLEARLY = 2.0
"""Factor on the excess over the bound from which the worst example is shown."""

TRACED = 2
"""Most rows that are traced in the search for a known cause."""

_SLACK = 1e-9
"""Tolerance of the screen for a simpler example that is equally bad."""

_GRADUAL = {EventKind.CANCELLATION, EventKind.ABSORPTION, EventKind.ACCUMULATION, EventKind.UNDERFLOW}
"""Kinds of events that are barely visible in a slight failure, but clear in a large failure."""


@dataclass(frozen=True)
class Search:
    """The search for other examples that break a law.

    Parameters
    ----------
    trials
        The law, on a subject.
    examples, seed, deadline
        Number, seed and deadline of the further examples.
    draws
        Options that draw an example again if it is too large to be spelled out.
    """

    trials: Trials
    examples: int
    seed: int
    deadline: Deadline
    draws: str

    def add_other_causes(self, violation: Violation, failing: Example) -> Violation:
        """Return the violation with the worst example of its cause, if it is clearly worse, and with other causes.

        Parameters
        ----------
        violation
            The violation on the smallest example.
        failing
            The row that was found first.
        """
        if self.trials.job.law.intermittent:
            return violation
        # The law is broken, whatever else the implementation does where it is called again.
        with contextlib.suppress(CaseError, NotApplicable):
            return self._add_other_causes(violation, failing)
        return violation

    def _add_other_causes(self, violation: Violation, failing: Example) -> Violation:
        finite, base = not math.isinf(violation.deviation), self.trials.job.law.name in BASES
        # An infinite deviation is the worst already; only base laws can reveal further causes.
        examples = self.examples if finite or base else 0
        rows = find_failing_rows(
            self.trials, failing, examples=examples, seed=self.seed, deadline=self.deadline, unlike=base
        )
        selected = self._select_rows(rows, violation, failing)
        least, main_cause = CLEARLY * compute_severity(violation), self._find_cause(violation) if selected else Cause()
        worst, sought = None, not finite
        rest: dict[Hashable, Violation] = {}
        for row, excess in selected:
            if self.deadline.is_up:
                break
            if sought and not base and row is not failing:
                continue
            seeks = not sought and excess >= least
            for example in [self._shrink_worst(row), row] if seeks else [row]:
                cause = trace_cause(self.trials.job, example)
                is_finite = not math.isinf(excess) or math.isfinite(self._get_result(example))
                if _is_of(cause, main_cause, is_finite=is_finite):
                    if seeks:
                        worst, sought = self._record_worst(example, cause, least), True
                        main_cause = main_cause if main_cause.is_known or worst is None else cause
                    break
                if (finite and math.isinf(excess)) or _make_mark(cause) != _make_mark(main_cause):
                    self._note(rest, example, cause, main_cause)
        return _merge_worst(self.trials.job, violation, worst, list(rest.values()))

    def _select_rows(
        self, rows: list[tuple[Example, float]], violation: Violation, failing: Example
    ) -> list[tuple[Example, float]]:
        """Return the rows to trace: the worst, then the first failing one, then some different ones.

        The first failing row has the same cause as the smallest example, unless its results are of another kind.
        """
        became = _classify(self._get_result(failing)) == _classify(violation.actual)
        met = [] if became else [row for row in rows if row[0] is failing]
        law = self.trials.job.law
        if law.name not in BASES:
            return [*([] if math.isinf(violation.deviation) else rows[:1]), *met, *rows[1:TRACED]]
        infinite = [row for row in rows if math.isinf(row[1])]
        finite = rows[len(infinite) :]
        # Infinite deviations mostly have the same cause.
        first = [] if math.isinf(violation.deviation) else infinite[:1]
        # Large inputs overflow, whatever causes the other infinite deviations.
        largest = sorted(
            infinite[len(first) :], key=lambda row: -measure_magnitude({name: row[0][name] for name in law.reads})
        )
        return [*first, *finite[:1], *met, *largest[:1], *finite[1:][len(finite) // 2 :][:1]]

    def _find_cause(self, violation: Violation) -> Cause:
        if violation.event is not None:
            return Cause(violation.event)
        examples = restore_example(violation.example, self.trials.job.contract)
        return next((trace_cause(self.trials.job, example) for example in examples), Cause())

    def _shrink_worst(self, worst: Example) -> Example:
        """Make an example smaller and simpler while its severity remains."""
        as_found = self.trials.measure(worst).most_severe * (1.0 - _SLACK)
        # No threshold is needed here: the smallest example shows it.
        options = {"exact": False, "whole": False}
        return minimise_broken(self.trials, worst, self.deadline, lambda severity: severity >= as_found, **options)

    def _record_worst(self, example: Example, cause: Cause, least: float) -> "_Worst | None":
        """Measure by ball arithmetic; ``None`` if the deviation is too small or the example too large."""
        if self._is_large(example):
            return None
        with confirming():
            measurement = self.trials.measure(example)
        if not measurement.broken:
            return None
        index = np.unravel_index(int(measurement.severity.argmax()), measurement.severity.shape)
        recorded = WorstExample(**make_witness(self.trials.job, example, measurement, index, ""))
        return _Worst(recorded, cause) if compute_severity(recorded) >= least else None

    def _note(self, rest: dict[Hashable, Violation], example: Example, cause: Cause, known: Cause) -> None:
        """Add the violation of another cause on its smallest example, unless it is known or the example is large.

        While the example shrinks, its cause may change again, and is noted as well.
        """
        for candidate in (self._find_smallest(example), example) if _make_mark(cause) not in rest else ():
            violation = None if self._is_large(candidate) else measure_violation(self.trials, candidate, self.draws)
            if violation is None:
                continue
            if candidate is not example:
                violation = find_clearer_violation(self.trials, example, violation, self.draws, self.deadline)
            own_cause = self._find_cause(violation)
            if own_cause.is_known and not _is_of(own_cause, known) and _make_mark(own_cause) not in rest:
                rest[_make_mark(own_cause)] = add_explanation(
                    self.trials.job, violation, candidate, seed=self.seed, deadline=self.deadline
                )
            if own_cause.is_known and _is_of(own_cause, cause):
                break

    def _get_result(self, example: Example) -> float:
        """Return the result that deviates most."""
        measurement = self.trials.measure(example)
        return float(measurement.actual[measurement.worst])

    def _find_smallest(self, example: Example) -> Example:
        """Make an example minimal; an infinite deviation stays infinite, a finite one finite."""
        infinite = math.isinf(self.trials.measure(example).most_severe)
        return minimise_broken(self.trials, example, self.deadline, lambda severity: np.isinf(severity) == infinite)

    def _is_large(self, example: Example) -> bool:
        read = (example[name] for name in self.trials.job.law.reads)
        return any(isinstance(value, Tensor) and value.numel() > MAX_ELEMENTS for value in read)


@dataclass(frozen=True)
class _Worst:
    """The worst example, and its cause."""

    example: WorstExample
    cause: Cause


def _is_of(cause: Cause, other: Cause, *, is_finite: bool = True) -> bool:
    """Return whether an example has the same cause as another.

    If its operations cannot be traced, the causes count as equal, unless the other one is wrong in exact arithmetic,
    or only loses digits and this example has no finite result.
    """
    if not cause.is_known:
        return not other.is_exact and (is_finite or not _is_gradual(other))
    if other.is_known:
        return (cause.event and cause.event.step) == (other.event and other.event.step)
    return cause.is_exact or _is_gradual(cause)


def _is_gradual(cause: Cause) -> bool:
    return cause.event is not None and cause.event.kind in _GRADUAL


def _classify(result: float) -> str:
    return "finite" if math.isfinite(result) else str(abs(result))


def _make_mark(cause: Cause) -> Hashable:
    return None if cause.event is None else get_mark(cause.event)


def _merge_worst(job: Job, violation: Violation, worst: _Worst | None, rest: list[Violation]) -> Violation:
    fields: dict[str, object] = {"beside": tuple(rest)} if rest else {}
    if worst is not None:
        fields["worst"] = worst.example
        # A small violation may be accumulated rounding without a name; a large one has a name.
        if violation.event is None and worst.cause.event is not None:
            fields |= {"event": worst.cause.event, "cause": write_remedy(job, worst.cause.event)}
    return violation.model_copy(update=fields)


NEAR = 16.0
"""Multiples of the bound within which an example shows too little."""

CLEAR = 1024.0
"""Multiples of the bound from which an example is clear."""


def find_clearer_violation(
    trials: Trials, failing: Example, minimal: Violation, draws: str, deadline: Deadline
) -> Violation:
    """Return the violation of a simple example that fails clearly, if the minimal example of a defect barely fails.

    The minimal example of a gradual defect is off by hardly more than its bound, and looks like a false alarm.
    """
    job, severest = trials.job, trials.measure(failing).most_severe
    if _is_residue(minimal.actual, minimal.expected, job.format):
        return _ignore_residue(trials, failing, minimal, draws, deadline)
    barely = compute_severity(minimal)
    if job.when_broken[0] is not Status.BROKEN or barely > NEAR or not NEAR * barely <= severest < math.inf:
        return minimal
    least = min(CLEAR, severest)
    simple = minimise_broken(
        trials, failing, deadline, lambda severity: (severity >= least) & (severity < np.inf), bisected=False
    )
    clear = measure_violation(trials, simple, draws)
    if clear is None or (minimal.event is not None and minimal.event.step != (clear.event and clear.event.step)):
        return minimal
    return clear


def _is_residue(actual: float, expected: float, format_: Format) -> bool:
    """Whether a number is a rounding error where the exact one is zero, which is infinitely many ulp."""
    return expected == 0.0 and abs(actual) <= _RESIDUE * format_.u


_RESIDUE = 64.0
"""Unit roundoffs, as multiples of one."""


def _ignore_residue(trials: Trials, failing: Example, minimal: Violation, draws: str, deadline: Deadline) -> Violation:
    """Return the violation of the smallest example that is wrong by more than a residue; otherwise the minimal one."""
    job = trials.job

    def is_wrong(smaller: Example) -> bool:
        if deadline.is_up:
            return False
        measurement = trials.measure(smaller)
        actual, expected = float(measurement.actual[measurement.worst]), float(measurement.expected[measurement.worst])
        return measurement.broken and not _is_residue(actual, expected, job.format)

    if not is_wrong(failing):
        return minimal
    simple = minimise(failing, job.axes, job.format, is_wrong, whole=job.law.of_whole_numbers, bisected=False)
    return measure_violation(trials, simple, draws) or minimal


def compute_severity(found: Violation | WorstExample) -> float:
    """Return the deviation as a multiple of its bound, or of half a unit if the bound is smaller."""
    return found.deviation / max(found.bound, 0.5)
