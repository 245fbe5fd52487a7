"""Exact breaking points of functions, from the parameters of a format."""

import math
from collections.abc import Callable, Mapping
from functools import cache

import torch

from harness.exact.operator import dtype_name
from harness.floats.format import format_of


@cache
def overflows_from(operation: str, dtype: torch.dtype) -> float | None:
    """Return the smallest number at which a function overflows; ``None`` if there is no such number."""
    bound = _BOUNDS.get(operation.strip("_"))
    if bound is None:
        return None
    return _first_at_or_above(bound(format_of(dtype_name(dtype)).log_max), dtype)


def _first_at_or_above(value: float, dtype: torch.dtype) -> float:
    rounded = torch.tensor(value, dtype=torch.float64).to(dtype)
    if float(rounded) < value:
        rounded = torch.nextafter(rounded, torch.full_like(rounded, math.inf))
    return float(rounded)


_BOUNDS: Mapping[str, Callable[[float], float]] = {
    "exp": lambda log_max: log_max,
    "expm1": lambda log_max: log_max,
    "exp2": lambda log_max: log_max / math.log(2.0),
    "sinh": lambda log_max: log_max + math.log(2.0),
    "cosh": lambda log_max: log_max + math.log(2.0),
}
"""The input at which each function overflows, given the logarithm of the largest number."""
