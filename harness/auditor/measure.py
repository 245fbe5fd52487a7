"""How far a result is from its shadow.

The normwise error is blind for small elements, the elementwise one jumps at every zero: the first is what ends are
judged by, and the mean of the second, each element capped at one, is looked at beside it when a line is blamed.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from harness.auditor.operator import SMALLEST_NORMAL

_OF_NUMPY = (torch.float32, torch.float64)
"""Dtypes that NumPy widens exactly as torch does, without an extra copy."""

SAMPLE = 4_096
"""Result size above which errors are sampled; ends are always compared in full."""


class Distance(NamedTuple):
    """Two errors: normwise, and the mean over the elements."""

    error: float
    spread: float


def distance(actual: Tensor, shadow: Tensor, dtype: torch.dtype, *, whole: bool = False) -> Distance:
    """Return how far a finite result is from its shadow; NaN where that is not finite.

    Parameters
    ----------
    actual, shadow
        Of one shape.
    dtype
        The format of the result.
    whole
        Whether every element is looked at.
    """
    # On some thousand numbers a call of NumPy costs a third of one of torch's, and each result is measured.
    if whole or actual.numel() <= SAMPLE:
        true, got = _numbers(shadow), _numbers(actual)
    else:
        # A sample lies far apart, and what is computed of it is read again and again: it is brought together once.
        true, got = np.ascontiguousarray(_numbers(_sampled(shadow))), _numbers(_sampled(actual))
    with np.errstate(all="ignore"):
        difference = np.subtract(got, true, dtype=np.float64)
        off = _norm(difference)
        if off == 0.0:
            return Distance(0.0, 0.0)
        if not math.isfinite(off):
            return Distance(math.nan, math.nan)
        size = _norm(true)
        # Below the smallest normal number it is another event.
        scale = np.abs(true)
        np.maximum(scale, SMALLEST_NORMAL[dtype], out=scale)
        np.divide(np.abs(difference, out=difference), scale, out=scale)
        np.minimum(scale, 1.0, out=scale)
        return Distance(off / size if size > 0.0 else 1.0, float(np.add.reduce(scale)) / scale.size)


def _numbers(tensor: Tensor) -> np.ndarray[Any, Any]:
    """All elements in a row, as NumPy has them, without a copy where they lie in one."""
    if tensor.dtype not in _OF_NUMPY:
        tensor = tensor.to(torch.float64)
    if not tensor.is_contiguous():
        tensor = flat(tensor)
    return tensor.numpy(force=True).reshape(-1)


def _norm(row: np.ndarray[Any, Any]) -> float:
    """The Euclidean one; of long rows a product of vectors would start the threads of a library."""
    square = float(row.dot(row)) if row.size <= SAMPLE else float(np.add.reduce(row * row))
    # Squares leave the range of float64 where numbers do not.
    return math.sqrt(square) if 1e-200 < square < 1e200 else float(torch.linalg.vector_norm(torch.from_numpy(row)))


def _sampled(tensor: Tensor) -> Tensor:
    row = flat(tensor)
    return row[:: -(-row.numel() // SAMPLE) | 1]  # an odd step, which is no multiple of a row


def extent(tensor: Tensor) -> tuple[float, float]:
    """Return the least and the largest element, both NaN where one is.

    The norm that says the same of their sizes takes five times as long.
    """
    if tensor.numel() == 1:
        value = float(tensor)
        return value, value
    least, largest = (tensor if tensor.is_contiguous() else flat(tensor)).aminmax()
    return float(least), float(largest)


def distance_where_finite(actual: Tensor, shadow: Tensor, dtype: torch.dtype) -> Distance:
    """Return the same of a result that is not finite: infinite where the truth is finite and it is not."""
    wide = actual.to(shadow.dtype)
    finite, known = wide.isfinite(), shadow.isfinite()
    if bool((~finite & known).any()) or bool((wide.isnan() & ~shadow.isnan()).any()):
        return Distance(math.inf, 1.0)
    both = finite & known
    return distance(torch.where(both, wide, 0.0), torch.where(both, shadow, 0.0), dtype, whole=True)


def vanished(actual: Tensor, shadow: Tensor, smallest: float) -> float:
    """Share of the elements that are not zero and have underflowed to it."""
    there = shadow != 0
    return float(((actual == 0) & there & (shadow.abs() <= smallest)).sum() / max(1, int(there.sum())))


def has_emptied(actual: Tensor, shadow: Tensor, smallest: float) -> bool:
    """Whether an element that is not zero has underflowed to it."""
    if int(torch.count_nonzero(actual)) == actual.numel():
        return False
    there = shadow[actual == 0].abs()
    return bool(((there > 0) & (there <= smallest)).any())


def flat(tensor: Tensor) -> Tensor:
    """All elements in a row, without a copy where they lie in one."""
    if tensor.is_contiguous():
        return tensor.view(-1)
    by_stride = sorted(range(tensor.dim()), key=tensor.stride, reverse=True)
    ordered = tensor.permute(by_stride)
    return ordered.view(-1) if ordered.is_contiguous() else tensor.reshape(-1)
