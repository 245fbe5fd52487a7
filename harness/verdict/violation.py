"""A violation: an example that breaks a law, measured by ball arithmetic, with its cause and related laws.

To find the operation that is the cause, the law is measured again while all operations of the implementation are
recorded. Then it is measured on replays with more and more of the original operations, until it breaks.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from harness.calling.adapter import NotApplicable
from harness.calling.device import CPU
from harness.compat.torch import tree_leaves, tree_map
from harness.exact.loss import first_loss, hidden_branch
from harness.exact.replay import Balls, Doubles, Replay
from harness.exact.slope import chosen_slope
from harness.exact.tape import Tape, View, is_floating
from harness.floats import FORMATS, Measurement, confirming, remembering
from harness.laws import CaseError, Contract, Example, Law, Subject
from harness.laws.subject import OF_ANY_CALL
from harness.record import Event, EventKind, Violation
from harness.verdict.consequence import OF_ANSWERS, OF_TWO_RUNS, find_explaining_law
from harness.verdict.draw import Deadline, find_failing_example
from harness.verdict.job import Job
from harness.verdict.replay import encode_example, is_one_group, replay_command, restore_example
from harness.verdict.trial import Trials
from harness.wording.remedy import Scope, cause_of

MAX_ELEMENTS = 150_000
"""Elements of an example beyond which it is not traced."""

CONFIRMED = 1024
"""Elements up to which the law is measured with ball arithmetic, as where it is called broken."""

MAX_BALLS = 4096
"""Maximum total number of elements of the results for which ball arithmetic is fast enough."""


_AS_WRONG = 0.5
"""If exact arithmetic leaves at least this share of a deviation, rounding is not its cause."""


class Cause(NamedTuple):
    """The reason why a law breaks on an example, if the operations can be traced."""

    event: Event | None = None
    """The first operation that loses the truth; ``None`` where none does, or none can be named."""
    is_exact: bool = False
    """Whether it is none: the answer is as wrong where nothing is rounded. It is not asked in float64."""

    @property
    def is_known(self) -> bool:
        """Whether anything is known about the cause."""
        return self.event is not None or self.is_exact


def find_event(job: Job, example: Example) -> Event | None:
    """Name the first wrong operation on an example that breaks a law, as :func:`trace_cause` finds it."""
    return trace_cause(job, example).event


def trace_cause(job: Job, example: Example) -> Cause:
    """Find out why an example breaks a law.

    Parameters
    ----------
    job
        The law, for a case in a dtype.
    example
        The example.

    Returns
    -------
    The cause. It is unknown on an accelerator, outside torch, in a long call, and if the violation is intermittent.
    """
    size = sum(value.numel() for value in example.values() if isinstance(value, Tensor))
    if job.device != CPU or job.law.intermittent or size > MAX_ELEMENTS:
        return Cause()
    try:
        with confirming() if size <= CONFIRMED else nullcontext(), remembering():
            return _trace_cause(job, example)
    except Exception:  # noqa: BLE001 - an implementation may do anything while it is watched; then there is no cause
        return Cause()


def _trace_cause(job: Job, example: Example) -> Cause:
    recording = _Recording(job)
    measurement = recording.measure(job.law, example)
    if not measurement.broken:
        return Cause()
    index, shape = measurement.worst, measurement.ratio.shape

    def excess(replay: Replay) -> float:
        second = _Replaying(job, recording.answers, replay).measure(job.law, example)
        return float(second.ratio[index]) if second.ratio.shape == shape else math.inf

    def stays_wrong(replay: Replay) -> bool:
        second = _Replaying(job, recording.answers, replay).measure(job.law, example)
        if second.ratio.shape != shape or not np.isfinite(second.actual[index]):
            # An arithmetic that has no number there says nothing.
            return False
        return bool(second.ratio[index] > 1.0 and second.deviation[index] > _AS_WRONG * measurement.deviation[index])

    tape = recording.tape()
    cause = _find_first_loss(tape, job, excess, stays_wrong)
    if np.isnan(measurement.actual[index]) and _may_be_hidden(cause.event):
        cause = Cause(hidden_branch(tape) or cause.event, is_exact=cause.is_exact)
    if cause.event is None and job.law.name.startswith("gradient") and bool(np.isfinite(measurement.actual[index])):
        event = chosen_slope(tape, Doubles(), excess)
        return Cause(event, is_exact=cause.is_exact and event is None)
    # Infinite intermediate values do not explain a finite wrong result.
    invalid = cause.event is not None and cause.event.kind is EventKind.INVALID
    return Cause() if invalid and bool(np.isfinite(measurement.actual[index])) else cause


def _may_be_hidden(event: Event | None) -> bool:
    """Whether a hidden branch may explain a NaN better: not if its line leaves the range, or its remedy is the same."""
    if event is None or event.kind in {EventKind.CANCELLATION, EventKind.ABSORPTION}:
        return True
    return event.kind is EventKind.INVALID and event.backward and event.operation not in {"sqrt", "pow"}


def _find_first_loss(
    tape: Tape, job: Job, excess: Callable[[Replay], float], stays_wrong: Callable[[Replay], bool]
) -> Cause:
    """Find the first wrong operation in float64 if it is wider and its range suffices, else with balls."""
    if job.format.name != "float64" and excess(Replay(tape, Doubles(), 0)) <= 1.0:
        return Cause(first_loss(tape, Doubles(), excess))
    is_small = sum(value.numel() for step in tape.steps for value in step.values) <= MAX_BALLS
    if is_small:
        event = first_loss(tape, Balls(), excess)
        # Balls are stored as two float64 numbers, whose range may be exceeded. Values without an operation were
        # computed where nothing is followed, such as in NumPy.
        followed = all(view.storage not in tape.started for view in tape.answers)
        exact = event is None and job.format.name != "float64" and followed and stays_wrong(Replay(tape, Balls(), 0))
        return Cause(event, is_exact=exact)
    # It is unknown whether an error that remains in float64 has another cause than its range.
    return Cause(None if job.format.name == "float64" else first_loss(tape, Doubles(), excess))


class _Recording(Subject):
    """A subject whose calls are recorded."""

    def __init__(self, job: Job) -> None:
        super().__init__(job.case, job.contract, job.format)
        self.answers: list[Any] = []
        self._recording = self.host.recorder()
        self._views: list[View] = []

    def attempt(self, what: str, action: Callable[[], Any]) -> Any:
        """Call the implementation, and record its operations."""

        def record_action() -> Any:
            with self._recording.body():
                return action()

        result = super().attempt(what, record_action)
        views = self._recording.views([leaf for leaf in tree_leaves(result) if is_floating(leaf)])
        self._views += [view for parts in views for view in parts]
        iterator = iter(views)
        answer = tree_map(lambda x: _Answer(next(iterator), x.requires_grad) if is_floating(x) else x, result)
        self.answers.append(answer)
        return result

    def tape(self) -> Tape:
        """The recorded operations."""
        tape = self._recording.tape()
        tape.answers += self._views
        return tape


class _Replaying(Subject):
    """A subject whose calls return the results of a replay."""

    def __init__(self, job: Job, answers: list[Any], replay: Replay) -> None:
        super().__init__(job.case, job.contract, job.format)
        self._answers: Iterator[Any] = iter(answers)
        self._replay = replay

    def attempt(self, what: str, action: Callable[[], Any]) -> Any:  # noqa: ARG002 - nothing is carried out
        """Return the next answer."""
        return tree_map(self._read, next(self._answers), is_leaf=_is_answer)

    def _read(self, leaf: Any) -> Any:
        if not _is_answer(leaf):
            return leaf
        parts = [self._replay.read(view).hi for view in leaf.views]
        return (parts[0] if len(parts) == 1 else torch.stack(parts)).requires_grad_(leaf.differentiable)


@dataclass(frozen=True)
class _Answer:
    """A tensor that an implementation returned."""

    views: tuple[View, ...]
    differentiable: bool


def _is_answer(leaf: Any) -> bool:
    return isinstance(leaf, _Answer)


# Violations


def measure_violation(trials: Trials, example: Example, draws: str, *, counted: bool = False) -> Violation | None:
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
    violation, event = make_violation(trials.job, example, measurement, draws), find_event(trials.job, example)
    if event is None:
        return violation
    return violation.model_copy(update={"event": event, "cause": write_remedy(trials.job, event)})


_SIGMOIDS = {"sigmoid", "logsigmoid", "softplus", "binary_cross_entropy_with_logits"}
"""Contracts whose exponential has an argument of either sign and no row to compare with."""


def write_remedy(job: Job, event: Event) -> str:
    """Return an event and its remedy, which depends on the reduction of the contract."""
    return cause_of(event, _get_scope(job.contract))


def _get_scope(contract: Contract) -> Scope:
    if contract.name in _SIGMOIDS:
        return "sigmoid"
    first = next(iter(contract.axes.values()), None)
    has_rows = first is not None and len(first.names) - contract.grouped > 1
    return "rows" if has_rows else ""


def make_violation(job: Job, example: Example, measurement: Measurement, draws: str) -> Violation:
    """Return the violation on a measured example."""
    index, one_group = measurement.worst, is_one_group(example, job.contract)
    counts_faults = job.law.name in OF_ANY_CALL
    return Violation(
        **make_witness(job, example, measurement, index, draws),
        place=index[1:] if one_group else index,
        over=measurement.over,
        of=measurement.ratio.size,
        magnitude=measure_magnitude({name: example[name] for name in job.law.reads}),
        cause=job.law.cause if counts_faults else _write_cause(job, measurement),
        # A number of faults says less than which fault it is.
        seen=measurement.circumstance if counts_faults else "",
    )


def make_witness(job: Job, example: Example, measurement: Measurement, index: Any, draws: str) -> dict[str, Any]:
    """Return the fields of a record about one element of the output for an example."""
    read = {name: example[name] for name in job.law.reads}
    return {
        "actual": float(measurement.actual[index]),
        "expected": float(measurement.expected[index]),
        "deviation": float(measurement.deviation[index]),
        "bound": measurement.get_bound(index),
        "example": encode_example(read, job.contract),
        "replay": replay_command(job.case, job.contract, job.law.name, job.format, read, draws, device=job.device),
    }


def add_explanation(job: Job, violation: Violation, failing: Example, *, seed: int, deadline: Deadline) -> Violation:
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
    batches = [failing, *restore_example(violation.example, job.contract)]
    # A known event says more than the law from which the violation follows.
    may_follow = not violation.event and (job.law.group in OF_ANSWERS or job.law.name in OF_TWO_RUNS)
    follows = find_explaining_law(job, batches, seed=seed, deadline=deadline) if may_follow else ""
    return violation.model_copy(update={"mended_wider": mended, "follows": follows})


def get_likely_cause(law: Law, actual: float) -> str:
    """Return the likely cause of a violation, given the offending output."""
    return law.non_finite if law.non_finite and not math.isfinite(actual) else law.cause


def _write_cause(job: Job, measurement: Measurement) -> str:
    """Return the likely cause, and the circumstance of the call if a law has several."""
    cause = get_likely_cause(job.law, float(measurement.actual[measurement.worst]))
    return f"{measurement.circumstance}: {cause}" if measurement.circumstance else cause


def measure_magnitude(example: Mapping[str, Any]) -> float:
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

    def widen(inputs: Sequence[Any]) -> list[Any]:
        return [x.float() if isinstance(x, Tensor) and x.dtype is narrow else x for x in inputs]

    def round_output(output: Any) -> Any:
        return output.to(narrow) if isinstance(output, Tensor) and output.dtype is torch.float32 else output

    trials = Trials(job, job.subject.wrap_calls(widen, round_output))
    try:
        return find_failing_example(trials, (example,), examples=EXAMPLES, seed=seed, deadline=deadline) is None
    except (CaseError, NotApplicable):
        # Without a result in float32 it is no remedy.
        return False
