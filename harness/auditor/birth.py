"""The first element that is not finite: what was read there, what the truth is, and whether it has one."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.auditor.operation import Birth
from harness.auditor.operator import FLOATING, Operator, is_followed, tensors
from harness.auditor.replay import FAILURES, replay


def birth_of(operator: Operator, args: Any, kwargs: Any, actual: Tensor, shadow: Tensor | None, *, nan: bool) -> Birth:
    """Say what happened at the first element that is not finite.

    Parameters
    ----------
    operator, args, kwargs
        The operation.
    actual, shadow
        Its result, and what that should be, where it is known.
    nan
        Whether NaNs are looked at, rather than infinities.
    """
    bad = actual.isnan() if nan else actual.isinf()
    first = int(bad.flatten().to(torch.uint8).argmax())
    index = tuple(int(at) for at in np.unravel_index(first, actual.shape))
    rows = int(bad.flatten(0, -2).any(-1).sum()) if actual.dim() > 1 else int(bad.sum())
    all_rows = actual.numel() // max(1, actual.shape[-1]) if actual.dim() > 1 else actual.numel()
    wide = _again(operator, args, kwargs, actual, index)
    return Birth(
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
    """What an argument is at an element of the result; ``None`` where that is not one number."""
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
    """Return what the operation gives there in float64, of the very operands; ``None`` if they are overwritten."""
    if operator.writes:
        return None
    wide = {id(tensor): tensor.detach().to(torch.float64) for tensor in tensors(args) if is_followed(tensor)}
    try:
        results = tensors(replay(operator, args, kwargs, wide, actual, lambda _: torch.float64))
    except FAILURES:
        return None
    if not results or results[0].shape != actual.shape:
        return None
    return float(results[0][index])
