"""Complex tensors: their writers and whether they are finite; they have no shadow."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from harness.auditor.given import Given
from harness.auditor.operation import Birth, Operation, Source
from harness.auditor.operator import UNIT, key_of, tensors
from harness.auditor.shadow import Cell, Shadows

_REAL = {torch.complex32: torch.float16, torch.complex64: torch.float32, torch.complex128: torch.float64}


def complex_tensors(value: Any) -> list[Tensor]:
    """Return the complex tensors in a value."""
    return [tensor for tensor in tensors(value) if tensor.is_complex() and tensor.layout is torch.strided]


def states_of(read: Sequence[Tensor], shadows: Shadows) -> Iterator[Source]:
    """Yield the state of each complex tensor; an unknown tensor belongs to the start of the step."""
    for tensor in read:
        cell = shadows.cells.get(key_of(tensor))
        if cell is None:
            yield Source(-1, nan=bool(tensor.isnan().any()), inf=bool(tensor.isinf().any()))
        else:
            yield cell.state


def write(given: Given, tensor: Tensor, shadows: Shadows, operations: list[Operation]) -> None:
    """Store a complex result with its sources."""
    dtype = _REAL[tensor.dtype]
    number, unit = len(operations), max(UNIT[dtype], given.unit)
    nan, inf = bool(tensor.isnan().any()), bool(tensor.isinf().any())
    at = (number, given.line, given.operator.name, given.backward, dtype, tensor.shape)
    operation = Operation(*at, given.sources, unit, nan=nan, inf=inf)
    if (nan and not given.nan) or (inf and not given.inf and not given.nan):
        operation.birth = _birth(tensor, nan=nan)
    operations.append(operation)
    state = Source(number, nan=nan, inf=inf)
    shadows.cells[key_of(tensor)] = Cell(StorageWeakRef(tensor.untyped_storage()), tensor.dtype, state, unit)


def _birth(tensor: Tensor, *, nan: bool) -> Birth:
    bad = tensor.isnan() if nan else tensor.isinf()
    rows = bad.flatten(0, -2).any(-1) if tensor.dim() > 1 else bad
    return Birth(int(bad.sum()), tensor.numel(), int(rows.sum()), rows.numel(), (), exact=None, again=nan)
