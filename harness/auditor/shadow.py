"""Copies of storages in wider arithmetic, the formats that they stand for, and the distance of a result from its copy.

Copies of storages, instead of tensors, make views and in-place operations work without special rules. A call is an
operation before it runs, with the storages that it reads.

The normwise error ignores small elements, and the elementwise error jumps at zeros. Results are judged by the first.
Blame also uses the mean of the second, with each element limited to one.
"""

import math
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from harness.auditor.line import Line
from harness.auditor.operation import Source
from harness.compat.torch import storage_address
from harness.error import UsageError, did_you_mean, join_names
from harness.exact.elementwise import Balls
from harness.exact.tape import FLOATING, SMALLEST_NORMAL, UNIT, Operator, key_of, length_of, whole
from harness.record.audit import WHAT_IF, WhatIf

_SELDOM, _LITTLE = 2048, 1 << 20
"""New storages and shadow bytes between searches for freed storages."""


@dataclass(slots=True)
class Cell:
    """A storage with its shadow and state.

    Parameters
    ----------
    alive
        Weak reference that reserves the address of the storage.
    dtype
        Format of its last writer.
    state
        Its last writer and its error.
    unit
        Coarsest unit roundoff on the way to it.
    flat, length
        Shadow of the whole storage, in any shape, and its number of elements; ``None`` until it is needed.
    balls
        The same as a row of balls, or ``None``.
    in_balls
        Whether the balls are exact, and so were all inputs.
    """

    alive: StorageWeakRef
    dtype: torch.dtype
    state: Source
    unit: float
    flat: Tensor | None = None
    length: int = 0
    balls: Balls | None = None
    in_balls: bool = False

    def shadow(self, tensor: Tensor) -> Tensor:
        """Return the part of the shadow that belongs to a tensor."""
        flat = self.flat
        assert flat is not None
        size, stride, offset = tensor.shape, tensor.stride(), tensor.storage_offset()
        if offset == 0 and flat.shape == size and flat.stride() == stride and flat.storage_offset() == 0:
            return flat
        return torch.as_strided(flat, size, stride, offset)


@dataclass(slots=True)
class Call:
    """An operation before it runs.

    Parameters
    ----------
    operator, args, kwargs
        The operation and its arguments.
    line, backward
        The line that called it, and whether autograd did.
    read, keys, cells
        Floating-point inputs, the keys of their storages, and these storages.
    written
        Inputs that it changes.
    sources
        States of the inputs.
    unit, error, nan, inf
        Coarsest unit roundoff and largest error of the inputs, and whether one contains NaN or infinity.
    shadow_of
        Shadows by the identity of their tensors.
    before
        Float64 copies of tensors that it changes.
    rebound
        A parameter that is replaced, with its old value; without a parameter, a buffer.
    statistics
        Float64 copies of the running statistics that it changes.
    as_it_is
        Whether the result keeps its own format in a simulation of another one.
    """

    operator: Operator
    args: Any
    kwargs: Any
    line: Line
    backward: bool
    read: list[Tensor]
    keys: list[int]
    cells: list[Cell]
    written: list[Tensor]
    sources: tuple[Source, ...]
    unit: float
    error: float
    nan: bool
    inf: bool
    shadow_of: dict[int, Tensor] = field(default_factory=dict)
    before: dict[int, Tensor] = field(default_factory=dict)
    rebound: tuple[int | None, Tensor] | None = None
    statistics: list[Tensor] = field(default_factory=list)
    as_it_is: bool = False


