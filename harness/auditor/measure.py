"""How far a result is from its shadow.

The normwise error is blind for small elements, the elementwise one jumps at every zero: the first is what ends are
judged by, and the mean of the second, each element capped at one, is looked at beside it when a line is blamed.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.linalg import vector_norm

from harness.auditor.operator import FLOATING

_SMALLEST_NORMAL = {dtype: torch.finfo(dtype).smallest_normal for dtype in FLOATING}

SAMPLE = 4_096
"""Elements from which the errors of a large result are told; ends are compared whole."""


class Distance(NamedTuple):
    """Two errors: normwise, and the mean over the elements."""

    error: float
    spread: float


def distance(actual: Tensor, shadow: Tensor, *, whole: bool = False) -> Distance:
    """Return how far a finite result is from its shadow; NaN where that is not finite.

    Parameters
    ----------
    actual, shadow
        Of one shape.
    whole
        Whether every element is looked at.
    """
    if not whole and actual.numel() > SAMPLE:
        step = -(-actual.numel() // SAMPLE) | 1  # odd, so that it is no multiple of a row
        actual, shadow = flat(actual)[::step], flat(shadow)[::step]
    wide = actual.to(shadow.dtype)
    difference = wide - shadow
    off = float(vector_norm(difference))
    if off == 0.0:
        return Distance(0.0, 0.0)
    if not math.isfinite(off):
        return Distance(math.nan, math.nan)
    size = float(vector_norm(shadow))
    # Below the smallest normal number it is another event.
    scale = shadow.abs().clamp_(min=_SMALLEST_NORMAL[actual.dtype])
    return Distance(off / size if size > 0.0 else 1.0, float(difference.abs_().div_(scale).clamp_(max=1.0).mean()))


def distance_where_finite(actual: Tensor, shadow: Tensor) -> Distance:
    """Return the same of a result that is not finite: infinite where the truth is finite and it is not."""
    wide = actual.to(shadow.dtype)
    finite, known = wide.isfinite(), shadow.isfinite()
    if bool((~finite & known).any()) or bool((wide.isnan() & ~shadow.isnan()).any()):
        return Distance(math.inf, 1.0)
    both = finite & known
    return distance(torch.where(both, wide, 0.0), torch.where(both, shadow, 0.0), whole=True)


def vanished(actual: Tensor, shadow: Tensor, smallest: float) -> float:
    """Share of the elements that are not zero and have underflowed to it."""
    there = shadow != 0
    return float(((actual == 0) & there & (shadow.abs() <= smallest)).sum() / max(1, int(there.sum())))


def flat(tensor: Tensor) -> Tensor:
    """All elements in a row, without a copy where they lie in one."""
    if tensor.is_contiguous():
        return tensor.view(-1)
    by_stride = sorted(range(tensor.dim()), key=tensor.stride, reverse=True)
    ordered = tensor.permute(by_stride)
    return ordered.view(-1) if ordered.is_contiguous() else tensor.reshape(-1)
