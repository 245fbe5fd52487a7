"""The first operation whose rounding makes the result wrong, and the kind of loss.

An operation is at fault if the result is right while it and all later operations are exact, and wrong after it is
rounded too. The kind of loss follows from its result and the exact result on the same inputs. The result is beyond the
format, below it, or NaN; or it is an ordinary rounding, which a later difference amplifies.

Infinities and NaN are followed to the first operation that produces them from finite numbers. In a backward pass, a
``where`` may multiply zero by an infinite slope of the branch that it hides.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from harness.compat.torch import tree_leaves
from harness.exact.replay import Arithmetic, Replay, Wide
from harness.exact.tape import Step, Tape, View
from harness.record import Event, EventKind

ORDINARY = 4.0
"""Largest relative error, in units of the format's roundoff, that counts as an ordinary rounding."""

AMPLIFIED = 4.0
"""Smallest growth of the relative error in a difference that counts as a cancellation."""

REPEATED = 2
"""One addition this many times, each to the result of the one before, is a running sum."""

LONG = 8
"""Smallest number of terms per result for which the error of a sum counts as accumulation."""

_CANDIDATES = 4
_MINOR = 0.5
_SCANNED = 64
SUMS = frozenset({"sum", "mean", "cumsum", "mm", "mv", "dot", "var", "std", "norm"})
"""Operations that add up."""

_OF_WHOLE_ROWS = SUMS | {"softmax", "log_softmax", "logsumexp", "layer_norm", "prod"}
_LOGARITHMS = frozenset({"log", "log2", "log10"})
_DIFFERENCES = frozenset({"add", "sub", "lerp", "addcmul", "addcdiv"}) | _LOGARITHMS | SUMS
_OF_ONE_PLUS = frozenset({"log_softmax", "logaddexp", "logsigmoid", "logsumexp"})
_ADDITIONS = frozenset({"add", "sub"})
_EXPONENTIALS = frozenset({"exp", "exp2"})
_ADDING = SUMS | {"add"}
_DIVIDING = frozenset({"div", "reciprocal"})
"""Operations whose backward pass squares the divisor; a quotient, a power or a product of probabilities may be small.
"""


class Loss(NamedTuple):
    """An element of the result of an operation, with its exact value."""

    output: int
    at: int
    actual: float
    exact: float
    difference: float

    @property
    def error(self) -> float:
        """Error relative to the exact value."""
        error = abs(self.difference) / abs(self.exact) if self.exact else math.inf
        return math.inf if math.isnan(error) else error


def first_loss(tape: Tape, arithmetic: Arithmetic, excess: Callable[[Replay], float]) -> Event | None:
    """Name the first operation on a tape whose rounding makes the result wrong.

    Returns
    -------
    The event; ``None`` if the result is wrong even without rounding, right with all roundings, or if the kind of loss
    is unknown.
    """
    unrounded, rounded = (excess(Replay(tape, arithmetic, steps)) for steps in (0, len(tape.steps)))
    if unrounded > 1.0:
        return born(Replay(tape, arithmetic, 0, copies=True))
    # A result that is as wrong in exact arithmetic has another cause than rounding.
    if not rounded > 1.0 or unrounded > _MINOR * rounded:
        return None
    right, last = 0, len(tape.steps)
    while last - right > 1:
        middle = (right + last) // 2
        wrong = excess(Replay(tape, arithmetic, middle)) > 1.0
        right, last = (right, middle) if wrong else (middle, last)
    return _Fault(tape, arithmetic, _find_largest_growth(tape, arithmetic, right, excess), excess).event()


def _find_largest_growth(tape: Tape, arithmetic: Arithmetic, at: int, excess: Callable[[Replay], float]) -> int:
    """Return the operation that adds most to the error, which may be an earlier one than the given one."""
    before, after = (excess(Replay(tape, arithmetic, rounded)) for rounded in (at, at + 1))
    if before < _MINOR * after or at > _SCANNED:
        return at
    reached = [0.0, *(excess(Replay(tape, arithmetic, rounded)) for rounded in range(1, at)), before, after]
    return max(range(at + 1), key=lambda step: reached[step + 1] - reached[step])


