"""A storage in wider arithmetic beside each storage of the step: views and in-place operations then need no rules."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from harness.auditor.ball import Balls
from harness.auditor.measure import extent
from harness.auditor.narrowing import Narrowing
from harness.auditor.operation import Source
from harness.auditor.operator import UNIT, key_of

_SELDOM, _LITTLE = 2048, 1 << 20
"""New storages and shadow bytes between searches for freed storages."""


@dataclass(slots=True)
class Cell:
    """A storage: its shadow, and the state in which its last writer left it.

    Parameters
    ----------
    alive
        Holds the storage's address, so that it is not used again, and not the storage.
    dtype
        As which it was written.
    state
        Who wrote it, and how wrong it is.
    unit
        The coarsest unit roundoff on the way to it.
    flat, length
        The shadow of all of it, of any shape, and how many elements that has; ``None`` until it is asked for.
    balls
        The same in ball arithmetic, in a row; ``None`` where there is none.
    in_balls
        Whether these are known, and so is all that it was made of.
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
        """The part of the shadow that stands for a tensor."""
        flat = self.flat
        assert flat is not None
        size, stride, offset = tensor.shape, tensor.stride(), tensor.storage_offset()
        if offset == 0 and flat.shape == size and flat.stride() == stride and flat.storage_offset() == 0:
            return flat
        return torch.as_strided(flat, size, stride, offset)


class Shadows:
    """The storages that a step has touched.

    Parameters
    ----------
    wide
        Whether there are shadows at all; else only the state is kept.
    narrow_in
        In which arithmetic 16-bit storages are shadowed.
    narrowing
        For which formats the tensors stand.
    """

    def __init__(self, *, wide: bool, narrow_in: torch.dtype, narrowing: Narrowing) -> None:
        self.wide = wide
        self.narrowing = narrowing
        self.narrow_in = narrow_in
        self.cells: dict[int, Cell] = {}
        self.leaves: dict[int, int] = {}
        """Parameters by their storages."""
        self._made = self._made_bytes = 0
        self._bearable = _LITTLE

    def cell(self, tensor: Tensor, key: int | None = None, *, fill: bool = True, counts: bool = False) -> Cell:
        """Return a tensor's storage; of one that was not met before the shadow is what it holds.

        Parameters
        ----------
        tensor, key
            Whose, and what identifies it where that is known.
        fill
            Whether what it holds is looked at.
        counts
            Whether it is a count, which has its own format.
        """
        if key is None:
            key = key_of(tensor)
        cell = self.cells.get(key)
        if cell is None or cell.dtype is not tensor.dtype or not (cell.flat is None or _fits(cell, tensor)):
            # The real view of a complex tensor was written by whoever wrote that.
            writer = cell.state.writer if cell is not None and cell.dtype.is_complex else -1
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
        """Unit roundoff of the format for which a tensor stands."""
        return UNIT[self.narrowing.format_of[tensor.dtype]]

    def restart(self, cell: Cell, tensor: Tensor) -> None:
        """Take what a storage holds for the truth."""
        length = tensor.untyped_storage().nbytes() // tensor.element_size()
        wide = self.width(tensor.dtype)
        self._made_bytes += length * wide.itemsize
        if not length:
            cell.flat, cell.length = torch.empty(0, dtype=wide, device=tensor.device), 0
            return
        cell.flat = torch.as_strided(tensor.detach(), (length,), (1,), 0).to(wide, copy=True)
        cell.length = length
        cell.balls, cell.in_balls = None, False

    def width(self, dtype: torch.dtype) -> torch.dtype:
        """The arithmetic of the shadow of a dtype."""
        return torch.float64 if dtype in (torch.float32, torch.float64) else self.narrow_in

    def new(self, tensor: Tensor, values: Tensor | None) -> Cell:
        """Return the storage of a new tensor, with a shadow that a replay has made; else what it holds."""
        storage = tensor.untyped_storage()
        cell = Cell(StorageWeakRef(storage), tensor.dtype, Source(-1), self.unit(tensor))
        self.cells[storage._cdata] = cell
        self._made += 1
        if not self.wide:
            return cell
        if values is None:
            self.restart(cell, tensor)
            return cell
        length, wide = storage.nbytes() // tensor.element_size(), self.width(tensor.dtype)
        self._made_bytes += length * wide.itemsize
        cell.length = length
        if _is_laid_out_as(values, tensor, length, wide):
            cell.flat = values if values.numel() == length else torch.as_strided(values, (length,), (1,), 0)
        else:
            cell.flat = torch.zeros(length, dtype=wide, device=tensor.device)
            cell.shadow(tensor).copy_(values)
        return cell

    def bare(self, storage: torch.UntypedStorage, dtype: torch.dtype, state: Source, unit: float) -> None:
        """Take note of a new storage that has no shadow, and of the state in which it was written."""
        self.cells[storage._cdata] = Cell(StorageWeakRef(storage), dtype, state, unit)
        self._made += 1

    def forget(self, tensor: Tensor) -> None:
        """Forget what a storage was: it was written anew."""
        self.cells.pop(key_of(tensor), None)

    def sweep_when_due(self) -> None:
        """Let go of the storages that the step has let go of, where there may be many of them.

        Their shadows are then never more than a quarter of those that are needed, or little.
        """
        if self._made < _SELDOM and self._made_bytes < self._bearable:
            return
        for key in [key for key, cell in self.cells.items() if cell.alive.expired()]:
            del self.cells[key]
        needed = sum(cell.flat.nbytes for cell in self.cells.values() if cell.flat is not None)
        self._made, self._made_bytes, self._bearable = 0, 0, max(_LITTLE, needed // 4)


def _fits(cell: Cell, tensor: Tensor) -> bool:
    return cell.length == tensor.untyped_storage().nbytes() // tensor.element_size()


def _is_laid_out_as(values: Tensor, tensor: Tensor, length: int, wide: torch.dtype) -> bool:
    return (
        values.dtype == wide
        and values.stride() == tensor.stride()
        and values.shape == tensor.shape
        and values.storage_offset() == tensor.storage_offset() == 0
        and values.untyped_storage().nbytes() == length * values.element_size()
    )
