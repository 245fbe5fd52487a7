"""Find the ``where`` whose backward pass multiplies zero by an infinite slope of the branch that it hides."""

from torch import Tensor

from harness.exact.naming import event_of
from harness.exact.step import Step
from harness.exact.tape import Tape
from harness.record import Event, EventKind

_SELECTING = frozenset({"where", "masked_fill"})
"""Operations whose backward pass gives a zero gradient to the numbers that they do not select."""


def hidden_branch(tape: Tape) -> Event | None:
    """Return the event of a selection whose zero gradient becomes NaN; ``None`` if there is none."""
    # The quotient 0 / 0 of the forward pass may be formed again before the zero gradient arrives.
    for at, step in enumerate(tape.steps):
        of_zero = step.node is not None and any(_is_nan_of_zero(step, result) for result in step.values)
        if of_zero and (selection := _selection_before(tape, at)) is not None:
            return selection
    return None


def _is_nan_of_zero(step: Step, result: Tensor) -> bool:
    """Whether an operation returns NaN for a zero although no input is NaN."""
    if any(bool(given.isnan().any()) for given in step.given):
        return False
    return any(given.shape == result.shape and bool((result.isnan() & (given == 0)).any()) for given in step.given)


def _selection_before(tape: Tape, at: int) -> Event | None:
    """Follow the zero back to the backward pass of a selection."""
    wanted = {view.storage for view in tape.steps[at].inputs}
    for step in reversed(tape.steps[:at]):
        if step.node is None or not wanted & {view.storage for view in step.results}:
            continue
        if step.operation in _SELECTING:
            return event_of(step, EventKind.INVALID)
        wanted |= {view.storage for view in step.inputs}
    return None