class _Fault:
    """The operation at fault, with a replay where it is exact and a replay where it is rounded."""

    def __init__(self, tape: Tape, arithmetic: Arithmetic, at: int, excess: Callable[[Replay], float]) -> None:
        self.tape = tape
        self.at = at
        self.step: Step = tape.steps[at]
        self.arithmetic = arithmetic
        self.before = Replay(tape, arithmetic, at, copies=True)
        self.after = Replay(tape, arithmetic, at + 1, copies=True)
        self.excess = excess

    def event(self) -> Event | None:
        """Return the event of the operation; ``None`` if it is unknown."""
        loss = self._find_worst()
        if loss is None:
            return None
        out_of_range = self._find_out_of_range(loss)
        return (
            self._attribute_to_exponentials(out_of_range)
            if out_of_range
            else self._explain_sum(loss) or self._explain_rounding(loss)
        )

    def _find_worst(self) -> Loss | None:
        """Return the element with the largest effect among those with the largest errors."""
        losses = sorted(self._list_losses(), key=lambda loss: loss.error, reverse=True)[:_CANDIDATES]
        return max(losses, key=self._measure_alone) if len(losses) > 1 else next(iter(losses), None)

    def _measure_alone(self, loss: Loss) -> float:
        """Return the error of the result if only this element is rounded."""
        return self.excess(Replay(self.tape, self.arithmetic, self.at, (loss.output, loss.at)))

    def _list_losses(self) -> Iterator[Loss]:
        """Yield the largest errors for every output."""
        for output, (values, exact) in enumerate(zip(self.step.values, self.before.results[self.at], strict=True)):
            actual, hi = values.reshape(-1), exact.hi.reshape(-1)
            difference = (actual - hi) - exact.lo.reshape(-1)
            same = (actual == hi) & ((difference == 0) | ~hi.isfinite()) | (actual.isnan() & hi.isnan())
            error = (difference / hi).abs().nan_to_num(nan=math.inf).masked_fill(same, -1.0)
            for index in error.topk(min(_CANDIDATES, error.numel())).indices.tolist():
                if error[index] >= 0:
                    yield Loss(output, index, float(actual[index]), float(hi[index]), float(difference[index]))

    def _unit(self, loss: Loss) -> float:
        return torch.finfo(self.step.results[loss.output].dtype).eps / 2

    def _make_event(self, kind: EventKind, loss: Loss | None = None, step: Step | None = None) -> Event:
        return event_of(step or self.step, kind, None if loss is None else loss.at)

    def _find_out_of_range(self, loss: Loss) -> Event | None:
        """Return the event of an overflow, a NaN or an underflow; ``None`` otherwise."""
        if math.isnan(loss.actual):
            return self._make_event(EventKind.INVALID, loss)
        if not math.isfinite(loss.actual):
            return self._find_earlier_underflow() or self._explain_overflow(loss)
        smallest = torch.finfo(self.step.results[loss.output].dtype).smallest_normal
        # A value that is exactly zero did not underflow.
        small = 0.0 < abs(loss.exact) <= smallest >= abs(loss.actual)
        # A single rounding of a normal number is within its unit: below them it is a subnormal one.
        if small and loss.error > self._unit(loss):
            # 0 * inf is no number whether or not the zero is one: what made the infinity is not at fault.
            invalid = born(self.after)
            product = invalid is not None and invalid.operation == "mul" and not invalid.backward
            return invalid if product else self._make_event(EventKind.UNDERFLOW, loss)
        return None

    def _attribute_to_exponentials(self, event: Event) -> Event:
        """Attribute an overflow after large exponentials to the line that computes them."""
        adds = event.kind is EventKind.OVERFLOW and self.step.operation in _ADDING
        if not adds and not (event.backward and self.step.operation in _DIVIDING):
            return event
        wanted = _get_storages(self.step.inputs)
        for earlier in reversed(self.tape.steps[: self.at]):
            if not wanted & _get_storages(earlier.results):
                continue
            if earlier.name in _EXPONENTIALS:
                (view, *_), (values, *_) = earlier.results, earlier.values
                large = bool((values >= math.sqrt(torch.finfo(view.dtype).max)).any())
                return event.model_copy(update={"place": earlier.place}) if large else event
            if earlier.operation in _ADDING | _DIVIDING:
                wanted |= _get_storages(earlier.inputs)
        return event

    def _explain_overflow(self, loss: Loss) -> Event:
        """Return the event of an overflow; for a sum with large terms, its input is the largest term."""
        event = self._make_event(EventKind.OVERFLOW, loss)
        if self.step.name not in SUMS or len(self.step.given) != 1 or self.step.node is not None:
            return event
        term = float(self.step.given[0].abs().max())
        # More of it is a term's size than the count of terms.
        large = term >= math.sqrt(torch.finfo(self.step.results[loss.output].dtype).max)
        return event.model_copy(update={"input": term}) if large and math.isfinite(term) else event

    def _find_earlier_underflow(self) -> Event | None:
        """Return the value that underflowed in the forward pass if the backward pass divides by it."""
        event, index = None, self.at
        while self.step.node is not None and (written := self._find_subnormal_write(index)) is not None:
            index, element = written
            event = event_of(self.tape.steps[index], EventKind.UNDERFLOW, element)
        return event

    def _find_subnormal_write(self, at: int) -> tuple[int, int] | None:
        """Return the forward operation that wrote a subnormal input of this one, and the element."""
        wanted = _get_storages(self.tape.steps[at].inputs)
        for earlier in range(at - 1, -1, -1):
            step = self.tape.steps[earlier]
            for view, values in zip(step.results, step.values, strict=True):
                small = (values != 0) & (values.abs() < torch.finfo(view.dtype).smallest_normal)
                if step.node is None and view.storage in wanted and bool(small.any()):
                    return earlier, int(small.reshape(-1).nonzero()[0])
        return None

    def _explain_sum(self, loss: Loss) -> Event | None:
        """Return the event of a sum with a large error: cancellation or accumulation."""
        if self.step.name not in SUMS or loss.error <= ORDINARY * self._unit(loss):
            return None
        terms = sum(float(values.abs().sum()) for values in self.step.given[:1])
        cancels = terms > AMPLIFIED * abs(loss.exact) and abs(loss.difference) <= ORDINARY * self._unit(loss) * terms
        if cancels:
            return self._make_event(EventKind.CANCELLATION)
        long = self.step.given[0].numel() >= LONG * self.step.values[loss.output].numel()
        return self._make_event(EventKind.ACCUMULATION) if long else None

    def _explain_rounding(self, loss: Loss) -> Event | None:
        """Return the event of an ordinary rounding, in a sum that absorbs a term or in a later difference."""
        if loss.error > ORDINARY * self._unit(loss):
            return self._make_event(EventKind.ABSORPTION) if self.step.name in _OF_ONE_PLUS else None
        if self._is_running_sum(self.at):
            return self._make_event(EventKind.ACCUMULATION)
        amplifies = next((index for index in range(self.at + 1, len(self.tape.steps)) if self._amplifies(index)), None)
        if amplifies is not None:
            return self._explain_difference(amplifies)
        running = next((index for index in range(len(self.tape.steps)) if self._is_running_sum(index)), None)
        return None if running is None else self._make_event(EventKind.ACCUMULATION, step=self.tape.steps[running])

    def _is_running_sum(self, at: int) -> bool:
        """Whether an operation repeatedly adds to the result of the same line."""
        step = self.tape.steps[at]
        # A backward pass adds gradients up as often as something was used, which is no sum of many.
        if step.name not in _ADDITIONS or any(step.node for step in self.tape.steps[: at + 1]):
            return False
        same = [twin for twin in self.tape.steps if (twin.name, twin.line) == (step.name, step.line)]
        written = set[int]().union(*(_get_storages(twin.results) for twin in same))
        continued = sum(bool(written & _get_storages(twin.inputs)) for twin in same)
        return len(same) >= REPEATED and continued >= REPEATED - 1

    def _explain_difference(self, at: int) -> Event:
        """Return the event of a difference; a logarithm of a sum shows that the sum lost a term."""
        step = self.tape.steps[at]
        if step.name in _LOGARITHMS:
            read = _get_storages(step.inputs)
            written = [earlier for earlier in self.tape.steps[:at] if read & _get_storages(earlier.results)]
            # A rounded number near one is not a term that a sum lost.
            if written and written[-1] is self.step and self.step.name in _ADDITIONS | {"sum"}:
                return event_of(self.step, EventKind.ABSORPTION)
        return event_of(step, EventKind.CANCELLATION, 0 if step.given[0].numel() == 1 else None)

    def _amplifies(self, at: int) -> bool:
        """Whether a difference amplifies earlier rounding errors."""
        step = self.tape.steps[at]
        if step.name not in _DIFFERENCES or not step.results:
            return False
        out = _get_distance(self.after.results[at], self.before.results[at])
        input_distance = _get_distance(self.after.given[at], self.before.given[at])
        return out > AMPLIFIED * input_distance > 0


