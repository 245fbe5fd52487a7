"""Losses reduced over the rows, as a case declares."""

from collections.abc import Callable
from typing import Any

from harness.floats import DoubleDouble, Oracle, dd

REDUCTIONS = {"reduction": ("mean", "sum", "none")}
"""The convention, in torch's words with its default first."""

Screen = Callable[..., DoubleDouble]


def reduced(rows: Any, reduction: str, total: Any) -> Any:
    """Reduce the rows' losses along the last axis as a case declares: ``mean``, ``sum`` or ``none``."""
    if reduction == "none":
        return rows
    summed = total(rows)
    return summed / float(rows.shape[-1]) if reduction == "mean" else summed


def averaged(slope: Any, reduction: str, axis: int = -1) -> Any:
    """Divide the derivative of each row's loss by the number of rows along an axis if the loss is their mean."""
    return slope / float(slope.shape[axis]) if reduction == "mean" else slope


def oracle_of_loss(screen: Screen, exact: Callable[..., Any]) -> Oracle:
    """Return the oracle of a loss from its rows; the last argument is the reduction."""
    return Oracle(
        lambda elementary, *inputs: reduced(screen(elementary, *inputs[:-1]), inputs[-1], dd.total),
        lambda *inputs: reduced(exact(*inputs[:-1]), inputs[-1], lambda rows: rows.sum(-1)),
    )


def oracle_of_slope(screen: Screen, exact: Callable[..., Any], axis: int = -1) -> Oracle:
    """Return the oracle of a loss's gradient from the rows' derivatives; the last argument is the reduction."""
    return Oracle(
        lambda elementary, *inputs: averaged(screen(elementary, *inputs[:-1]), inputs[-1], axis),
        lambda *inputs: averaged(exact(*inputs[:-1]), inputs[-1], axis),
    )
