"""Counts that no longer change because their format has no next integer, and indices made of such counts."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.auditor.call import Call
from harness.auditor.naming import bare
from harness.auditor.operation import Operation
from harness.auditor.remedy import COUNTS
from harness.exact.operator import FLOATING, NARROW, UNIT, dtype_name

_ROUNDS = {"round", "floor", "ceil", "trunc", "frac"}
_COUNTS = {"add", "sub", "cumsum", "sum", "mul", "arange"}
"""Operations that compute counts and offsets."""

_STEPS_BACK = 3
"""Number of operations before a conversion that are searched for a rounding."""


def may_count(call: Call) -> bool:
    """Whether an addition changes a number that its format may not be able to increase by one."""
    if call.backward or not call.sources:
        return False
    first, total = call.sources[0], call.args[0]
    if not isinstance(total, Tensor) or total.requires_grad:
        return False
    return first.writer is None and first.leaf is None and first.largest * UNIT[call.read[0].dtype] >= 1.0


def stands_still(call: Call, total: Tensor) -> tuple[str, str] | None:
    """Return sentence and remedy if adding an integer changes nothing; else ``None``."""
    term = call.args[1] if len(call.args) > 1 else None
    step = term if isinstance(term, Tensor) else torch.as_tensor(term, dtype=torch.float64)
    if not total.numel() or not bool(((step == step.round()) & (total == total.round())).all()):
        return None
    is_lost = (step > 0) & (total > 0) & (total + step.to(total.dtype) == total)
    if not bool(is_lost.any()):
        return None
    name, at = dtype_name(total.dtype), float(total[is_lost].flatten()[0])
    sentence = f"the count does not change any more: {name} has not every integer above {1 / UNIT[total.dtype]:,.0f}"
    return f"{sentence}, and it is at {at:,.0f}", COUNTS


@dataclass(frozen=True, slots=True)
class Indices:
    """Integers that are converted from floating-point counts.

    Parameters
    ----------
    writer
        The operation that computed the counts.
    wrong, size
        Number of wrong integers, or 0 if it is unknown; total number of integers.
    dtype
        Format of the counts.
    """

    writer: Operation
    wrong: int
    size: int
    dtype: torch.dtype

    @property
    def sentence(self) -> str:
        """Say which integers the format does not have."""
        limit = f"{dtype_name(self.dtype)} has not every integer above {1 / UNIT[self.dtype]:,.0f}"
        if not self.wrong:
            return f"counts become indices, but {limit}"
        return f"{self.wrong:,} of {self.size:,} indices made of counts are wrong: {limit}"


def indices_of(call: Call, result: Any) -> Indices | None:
    """Return the wrong indices that a conversion of counts produces; ``None`` if there are none."""
    if call.operator.name != "_to_copy" or not call.read or not isinstance(result, Tensor) or result.dtype in FLOATING:
        return None
    counts = call.read[0]
    writer = call.sources[0].writer
    if result.is_complex() or result.dtype is torch.bool or writer is None or not counts.numel():
        return None
    if call.sources[0].largest * UNIT[counts.dtype] < 1.0 or _is_rounded(writer):
        return None
    shadow = call.shadow_of.get(id(counts))
    if shadow is not None:
        wrong = int(((shadow == shadow.round()) & (shadow != result)).sum())
        return Indices(writer, wrong, result.numel(), counts.dtype) if wrong else None
    is_counted = counts.dtype in NARROW and bare(writer.name) in _COUNTS
    if is_counted and bool((counts == counts.round()).all()):
        return Indices(writer, 0, result.numel(), counts.dtype)
    return None


def _is_rounded(operation: Operation) -> bool:
    """Whether the integers were chosen by rounding, as in a quantization."""
    for _ in range(_STEPS_BACK):
        if bare(operation.name) in _ROUNDS:
            return True
        if not operation.sources or operation.sources[0].writer is None:
            return False
        operation = operation.sources[0].writer
    return False
