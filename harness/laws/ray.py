"""Rays: families of inputs with one parameter, along which a law is followed to its breaking point."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from harness.floats import Format
from harness.laws.law import Law

Limit = Callable[[Format], float]
"""A number of a format, such as the largest value within a domain."""


@dataclass(frozen=True)
class Ray:
    """Inputs with one parameter ``t``.

    Parameters
    ----------
    name
        Name in tables, for example ``spike``.
    formula
        The input as a formula in ``t``.
    example
        ``example(t, format)``: the inputs, one row for each parameter in ``t[n]``.
    start, end
        The first and the last parameter.
    whole
        Whether the parameter is an integer, and each value needs a separate batch.
    together
        Whether integer parameters can be rows of the same batch.
    columns
        Entries of a row, for closed forms that depend on them.
    laws
        Laws to follow along the ray, if they are not the laws of the contract's inputs.
    """

    name: str
    formula: str
    example: Callable[[Tensor, Format], dict[str, Any]]
    end: Limit
    start: Limit = lambda _: 0.0
    whole: bool = False
    together: bool = False
    columns: int = 1
    laws: tuple[Law, ...] = ()