def _get_storages(views: Iterable[View]) -> set[int]:
    return {view.storage for view in views}


def _get_distance(actual: tuple[Wide, ...], exact: tuple[Wide, ...]) -> float:
    """Return the largest relative difference of finite numbers; infinite if exactly one value is finite."""
    largest = 0.0
    for a, e in zip(actual, exact, strict=True):
        relative = (a.minus(e).abs() / e.hi.abs()).nan_to_num(nan=0.0, posinf=math.inf)
        relative[(a.hi.isfinite() != e.hi.isfinite())] = math.inf
        largest = max(largest, float(relative.max()) if relative.numel() else 0.0)
    return largest


_HAVE_POLES = frozenset({"log", "log2", "log10", "log1p", "div", "reciprocal", "rsqrt", "pow", "xlogy", "atanh"})


class _FirstNonfinite(NamedTuple):
    """An operation whose result contains an infinity or NaN, although its inputs do not."""

    step: Step
    element: int
    nan: bool
    pole: bool


def born(replay: Replay) -> Event | None:
    """Follow non-finite results of a replay back to their origin; ``None`` if all are finite.

    Infinities of the inputs or of a mask do not originate in the call. The infinity of a pole, such as the logarithm at
    zero, is right. The operation that turns it into NaN is at fault, and in a backward pass the pole itself.
    """
    first_nan, first_infinity = None, None
    for first_nonfinite in _find_all_nonfinite(replay):
        if first_nonfinite.nan:
            first_nan, first_infinity = first_nonfinite, None
        else:
            first_infinity = first_nonfinite
    at_pole = first_infinity is not None and first_infinity.pole and first_infinity.step.node is None
    origin = first_nan if first_infinity is None or (at_pole and first_nan is not None) else first_infinity
    if origin is None:
        return None
    kind = EventKind.INVALID if origin.nan or origin.pole else EventKind.OVERFLOW
    return event_of(origin.step, kind, origin.element)


