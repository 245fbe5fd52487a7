"""Losses reduced over the rows, as a case declares."""

from typing import Any

REDUCTIONS = {"reduction": ("mean", "sum", "none")}
"""The convention, in torch's words with its default first."""


def reduced(rows: Any, reduction: str, total: Any) -> Any:
    """Reduce the rows' losses along the last axis as a case declares: ``mean``, ``sum`` or ``none``."""
    if reduction == "none":
        return rows
    summed = total(rows)
    return summed / float(rows.shape[-1]) if reduction == "mean" else summed
