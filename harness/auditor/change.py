"""What outlives the step and is changed: parameters and, in 16 bits, the state of optimizers.

An update is held beside the same in float64, of the very operands: what the format loses of it is then known without
a shadow.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from harness.auditor.end import Ends
from harness.auditor.given import Given
from harness.auditor.line import Line
from harness.auditor.naming import bare
from harness.auditor.operator import NARROW, UNIT, key_of, tensors
from harness.auditor.replay import replay
from harness.auditor.shadow import Cell, Shadows
from harness.auditor.statistic import NORMALIZATIONS, moved, running

FAR = 0.1
"""Distance of an average from its target, relative to its size, from which on it must move."""


@dataclass(frozen=True, slots=True)
class Update:
    """One in-place change of something that outlives the step, in 16 bits.

    Parameters
    ----------
    line, operation, dtype
        Whose.
    leaf
        The parameter; ``None`` for an optimizer's state.
    wanted
        Elements that were to move.
    still
        Those of them that did not.
    lost
        Normwise share of the update that was lost.
    ratio
        Norm of the update beside that of what it changes.
    gap
        Distance to what an average moves towards, relative to its size; ``None`` where it is no average.
    share
        Share of that distance by which it moves in a step.
    buffer
        Name of the buffer; empty where it is none.
    """

    line: Line
    operation: str
    dtype: torch.dtype
    leaf: int | None
    wanted: int
    still: int
    lost: float
    ratio: float
    gap: float | None = None
    share: float = 1.0
    buffer: str = ""

    @property
    def stops_at(self) -> float:
        """Distance to its target at which an average no longer moves, relative to its size."""
        return UNIT[self.dtype] / self.share

    @property
    def headroom(self) -> float:
        """By which factor the update is above the half ulp at which it is lost."""
        return self.ratio / UNIT[self.dtype]


def update_of(
    line: Line, operation: str, dtype: torch.dtype, leaf: int | None, before: Tensor, now: Tensor, exact: Tensor
) -> Update | None:
    """Say what of a change in place was lost; ``None`` where nothing was to change.

    Parameters
    ----------
    line, operation, dtype, leaf
        Whose.
    before, exact
        What it was, and what it should be, in float64.
    now
        What it is.
    """
    wanted, moved = exact - before, now.detach().to(before.dtype) - before
    size, norm = float(torch.linalg.vector_norm(wanted)), float(torch.linalg.vector_norm(before))
    if not size > 0.0 or not math.isfinite(size) or not norm > 0.0:
        return None
    to_move = wanted != 0
    still = int(((moved == 0) & to_move).sum())
    lost = float(torch.linalg.vector_norm(moved - wanted)) / size
    return Update(line, operation, dtype, leaf, int(to_move.sum()), still, lost, size / norm)


class Changes:
    """Keeps what is changed as it was, and compares.

    Parameters
    ----------
    shadows, ends
        The storages, and what counts in the end.
    """

    def __init__(self, shadows: Shadows, ends: Ends) -> None:
        self.updates: list[Update] = []
        self.last_backward = 0
        """Number of results when a backward pass last produced one."""
        self._shadows, self._ends = shadows, ends
        self._format_of = shadows.narrowing.format_of

    def before(self, given: Given, *, grad: bool) -> None:
        """Keep what is about to be changed.

        Parameters
        ----------
        given
            The operation.
        grad
            Whether gradients are recorded, as they are not where an optimizer updates.
        """
        operator = given.operator
        if operator.name in NORMALIZATIONS:
            given.statistics = running(given.args)
        elif given.written and not operator.overwrites and (not grad or self._is_buffer(given)):
            state_of = {id(tensor): cell for tensor, cell in zip(given.read, given.cells, strict=True)}
            for tensor in given.written:
                cell = state_of.get(id(tensor))
                if cell is None:
                    continue
                if cell.state.leaf is not None:
                    self._ends.before_update(cell.state.leaf, tensor, cell)
                is_narrow = self._format_of[tensor.dtype] in NARROW
                may_stall = is_narrow or (cell.state.leaf is None and stalls(given, UNIT[tensor.dtype]))
                if may_stall and (self._persists(cell) or key_of(tensor) in self._ends.buffers):
                    given.before[id(tensor)] = tensor.to(torch.float64)
        elif given.cells and operator.name in ("sub", "add") and isinstance(given.args[0], Tensor):
            first, leaf = given.args[0], given.cells[0].state.leaf
            if leaf is not None and not first.requires_grad and first is given.read[0]:
                given.rebound = (leaf, first.to(torch.float64))
                given.before[id(first)] = given.rebound[1]
        elif operator.name == "mul" and self._decays(given):
            given.rebound = (None, given.args[0].to(torch.float64))
            given.before[id(given.args[0])] = given.rebound[1]
        if operator.base in ("sub", "_foreach_sub") and self._ends.updated:
            written = {id(tensor) for tensor in given.written}
            self._ends.compensated |= {
                cell.state.leaf
                for tensor, cell in zip(given.read, given.cells, strict=True)
                if cell.state.leaf in self._ends.updated and id(tensor) not in written and cell.state.leaf is not None
            }

    def _is_buffer(self, given: Given) -> bool:
        """Whether a buffer of a model is changed, which no gradient passes through."""
        return bool(self._ends.buffers) and any(key_of(tensor) in self._ends.buffers for tensor in given.written)

    def _decays(self, given: Given) -> bool:
        """Whether a buffer is multiplied by a number near one, as in ``mean = 0.999 * mean + 0.001 * batch_mean``."""
        return bool(self._ends.buffers) and given.keys[0] in self._ends.buffers and stalls(given, given.unit)

    def _persists(self, cell: Cell) -> bool:
        """Whether a storage is a parameter, or was there before the gradients were: an optimizer's state."""
        return cell.state.leaf is not None or cell.state.writer < self.last_backward

    def after(self, given: Given, result: Any, fresh: list[Tensor]) -> None:
        """Compare what was changed with the same in float64.

        Raises
        ------
        RuntimeError, NotImplementedError, TypeError, IndexError, ValueError
            If the operator is not there in float64.
        """
        if given.statistics:
            self._after_statistics(given)
            return
        wide = {
            id(tensor): given.before[id(tensor)].clone() if id(tensor) in given.before else tensor.to(torch.float64)
            for tensor in given.read
        }
        again = replay(given.operator, given.args, given.kwargs, wide, result, lambda _: torch.float64)
        leaf_of = {id(tensor): cell.state.leaf for tensor, cell in zip(given.read, given.cells, strict=True)}
        for now, before, exact in _changed(given, wide, again, fresh):
            leaf = leaf_of.get(id(now), None if given.rebound is None else given.rebound[0])
            at = (given.line, given.operator.name, self._format_of[now.dtype])
            update = update_of(*at, leaf, before, now, exact)
            if update is not None:
                buffer = self._ends.buffers.get(key_of(now) if given.rebound is None else given.keys[0], "")
                gap, share = _average(given, update)
                self.updates.append(replace(update, buffer=buffer, gap=gap, share=share))

    def _after_statistics(self, given: Given) -> None:
        """Compare running statistics with what they should be."""
        for one in moved(given.args, given.statistics):
            at = (given.line, given.operator.name, self._format_of[one.now.dtype])
            update = update_of(*at, None, one.before, one.now, one.exact)
            if update is not None:
                name = self._ends.buffers.get(key_of(one.now), "of batch_norm")
                self.updates.append(replace(update, gap=one.gap, share=one.share, buffer=name))

    def rebound(self, given: Given, now: Tensor) -> None:
        """Compare a parameter that was not changed but bound anew, as ``w = w - rate * gradient`` does."""
        assert given.rebound is not None
        leaf, before = given.rebound
        cell, first = self._shadows.cells[key_of(now)], given.args[0]
        if leaf is not None and cell.flat is not None and now.shape == first.shape and id(first) in given.shadow_of:
            shadow = given.shadow_of[id(first)]
            self._ends.update(leaf, now, cell, before.to(shadow.dtype), shadow)


def stalls(given: Given, unit: float) -> bool:
    """Whether an average moves by so little, or a decay is so near one, that the format may not resolve it."""
    name, args = bare(given.operator.name), given.args
    if name == "lerp" and isinstance(args[2], float):
        return 0.0 < abs(args[2]) * FAR < unit
    return name == "mul" and isinstance(args[1], float) and 0.0 < abs(1.0 - args[1]) <= unit


def _average(given: Given, update: Update) -> tuple[float | None, float]:
    """Distance of an average from what it moves towards, and the share by which it moves."""
    if bare(given.operator.name) != "lerp" or not isinstance(given.args[2], float) or update.leaf is not None:
        return None, 1.0
    share = abs(given.args[2])
    return update.ratio / share, share


def _changed(
    given: Given, wide: dict[int, Tensor], again: Any, fresh: list[Tensor]
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield what was changed: as it is now, as it was, as it should be."""
    if given.rebound is not None and fresh:
        yield fresh[0], given.before[id(given.args[0])], tensors(again)[0]
        return
    for tensor in given.written:
        if id(tensor) in given.before:
            yield tensor, given.before[id(tensor)], wide[id(tensor)]
