"""A numerical defect of a package: how to reproduce it, the true value, and the fix."""

import re
from dataclasses import dataclass
from typing import Any

import mpmath

DIGITS = 60
"""Decimal digits of the computation of a true value."""

WRONG_ULP = 1000.0
"""A printed number with a larger error is a defect: about three of the seven digits of float32 are lost."""

RIGHT_ULP = 128.0
"""The number that the fix prints has at most this error."""

_FORMATS = {"float32": (2.0**-23, 2.0**-149), "float64": (2.0**-52, 5e-324)}
"""The spacing of numbers next to one, and the smallest number."""


@dataclass(frozen=True, kw_only=True)
class Defect:
    """A function that prints a wrong number, and a fix that prints the right one.

    ``setup``, ``wrong``, ``fixed`` and ``truth`` are source code: statements, two expressions that are printed, and an
    expression in which all names are those of mpmath.
    """

    function: str
    documented: str
    """What the documentation of the package says that the function computes."""
    setup: str
    wrong: str
    truth: str
    matters: str
    """One sentence: for whom, and when."""
    fix: str
    """The form that keeps the digits, in Markdown."""
    fixed: str
    command: str = ""
    """The arguments of ``harness check`` that find the defect; empty if it was found by reading the code."""
    dtype: str = "float32"
    mended_in: str = ""
    """The first release without the defect."""
    pip: str = ""
    """The name for pip, if it is not that of the module."""

    @property
    def package(self) -> str:
        """The name for pip."""
        return self.pip or re.split("[. ]", self.function)[0].replace("_", "-")

    @property
    def line(self) -> str:
        """The line of Python that reproduces the defect."""
        return f"{self.setup}; print({self.wrong})"


def true_value(defect: Defect) -> Any:
    """Return the true value as a number of mpmath."""
    with mpmath.workdps(DIGITS):
        return mpmath.mpf(eval(defect.truth, {"__builtins__": {}, **vars(mpmath)}))  # noqa: S307 - our own tables


def error_ulp(defect: Defect, printed: str) -> float:
    """Return the error of a printed number in units in the last place; infinite if only one of the two is finite."""
    truth, number = true_value(defect), mpmath.mpf(float(printed))
    if mpmath.isnan(truth) or mpmath.isnan(number):
        return 0.0 if mpmath.isnan(truth) and mpmath.isnan(number) else float("inf")
    if mpmath.isinf(truth) or mpmath.isinf(number):
        return 0.0 if truth == number else float("inf")
    eps, smallest = _FORMATS[defect.dtype]
    with mpmath.workdps(DIGITS):
        return float(abs(number - truth) / max(eps * abs(truth), mpmath.mpf(smallest)))
