"""The first element of a result that is not finite, and the operands that led to it."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.auditor.operation import FirstNonfinite
from harness.exact.doubles import replay
from harness.exact.operator import FAILURES, FLOATING, Operator, is_followed, tensors


def find_first_nonfinite(
    operator: Operator, args: Any, kwargs: Any, actual: Tensor, shadow: Tensor | None, *, nan: bool
) -> FirstNonfinite:
    """Describe the first NaN (``nan``) or infinity of a result."""
    bad = actual.isnan() if nan else actual.isinf()
    first = int(bad.flatten().to(torch.uint8).argmax())
    index = tuple(int(at) for at in np.unravel_index(first, actual.shape))
    rows = int(bad.flatten(0, -2).any(-1).sum()) if actual.dim() > 1 else int(bad.sum())
    all_rows = actual.numel() // max(1, actual.shape[-1]) if actual.dim() > 1 else actual.numel()
    wide = _again(operator, args, kwargs, actual, index)
    return FirstNonfinite(
        count=int(bad.sum()),
        size=actual.numel(),
        rows=rows,
        all_rows=all_rows,
        operands=tuple(_at(argument, actual, index) for argument in args[:3]),
        exact=None if shadow is None else float(shadow[index]),
        again=wide is None or not math.isfinite(wide),
        wide=wide,
    )


def _at(argument: Any, result: Tensor, index: tuple[int, ...]) -> float | None:
    """Return the input of an element of the result; ``None`` if it is not a single number."""
    if isinstance(argument, bool) or not isinstance(argument, Tensor | int | float):
        return None
    if not isinstance(argument, Tensor):
        return float(argument)
    if argument is result or argument.dtype not in FLOATING:
        return None
    try:
        return float(argument.detach().expand(result.shape)[index])
    except (RuntimeError, IndexError):
        return None


def _again(operator: Operator, args: Any, kwargs: Any, actual: Tensor, index: tuple[int, ...]) -> float | None:
    """Return the result in float64 for the same operands; ``None`` if they are overwritten."""
    if operator.writes:
        return None
    wide = {id(tensor): tensor.detach().to(torch.float64) for tensor in tensors(args) if is_followed(tensor)}
    try:
        results = tensors(replay(operator, args, kwargs, wide, actual))
    except FAILURES:
        return None
    if not results or results[0].shape != actual.shape:
        return None
    return float(results[0][index])