class Narrowing:
    """Maps each dtype to the format that it stands for, in a simulation of 16-bit arithmetic in a float32 step.

    Torch computes a 16-bit operation in float32 and rounds once. The simulation does the same: it rounds every result
    in place, and every parameter and batch at its first use. Autocast needs no rounding.
    """

    def __init__(self, what_if: WhatIf | None = None) -> None:
        self.format_of = {dtype: dtype for dtype in FLOATING}
        self.is_asked = what_if is not None
        self.rounds = False
        """Whether results are rounded."""
        self._rounded_to: torch.dtype | None = None
        self._autocast_to: torch.dtype | None = None
        self._before: list[tuple[Tensor, Tensor]] = []
        if what_if is None:
            return
        if what_if not in WHAT_IF:
            rule, remedy = f"must be one of {join_names(WHAT_IF)}", did_you_mean(what_if, WHAT_IF)
            raise UsageError("unknown `what_if`", rule=rule, value=f"`{what_if}`", remedy=remedy)
        dtype = getattr(torch, what_if.removeprefix("autocast-"))
        if what_if.startswith("autocast-"):
            self._autocast_to = dtype
        else:
            self._rounded_to = self.format_of[torch.float32] = dtype
            self.rounds = True

    def context(self) -> AbstractContextManager[object]:
        """Return the context of the step, with autocast on each available device if requested."""
        contexts = ExitStack()
        if self._autocast_to is not None:
            accelerator = torch.accelerator.current_accelerator(check_available=True)
            for kind in ("cpu", *([accelerator.type] if accelerator is not None else [])):
                contexts.enter_context(torch.autocast(kind, self._autocast_to))
        return contexts

    def round(self, tensor: Tensor) -> None:
        """Round a tensor in place, hidden from autograd."""
        if self._rounded_to is None or tensor.dtype is not torch.float32:
            return
        numbers = tensor.data
        if any(stride == 0 and size > 1 for stride, size in zip(tensor.stride(), tensor.size(), strict=True)):
            numbers = whole(tensor.data)
        numbers.copy_(numbers.to(self._rounded_to))

    def begin_from(self, tensor: Tensor) -> None:
        """Save and round the storage of a tensor that existed before the step."""
        if self.is_asked:
            self.keep(tensor)
            self.round(whole(tensor.data))

    def keep(self, tensor: Tensor) -> None:
        """Save the storage of a tensor."""
        numbers = whole(tensor.data)
        self._before.append((numbers, numbers.clone()))

    def put_back(self) -> None:
        """Restore all saved storages."""
        for numbers, before in reversed(self._before):
            numbers.copy_(before)
        self._before.clear()


