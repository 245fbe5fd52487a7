"""The true value of a defect, computed from its definition."""

from typing import Any

import mpmath

from harness.adoption.defect import Defect

DIGITS = 60
"""Decimal digits of the computation of a true value."""


def true_value(defect: Defect) -> Any:
    """Return the true value as a number of mpmath."""
    with mpmath.workdps(DIGITS):
        return mpmath.mpf(eval(defect.truth, {"__builtins__": {}, **vars(mpmath)}))  # noqa: S307 - our own tables
