"""Complex tensors: their writers and whether they are finite; they have no shadow."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from harness.auditor.call import Call
from harness.auditor.operation import FirstNonfinite, Operation, Source
from harness.auditor.shadow import Cell, Shadows
from harness.exact.operator import UNIT, key_of, tensors

_REAL = {torch.complex32: torch.float16, torch.complex64: torch.float32, torch.complex128: torch.float64}


def complex_tensors(value: Any) -> list[Tensor]:
    """Return the complex tensors in a value."""
    return [tensor for tensor in tensors(value) if tensor.is_complex() and tensor.layout is torch.strided]


def states_of(read: Sequence[Tensor], shadows: Shadows) -> Iterator[Source]:
    """Yield the states of complex tensors; an unknown tensor belongs to the start of the step."""
    for tensor in read:
        cell = shadows.cells.get(key_of(tensor))
        if cell is None:
            yield Source(None, nan=bool(tensor.isnan().any()), inf=bool(tensor.isinf().any()))
        else:
            yield cell.state


def write(call: Call, tensor: Tensor, shadows: Shadows, operations: list[Operation]) -> None:
    """Store a complex result with its sources."""
    dtype = _REAL[tensor.dtype]
    number, unit = len(operations), max(UNIT[dtype], call.unit)
    nan, inf = bool(tensor.isnan().any()), bool(tensor.isinf().any())
    at = (number, call.line, call.operator.name, call.backward, dtype, tensor.shape)
    operation = Operation(*at, call.sources, unit, nan=nan, inf=inf)
    if (nan and not call.nan) or (inf and not call.inf and not call.nan):
        operation.first_nonfinite = _first_nonfinite(tensor, nan=nan)
    operations.append(operation)
    state = Source(operation, nan=nan, inf=inf)
    shadows.cells[key_of(tensor)] = Cell(StorageWeakRef(tensor.untyped_storage()), tensor.dtype, state, unit)


def _first_nonfinite(tensor: Tensor, *, nan: bool) -> FirstNonfinite:
    bad = tensor.isnan() if nan else tensor.isinf()
    rows = bad.flatten(0, -2).any(-1) if tensor.dim() > 1 else bad
    return FirstNonfinite(int(bad.sum()), tensor.numel(), int(rows.sum()), rows.numel(), (), exact=None, again=nan)
