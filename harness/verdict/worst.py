"""The worst beside the smallest: a minimal example barely fails by construction, and alone looks like a false alarm."""

import contextlib
import math

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from harness.calling.adapter import NotApplicable
from harness.floats.oracle import confirming
from harness.laws.law import Example
from harness.laws.subject import CaseError
from harness.record import Violation, WorstExample
from harness.record.remedy import cause_of
from harness.verdict.cause import event_of
from harness.verdict.draw import Deadline, worst_beside
from harness.verdict.replay import MOST, replay_command, to_text
from harness.verdict.shrink import minimise
from harness.verdict.trial import Trials

CLEARLY = 2.0
"""How many times farther beyond its bound the worst example is than the smallest, where it is worth a line."""

_SLACK = 1e-9
"""By how much the screen may see less in a simpler example that is as bad."""


def with_worst(
    trials: Trials, violation: Violation, failing: Example, *, examples: int, seed: int, deadline: Deadline
) -> Violation:
    """Return the violation with the worst example found, where that is clearly worse than the one it shows.

    Parameters
    ----------
    trials
        The law, on a subject.
    violation
        The law's, on its smallest example.
    failing
        The row that was found first.
    examples, seed, deadline
        How many further examples are drawn, from which seed, and until when.
    """
    if trials.job.law.intermittent or math.isinf(violation.deviation):
        return violation
    # The law is broken, whatever else the implementation does where it is called again.
    with contextlib.suppress(CaseError, NotApplicable):
        return _with_worst(trials, violation, failing, examples=examples, seed=seed, deadline=deadline)
    return violation


def _with_worst(
    trials: Trials, violation: Violation, failing: Example, *, examples: int, seed: int, deadline: Deadline
) -> Violation:
    least = CLEARLY * _severity(violation)
    worst = worst_beside(trials, failing, examples=examples, seed=seed, deadline=deadline)
    if trials.measure(worst).most_severe < least:
        return violation
    worst = _as_bad(trials, worst, deadline)
    recorded = _recorded(trials, worst)
    if recorded is None or _severity(recorded) < least:
        return violation
    # What barely fails may be a sum of roundings that says nothing, where what fails by far has a name.
    event = event_of(trials.job, worst) if violation.event is None else None
    known = {} if event is None else {"event": event, "cause": cause_of(event)}
    return violation.model_copy(update={"worst": recorded, **known})


def _severity(found: Violation | WorstExample) -> float:
    """How far beyond its bound, as :attr:`~harness.floats.measurement.Measurement.severity` has it."""
    return found.deviation / max(found.bound, 0.5)


def _as_bad(trials: Trials, worst: Example, deadline: Deadline) -> Example:
    """Make it smaller and simpler where it stays as bad."""
    as_found = trials.measure(worst).most_severe * (1.0 - _SLACK)

    def is_as_bad(smaller: Example) -> bool:
        return not deadline.is_up and trials.measure(smaller).most_severe >= as_found

    def as_bad_rows(together: Example) -> NDArray[np.bool_] | None:
        severity = None if deadline.is_up else trials.severity_of_rows(together)
        return None if severity is None else severity >= as_found

    # No threshold is looked for: that is what the smallest example shows.
    axes, format_ = trials.job.axes, trials.job.format
    return minimise(worst, axes, format_, is_as_bad, exact=False, broken_rows=as_bad_rows)


def _recorded(trials: Trials, example: Example) -> WorstExample | None:
    """Measure by ball arithmetic; ``None`` where the law holds on it, or it is too large to be spelled out."""
    job = trials.job
    read = {name: example[name] for name in job.law.reads}
    if any(isinstance(value, Tensor) and value.numel() > MOST for value in read.values()):
        return None
    with confirming():
        measurement = trials.measure(example)
    if not measurement.broken:
        return None
    place = np.unravel_index(int(measurement.severity.argmax()), measurement.severity.shape)
    return WorstExample(
        actual=float(measurement.actual[place]),
        expected=float(measurement.expected[place]),
        deviation=float(measurement.deviation[place]),
        bound=measurement.admitted(place),
        example=to_text(read),
        replay=replay_command(job.case, job.contract, job.law.name, job.format, read, "", device=job.device),
    )
