"""Distance of a result from its shadow.

The normwise error ignores small elements, and the elementwise error jumps at zeros. Results are judged by the first.
Blame also uses the mean of the second, with each element limited to one.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from harness.exact.operator import SMALLEST_NORMAL

_OF_NUMPY = (torch.float32, torch.float64)
"""Dtypes that NumPy widens exactly as torch does, without an extra copy."""

SAMPLE = 4_096
"""Result size above which errors are sampled; ends are always compared in full."""


class Distance(NamedTuple):
    """Normwise error, and mean elementwise error."""

    error: float
    spread: float


def distance(actual: Tensor, shadow: Tensor, dtype: torch.dtype, *, whole: bool = False) -> Distance:
    """Return the distance of a finite result from its shadow; NaN if that is not finite."""
    # For a few thousand numbers, NumPy takes a third of the time of torch.
    if whole or actual.numel() <= SAMPLE:
        true, got = _numbers(shadow), _numbers(actual)
    else:
        # A strided sample is copied once, because it is read several times.
        true, got = np.ascontiguousarray(_numbers(_sampled(shadow))), _numbers(_sampled(actual))
    with np.errstate(all="ignore"):
        difference = np.subtract(got, true, dtype=np.float64)
        off = _norm(difference)
        if off == 0.0:
            return Distance(0.0, 0.0)
        if not math.isfinite(off):
            return Distance(math.nan, math.nan)
        size = _norm(true)
        # Underflow is reported separately.
        scale = np.abs(true)
        np.maximum(scale, SMALLEST_NORMAL[dtype], out=scale)
        np.divide(np.abs(difference, out=difference), scale, out=scale)
        np.minimum(scale, 1.0, out=scale)
        return Distance(off / size if size > 0.0 else 1.0, float(np.add.reduce(scale)) / scale.size)


def _numbers(tensor: Tensor) -> np.ndarray[Any, Any]:
    """Return all elements as a NumPy row, without a copy if they are contiguous."""
    if tensor.dtype not in _OF_NUMPY:
        tensor = tensor.to(torch.float64)
    if not tensor.is_contiguous():
        tensor = flat(tensor)
    return tensor.numpy(force=True).reshape(-1)


def _norm(row: np.ndarray[Any, Any]) -> float:
    """Return the Euclidean norm; long rows avoid BLAS, which would start threads."""
    square = float(row.dot(row)) if row.size <= SAMPLE else float(np.add.reduce(row * row))
    # Squares may overflow or underflow.
    return math.sqrt(square) if 1e-200 < square < 1e200 else float(torch.linalg.vector_norm(torch.from_numpy(row)))


def _sampled(tensor: Tensor) -> Tensor:
    row = flat(tensor)
    return row[:: -(-row.numel() // SAMPLE) | 1]  # an odd step, which is rarely a multiple of a row


def extent(tensor: Tensor) -> tuple[float, float]:
    """Return the smallest and the largest element; both are NaN if any element is."""
    if tensor.numel() == 1:
        value = float(tensor)
        return value, value
    least, largest = (tensor if tensor.is_contiguous() else flat(tensor)).aminmax()
    return float(least), float(largest)


def distance_where_finite(actual: Tensor, shadow: Tensor, dtype: torch.dtype) -> Distance:
    """Return the distance of the finite elements; infinity if only the shadow is finite somewhere."""
    wide = actual.to(shadow.dtype)
    finite, known = wide.isfinite(), shadow.isfinite()
    if bool((~finite & known).any()) or bool((wide.isnan() & ~shadow.isnan()).any()):
        return Distance(math.inf, 1.0)
    both = finite & known
    return distance(torch.where(both, wide, 0.0), torch.where(both, shadow, 0.0), dtype, whole=True)


def vanished(actual: Tensor, shadow: Tensor, smallest: float) -> float:
    """Return the share of nonzero elements that underflowed to zero."""
    there = shadow != 0
    return float(((actual == 0) & there & (shadow.abs() <= smallest)).sum() / max(1, int(there.sum())))


def has_emptied(actual: Tensor, shadow: Tensor, smallest: float) -> bool:
    """Whether a nonzero element underflowed to zero."""
    is_small = actual.numel() <= SAMPLE
    if _numbers(actual).all() if is_small else int(torch.count_nonzero(actual)) == actual.numel():
        return False
    there = shadow[actual == 0].abs()
    return bool(((there > 0) & (there <= smallest)).any())


def flat(tensor: Tensor) -> Tensor:
    """Return all elements as a row, without a copy if they are contiguous."""
    if tensor.is_contiguous():
        return tensor.view(-1)
    by_stride = sorted(range(tensor.dim()), key=tensor.stride, reverse=True)
    ordered = tensor.permute(by_stride)
    return ordered.view(-1) if ordered.is_contiguous() else tensor.reshape(-1)
