"""A violation: an example that breaks a law, measured by ball arithmetic, with its cause and related laws."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from harness.calling.adapter import NotApplicable
from harness.floats import FORMATS
from harness.floats.measurement import Measurement
from harness.floats.oracle import confirming
from harness.laws.case_error import CaseError
from harness.laws.contract import Contract
from harness.laws.law import Example
from harness.record import Event, Violation
from harness.verdict.cause import event_of
from harness.verdict.consequence import followed
from harness.verdict.draw import Deadline, first_failing
from harness.verdict.job import Job
from harness.verdict.replay import is_one_group, replay_command, spelled_out, to_text
from harness.verdict.trial import Trials
from harness.wording.remedy import Scope, cause_of


def measured(trials: Trials, example: Example, draws: str, *, counted: bool = False) -> Violation | None:
    """Measure an example with ball arithmetic, and name the event that breaks the law.

    Parameters
    ----------
    trials
        The law, on a subject.
    example
        The example.
    draws
        Options that draw an example again if it is too large to be spelled out.
    counted
        Whether it is part of the census.

    Returns
    -------
    The violation; ``None`` if the law holds.
    """
    with confirming():
        measurement = trials.measure_until_broken(example)
    if counted:
        trials.census.count(measurement)
        trials.census.note(measurement)
    if not measurement.broken:
        return None
    violation = violation_of(trials.job, example, measurement, draws)
    event = event_of(trials.job, example)
    return (
        violation
        if event is None
        else violation.model_copy(update={"event": event, "cause": repaired(trials.job, event)})
    )


_SIGMOIDS = {"sigmoid", "logsigmoid", "softplus", "binary_cross_entropy_with_logits"}
"""Contracts whose exponential has an argument of either sign and no row to compare with."""


def repaired(job: Job, event: Event) -> str:
    """Return an event and its remedy, which depends on the reduction of the contract."""
    return cause_of(event, _scope(job.contract))


def _scope(contract: Contract) -> Scope:
    if contract.name in _SIGMOIDS:
        return "sigmoid"
    first = next(iter(contract.axes.values()), None)
    has_rows = first is not None and len(first.names) - contract.grouped > 1
    return "rows" if has_rows else ""


def violation_of(job: Job, example: Example, measurement: Measurement, draws: str) -> Violation:
    """Return the violation on a measured example."""
    place, one_group = measurement.worst, is_one_group(example, job.contract)
    read = {name: example[name] for name in job.law.reads}
    return Violation(
        place=place[1:] if one_group else place,
        actual=float(measurement.actual[place]),
        expected=float(measurement.expected[place]),
        deviation=float(measurement.deviation[place]),
        bound=measurement.admitted(place),
        over=measurement.over,
        of=measurement.ratio.size,
        magnitude=magnitude(read),
        example=to_text(read, job.contract),
        replay=replay_command(job.case, job.contract, job.law.name, job.format, read, draws, device=job.device),
        cause=_cause(job, measurement),
    )


def related(job: Job, violation: Violation, failing: Example, *, seed: int, deadline: Deadline) -> Violation:
    """Return the violation with its remedy and the law that explains it, if they can be found.

    Parameters
    ----------
    job
        The law, for a case in a dtype.
    violation
        The violation on the smallest example.
    failing
        The first failing row.
    seed, deadline
        Seed and deadline for further examples.
    """
    mended = is_mended_wider(job, failing, seed=seed, deadline=deadline)
    shown = [failing, *spelled_out(violation.example, job.contract)]
    # A known event says more than the law from which the violation follows.
    follows = "" if violation.event else followed(job, shown, seed=seed, deadline=deadline)
    return violation.model_copy(update={"mended_wider": mended, "follows": follows})


def _cause(job: Job, measurement: Measurement) -> str:
    """Return the likely cause, and the circumstance of the call if a law has several."""
    cause = job.law.likely_cause(float(measurement.actual[measurement.worst]))
    return f"{measurement.circumstance}: {cause}" if measurement.circumstance else cause


def magnitude(example: Mapping[str, Any]) -> float:
    """Largest absolute value among the floating-point inputs; NaN counts as infinite."""
    tensors = [v for v in example.values() if isinstance(v, torch.Tensor) and v.dtype.is_floating_point and v.numel()]
    return max((float(tensor.double().abs().nan_to_num(torch.inf).max()) for tensor in tensors), default=0.0)


EXAMPLES = 16
"""Examples drawn in addition to the failing one: an overflow at 12 disappears in float32, but one at 100 remains."""

_OF_NUMBERS = {"value", "finite", "algebra", "special", "length", "gradient"}
"""Groups of laws about results; a copy in another dtype hides the side effects of a call."""


def is_mended_wider(job: Job, example: Example, *, seed: int, deadline: Deadline) -> bool:
    """Return whether a law that is broken in 16 bits holds if the same code computes in float32 and rounds once.

    In 16 bits, squares overflow, small constants vanish, and rounding errors add up. If the law holds with float32
    inputs, this is one cause.
    """
    if job.format.precision >= FORMATS["float32"].precision or job.law.intermittent or job.law.group not in _OF_NUMBERS:
        return False
    narrow = job.format.dtype

    def widened(inputs: Sequence[Any]) -> list[Any]:
        return [x.float() if isinstance(x, Tensor) and x.dtype is narrow else x for x in inputs]

    def rounded(output: Any) -> Any:
        return output.to(narrow) if isinstance(output, Tensor) and output.dtype is torch.float32 else output

    trials = Trials(job, job.subject.arranged(widened, rounded))
    try:
        return first_failing(trials, (example,), examples=EXAMPLES, seed=seed, deadline=deadline) is None
    except (CaseError, NotApplicable):
        # Without a result in float32 it is no remedy.
        return False
