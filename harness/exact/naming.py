"""The record of an event in an operation."""

from harness.exact.step import Step
from harness.record import Event, EventKind

SUMS = frozenset({"sum", "mean", "cumsum", "mm", "mv", "dot", "var", "std", "norm"})
"""Operations that add up."""

_OF_WHOLE_ROWS = SUMS | {"softmax", "log_softmax", "logsumexp", "layer_norm", "prod"}


def event_of(step: Step, kind: EventKind, at: int | None = None) -> Event:
    """Return the record of an event in an operation."""
    return Event(
        kind=kind,
        operation=step.operation,
        dtype=str(step.results[0].dtype).removeprefix("torch."),
        backward=step.node is not None,
        place=step.place,
        input=None if at is None else _argument(step, at),
    )


def _argument(step: Step, at: int) -> float | None:
    """Return the single input of an element; ``None`` if it has several inputs, or a row."""
    if step.name in _OF_WHOLE_ROWS or len(step.given) != 1:
        return None
    (given,) = step.given
    return float(given.reshape(-1)[at]) if at < given.numel() else None