class Shadows:
    """The storages of a step."""

    def __init__(self, *, wide: bool, narrowing: Narrowing) -> None:
        self.wide = wide
        self.narrowing = narrowing
        self.cells: dict[int, Cell] = {}
        self.leaves: dict[int, int] = {}
        """Parameters by their storages."""
        self._made = self._made_bytes = 0
        self._bearable = _LITTLE

    def cell(self, tensor: Tensor, key: int | None = None, *, fill: bool = True, counts: bool = False) -> Cell:
        """Return the storage of a tensor; a new storage starts with a copy of its values.

        Without ``fill``, the values are not read. ``counts`` marks a step counter, which keeps its own format.
        """
        if key is None:
            key = key_of(tensor)
        cell = self.cells.get(key)
        has_changed = cell is not None and cell.flat is not None and cell.length != length_of(tensor)
        if cell is None or cell.dtype is not tensor.dtype or has_changed:
            # A real view of a complex tensor has the same writer.
            writer = cell.state.writer if cell is not None and cell.dtype.is_complex else None
            state = Source(writer, leaf=self.leaves.get(key))
            cell = Cell(StorageWeakRef(tensor.untyped_storage()), tensor.dtype, state, self.unit(tensor))
            self.cells[key] = cell
            if fill and tensor.numel():
                if not counts:
                    self.narrowing.begin_from(tensor)
                least, largest = extent(tensor.detach())
                state.nan, state.largest = math.isnan(largest), max(-least, largest)
                state.inf = bool(tensor.isinf().any()) if state.nan else state.largest == math.inf
        if fill and cell.flat is None and self.wide:
            self.restart(cell, tensor)
        return cell

    def unit(self, tensor: Tensor) -> float:
        """Return the unit roundoff of the format that a tensor stands for."""
        return UNIT[self.narrowing.format_of[tensor.dtype]]

    def restart(self, cell: Cell, tensor: Tensor) -> None:
        """Replace the shadow by a copy of the values."""
        length = length_of(tensor)
        self._made_bytes += length * torch.float64.itemsize
        if not length:
            cell.flat, cell.length = torch.empty(0, dtype=torch.float64, device=tensor.device), 0
            return
        cell.flat = whole(tensor.detach()).to(torch.float64, copy=True)
        cell.length = length
        cell.balls, cell.in_balls = None, False

    def new(self, tensor: Tensor, values: Tensor | None) -> Cell:
        """Return the storage of a new tensor, with the repeated values or a copy as its shadow."""
        storage = tensor.untyped_storage()
        cell = Cell(StorageWeakRef(storage), tensor.dtype, Source(None), self.unit(tensor))
        self.cells[storage_address(storage)] = cell
        self._made += 1
        if not self.wide:
            return cell
        if values is None:
            self.restart(cell, tensor)
            return cell
        length = length_of(tensor)
        self._made_bytes += length * torch.float64.itemsize
        cell.length = length
        if _is_laid_out_as(values, tensor, length):
            cell.flat = values if values.numel() == length else torch.as_strided(values, (length,), (1,), 0)
        else:
            cell.flat = torch.zeros(length, dtype=torch.float64, device=tensor.device)
            cell.shadow(tensor).copy_(values)
        return cell

    def bare(self, storage: torch.UntypedStorage, dtype: torch.dtype, state: Source, unit: float) -> None:
        """Store the state of a new storage without a shadow."""
        self.cells[storage_address(storage)] = Cell(StorageWeakRef(storage), dtype, state, unit)
        self._made += 1

    def forget(self, tensor: Tensor) -> None:
        """Forget a storage that was overwritten."""
        self.cells.pop(key_of(tensor), None)

    def sweep_when_due(self) -> None:
        """Delete the shadows of freed storages, if there may be many of them.

        Such shadows take at most a quarter of the memory of the needed ones, or little.
        """
        if self._made < _SELDOM and self._made_bytes < self._bearable:
            return
        for key in [key for key, cell in self.cells.items() if cell.alive.expired()]:
            del self.cells[key]
        needed = sum(cell.flat.nbytes for cell in self.cells.values() if cell.flat is not None)
        self._made, self._made_bytes, self._bearable = 0, 0, max(_LITTLE, needed // 4)


def _is_laid_out_as(values: Tensor, tensor: Tensor, length: int) -> bool:
    return (
        values.dtype is torch.float64
        and values.stride() == tensor.stride()
        and values.shape == tensor.shape
        and values.storage_offset() == tensor.storage_offset() == 0
        and length_of(values) == length
    )


# Distance of a result from its shadow

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
        true, got = np.ascontiguousarray(_numbers(_sample_elements(shadow))), _numbers(_sample_elements(actual))
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


def _sample_elements(tensor: Tensor) -> Tensor:
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
    is_finite, is_shadow_finite = wide.isfinite(), shadow.isfinite()
    if bool((~is_finite & is_shadow_finite).any()) or bool((wide.isnan() & ~shadow.isnan()).any()):
        return Distance(math.inf, 1.0)
    are_finite = is_finite & is_shadow_finite
    return distance(torch.where(are_finite, wide, 0.0), torch.where(are_finite, shadow, 0.0), dtype, whole=True)


def compute_underflow_share(actual: Tensor, shadow: Tensor, smallest: float) -> float:
    """Return the share of nonzero elements that underflowed to zero."""
    is_nonzero = shadow != 0
    return float(((actual == 0) & is_nonzero & (shadow.abs() <= smallest)).sum() / max(1, int(is_nonzero.sum())))


def has_emptied(actual: Tensor, shadow: Tensor, smallest: float) -> bool:
    """Whether a nonzero element underflowed to zero."""
    is_small = actual.numel() <= SAMPLE
    if _numbers(actual).all() if is_small else int(torch.count_nonzero(actual)) == actual.numel():
        return False
    magnitude = shadow[actual == 0].abs()
    return bool(((magnitude > 0) & (magnitude <= smallest)).any())


def flat(tensor: Tensor) -> Tensor:
    """Return all elements as a row, without a copy if they are contiguous."""
    if tensor.is_contiguous():
        return tensor.view(-1)
    ordered = tensor.permute(sorted(range(tensor.dim()), key=tensor.stride, reverse=True))
    return ordered.view(-1) if ordered.is_contiguous() else tensor.reshape(-1)