_FILLING = {"full", "full_like", "new_full", "fill_"}


def _find_all_nonfinite(replay: Replay) -> list[_FirstNonfinite]:
    """Search backward from the results."""
    wanted = {view.storage for view in replay.tape.answers if _has_nonfinite(replay.read(view).hi)}
    nonfinite = []
    for index in range(len(replay.tape.steps) - 1, -1, -1):
        step = replay.tape.steps[index]
        inputs = tuple(wide.hi for wide in replay.given[index])
        results = tuple(wide.hi for wide in replay.results[index])
        bad = [value for view, value in zip(step.results, results, strict=True) if view.storage in wanted]
        # Filling a tensor with a constant is no fault, as with the NaN that the harness puts between strided inputs.
        if not any(map(_has_nonfinite, bad)) or step.schema.name in _FILLING:
            continue
        wanted |= {view.storage for view, value in zip(step.inputs, inputs, strict=True) if _has_nonfinite(value)}
        first_nonfinite = _find_first_nonfinite(step, inputs, next(filter(_has_nonfinite, bad)))
        if first_nonfinite is not None:
            nonfinite.append(first_nonfinite)
    return nonfinite


def _find_first_nonfinite(step: Step, given: tuple[Tensor, ...], result: Tensor) -> _FirstNonfinite | None:
    nan = bool(result.isnan().any())
    if not nan and any(isinstance(leaf, float) and math.isinf(leaf) for leaf in tree_leaves(step.arguments)):
        return None  # a mask
    if any(value.isnan().any() for value in given) or (not nan and any(map(_has_nonfinite, given))):
        return None
    element = int((result.isnan() if nan else result.isinf()).reshape(-1).nonzero()[0])
    pole = not nan and step.name in _HAVE_POLES and any(bool((value == 0).any()) for value in given)
    return _FirstNonfinite(step, element, nan, pole=pole)


def _has_nonfinite(value: Tensor) -> bool:
    return not bool(torch.isfinite(value).all())


_SELECTING = frozenset({"where", "masked_fill"})
"""Operations whose backward pass gives a zero gradient to the numbers that they do not select."""


def hidden_branch(tape: Tape) -> Event | None:
    """Return the event of a selection whose zero gradient becomes NaN; ``None`` if there is none."""
    # The quotient 0 / 0 of the forward pass may be formed again before the zero gradient arrives.
    for index, step in enumerate(tape.steps):
        of_zero = step.node is not None and any(_is_nan_of_zero(step, result) for result in step.values)
        if of_zero and (selection := _find_selection(tape, index)) is not None:
            return selection
    return None


def _is_nan_of_zero(step: Step, result: Tensor) -> bool:
    """Whether an operation returns NaN for a zero although no input is NaN."""
    if any(bool(value.isnan().any()) for value in step.given):
        return False
    return any(value.shape == result.shape and bool((result.isnan() & (value == 0)).any()) for value in step.given)


def _find_selection(tape: Tape, at: int) -> Event | None:
    """Follow the zero back to the backward pass of a selection."""
    wanted = _get_storages(tape.steps[at].inputs)
    for step in reversed(tape.steps[:at]):
        if step.node is None or not wanted & _get_storages(step.results):
            continue
        if step.operation in _SELECTING:
            return event_of(step, EventKind.INVALID)
        wanted |= _get_storages(step.inputs)
    return None


def event_of(step: Step, kind: EventKind, at: int | None = None) -> Event:
    """Return the record of an event in an operation."""
    return Event(
        kind=kind,
        operation=step.operation,
        dtype=str(step.results[0].dtype).removeprefix("torch."),
        backward=step.node is not None,
        place=step.place,
        input=None if at is None else _get_argument(step, at),
    )


def _get_argument(step: Step, at: int) -> float | None:
    """Return the single input of an element; ``None`` if it has several inputs, or a row."""
    if step.name in _OF_WHOLE_ROWS or len(step.given) != 1:
        return None
    (value,) = step.given
    return float(value.reshape(-1)[at]) if at < value.numel() else None
