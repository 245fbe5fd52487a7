"""The operation whose derivative makes a gradient wrong, although nothing is rounded.

At a kink, a function has a derivative on each side, and torch chooses one of them, or a number between them; releases
choose differently. Difference quotients of the forward operation give both derivatives. An operation is at fault if the
gradient is right after the recorded derivative is replaced by one of them, or by their mean.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby

import torch
from torch import Tensor

from harness.exact.loss import event_of
from harness.exact.replay import Arithmetic, Doubles, Replay
from harness.exact.tape import Step, Tape
from harness.record import Event, EventKind

_NUDGE = 2.0**-20
"""Distance of the points of a difference quotient, relative to the input."""

_APART = 2.0**-6
"""Relative difference from which on two derivatives differ; curvature and the roundings of 16 bits are smaller."""

_ROUNDING = 2.0**-50
"""Relative rounding error of a result in float64, with a margin for operations of several roundings."""

_MOST = 64
"""Largest number of elements of an operation whose derivatives are computed."""


def chosen_slope(tape: Tape, arithmetic: Arithmetic, excess: Callable[[Replay], float]) -> Event | None:
    """Name the first operation whose other derivative makes the gradient of a tape right; else ``None``."""
    backward = list(_list_backward_passes(tape))
    for forward in tape.steps:
        if forward.node is not None or not forward.given or forward.given[0].numel() > _MOST:
            continue
        for steps in backward:
            first, last = tape.steps[steps[0]], tape.steps[steps[-1]]
            if (first.operation, first.line) != (forward.operation, forward.line):
                continue
            cotangent = _find_cotangent(forward, [tape.steps[step] for step in steps])
            if cotangent is None or last.values[0].numel() != forward.given[0].numel():
                continue
            for values in _compute_other_gradients(forward, cotangent, last.values[0]):
                changed = [*tape.steps[: steps[-1]], replace(last, values=(values,)), *tape.steps[steps[-1] + 1 :]]
                if excess(Replay(replace(tape, steps=changed), arithmetic, steps[-1] + 1)) <= 1.0:
                    return _make_event(forward, last, cotangent, values)
    return None


def _list_backward_passes(tape: Tape) -> Iterator[list[int]]:
    """Yield the steps of the backward pass of each operation."""
    for (node, _), group in groupby(range(len(tape.steps)), lambda at: (tape.steps[at].node, tape.steps[at].line)):
        steps = list(group)
        # Torch adds up the gradients of several uses of a tensor in the pass of the last one.
        while steps and tape.steps[steps[-1]].name == "add":
            steps.pop()
        if node is not None and steps:
            yield steps


def _find_cotangent(forward: Step, backward: list[Step]) -> Tensor | None:
    """Return the gradient that enters a backward pass: the input that neither it nor the forward operation has made."""
    storages = {view.storage for step in (forward, *backward) for view in step.results}
    storages |= {view.storage for view in forward.inputs}
    entering = {
        view.storage: values
        for step in backward
        for view, values in zip(step.inputs, step.given, strict=True)
        if view.storage not in storages and values.numel() == forward.values[0].numel()
    }
    return next(iter(entering.values())).reshape(-1) if len(entering) == 1 else None


def _compute_other_gradients(forward: Step, cotangent: Tensor, recorded: Tensor) -> Iterator[Tensor]:
    """Yield the gradient with other derivatives: of the left side, of the right side, and their mean."""
    x = forward.given[0].reshape(-1)
    nudges = _NUDGE * torch.where((x == 0) | x.isinf(), 1.0, x.abs())
    (left, left_error), (right, right_error) = (
        torch.tensor([_get_change(forward, cotangent, i, side * h) for i, h in enumerate(nudges.tolist())]).T
        / side
        / nudges
        for side in (-1.0, 1.0)
    )
    mean, plain = (left + right) / 2, recorded.reshape(-1)
    size = torch.stack([left.abs(), right.abs(), plain.abs()]).amax(0)
    differs = (left - right).abs() > _APART * size + left_error.abs() + right_error.abs()
    for slopes in (left, right, mean) if bool(differs.any()) else ():
        yield torch.where(differs, slopes, plain).reshape(recorded.shape)


def _get_change(forward: Step, cotangent: Tensor, at: int, nudge: float) -> tuple[float, float]:
    """Return the change of the results, times the cotangent, if an input element is nudged, and its rounding error."""
    view, x = forward.inputs[0], forward.given[0].clone(memory_format=torch.contiguous_format)
    others = dict(zip(forward.inputs[1:], forward.given[1:], strict=True))
    before = Doubles().carry_out(forward, lambda part: x.clone() if part == view else others[part].clone())
    x.view(-1)[at] += nudge
    after = Doubles().carry_out(forward, lambda part: x if part == view else others[part].clone())
    if not before or not after:
        return float("nan"), 0.0
    # An infinity does not change, wherever it is moved.
    change = (after[0] - before[0]).reshape(-1).nan_to_num(nan=0.0)
    error = _ROUNDING * after[0].reshape(-1).nan_to_num(posinf=0.0, neginf=0.0).abs()
    return float((change * cotangent).sum()), float((error * cotangent.abs()).sum())


def _make_event(forward: Step, last: Step, cotangent: Tensor, values: Tensor) -> Event | None:
    """Return the event, at the element with the largest difference; ``None`` if its derivative is no single number."""
    recorded, x = last.values[0].reshape(-1), forward.given[0].reshape(-1)
    index = int((values.reshape(-1) - recorded).abs().argmax())
    weights = cotangent if cotangent.numel() in {1, x.numel()} else None
    if weights is None or not (weight := float(weights[index if weights.numel() > 1 else 0])):
        return None
    event = event_of(last, EventKind.SLOPE)
    return event.model_copy(update={"input": float(x[index]), "slope": float(recorded[index]) / weight + 0.0})
