"""Updates of parameters, buffers and optimizer state, compared with the same update in float64.

The comparison uses the operands of the step, so that it needs no shadow.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from harness.auditor.end import Ends
from harness.auditor.line import Line
from harness.auditor.operation import bare
from harness.auditor.shadow import Call, Cell, Shadows
from harness.exact.replay import replay
from harness.exact.tape import NARROW, UNIT, key_of, tensors

FAR = 0.1
"""Relative distance from its target at which an average must move."""


@dataclass(frozen=True, slots=True)
class Update:
    """An in-place change of something that outlives the step.

    Parameters
    ----------
    line, operation, dtype
        Line, name and format of the operation.
    leaf
        Identity of the parameter; ``None`` for optimizer state and buffers.
    wanted
        Number of elements that should have changed.
    still
        Number of these elements that did not change.
    lost
        Lost share of the update, by norm.
    ratio
        Norm of the update divided by the norm of the changed tensor.
    gap
        Relative distance of an average from its target; ``None`` if the update is not an average.
    share
        Share of the distance that an average covers in a step.
    buffer
        Name of the buffer, or an empty string.
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
        """Relative distance to the target at which an average no longer moves."""
        return UNIT[self.dtype] / self.share

    @property
    def headroom(self) -> float:
        """Factor between the update and the half ulp at which it is lost."""
        return self.ratio / UNIT[self.dtype]


def update_of(
    line: Line, operation: str, dtype: torch.dtype, leaf: int | None, before: Tensor, now: Tensor, exact: Tensor
) -> Update | None:
    """Compare an update with the exact one, in float64; return ``None`` if nothing should have changed."""
    wanted, moved = exact - before, now.detach().to(before.dtype) - before
    size, norm = float(torch.linalg.vector_norm(wanted)), float(torch.linalg.vector_norm(before))
    if not size > 0.0 or not math.isfinite(size) or not norm > 0.0:
        return None
    to_move = wanted != 0
    still = int(((moved == 0) & to_move).sum())
    lost = float(torch.linalg.vector_norm(moved - wanted)) / size
    return Update(line, operation, dtype, leaf, int(to_move.sum()), still, lost, size / norm)


class Changes:
    """Saves tensors before they change, and compares them afterwards."""

    def __init__(self, shadows: Shadows, ends: Ends) -> None:
        self.updates: list[Update] = []
        self.last_backward = 0
        """Number of results at the end of the last backward pass."""
        self._shadows, self._ends = shadows, ends
        self._format_of = shadows.narrowing.format_of

    def save_originals(self, call: Call, *, grad: bool) -> None:
        """Save the tensors that an operation is about to change."""
        operator, is_copy = call.operator, call.operator.base in ("copy", "_foreach_copy_")
        if operator.name in BATCH_NORMALIZATIONS:
            call.statistics = _copy_statistics(call.args)
        elif call.written and (not operator.overwrites or is_copy) and (not grad or self._is_buffer(call)):
            state_of = {id(tensor): cell for tensor, cell in zip(call.read, call.cells, strict=True)}
            for tensor in call.written:
                cell = state_of.get(id(tensor))
                if cell is None:
                    continue
                if cell.state.leaf is not None:
                    self._ends.save_initial_value(cell.state.leaf, tensor, cell)
                is_narrow = self._format_of[tensor.dtype] in NARROW
                may_stall = is_narrow or (cell.state.leaf is None and stalls(call, UNIT[tensor.dtype]))
                if may_stall and not is_copy and (self._persists(cell) or key_of(tensor) in self._ends.buffers):
                    call.before[id(tensor)] = tensor.to(torch.float64)
        elif call.cells and operator.name in ("sub", "add") and isinstance(call.args[0], Tensor):
            first, leaf = call.args[0], call.cells[0].state.leaf
            if leaf is not None and not first.requires_grad and first is call.read[0]:
                call.rebound = (leaf, first.to(torch.float64))
                call.before[id(first)] = call.rebound[1]
        elif operator.name == "mul" and call.cells and self._decays(call, grad=grad):
            call.rebound = (None, call.args[0].to(torch.float64))
            call.before[id(call.args[0])] = call.rebound[1]
        if operator.base in ("sub", "_foreach_sub") and self._ends.updated:
            written = {id(tensor) for tensor in call.written}
            self._ends.compensated |= {
                cell.state.leaf
                for tensor, cell in zip(call.read, call.cells, strict=True)
                if cell.state.leaf in self._ends.updated and id(tensor) not in written and cell.state.leaf is not None
            }

    def _is_buffer(self, call: Call) -> bool:
        """Whether an operation changes a buffer of a model."""
        return bool(self._ends.buffers) and any(key_of(tensor) in self._ends.buffers for tensor in call.written)

    def _decays(self, call: Call, *, grad: bool) -> bool:
        """Whether a state is multiplied by a number near one, as in ``mean = 0.999 * mean + 0.001 * batch_mean``."""
        if len(call.read) != 1 or not stalls(call, call.unit):
            return False
        is_state = not grad and call.cells[0].state.leaf is None and self._persists(call.cells[0])
        return is_state or call.keys[0] in self._ends.buffers

    def _persists(self, cell: Cell) -> bool:
        """Whether a storage is a parameter, or existed before the backward pass, as optimizer state does."""
        writer = cell.state.writer
        return cell.state.leaf is not None or writer is None or writer.number < self.last_backward

    def compare_changes(self, call: Call, result: Any, fresh: list[Tensor]) -> None:
        """Compare each change with the same change in float64."""
        if call.statistics:
            self._compare_statistics(call)
            return
        wide = {
            id(tensor): call.before[id(tensor)].clone() if id(tensor) in call.before else tensor.to(torch.float64)
            for tensor in call.read
        }
        repeated = replay(call.operator, call.args, call.kwargs, wide, result)
        leaf_of = {id(tensor): cell.state.leaf for tensor, cell in zip(call.read, call.cells, strict=True)}
        for now, before, exact in _find_changes(call, wide, repeated, fresh):
            leaf = leaf_of.get(id(now), None if call.rebound is None else call.rebound[0])
            operation = (call.line, call.operator.name, self._format_of[now.dtype])
            update = update_of(*operation, leaf, before, now, exact)
            if update is not None:
                buffer = self._ends.buffers.get(key_of(now) if call.rebound is None else call.keys[0], "")
                gap, share = _measure_average(call, update)
                self.updates.append(replace(update, buffer=buffer, gap=gap, share=share))

    def _compare_statistics(self, call: Call) -> None:
        """Compare running statistics with the exact ones."""
        for now, before, exact, gap in _measure_statistics(call.args, call.statistics):
            operation = (call.line, call.operator.name, self._format_of[now.dtype])
            update = update_of(*operation, None, before, now, exact)
            if update is not None:
                name = self._ends.buffers.get(key_of(now), "of batch_norm")
                self.updates.append(replace(update, gap=gap, share=float(call.args[_MOMENTUM]), buffer=name))

    def rebound(self, call: Call, now: Tensor) -> None:
        """Compare a parameter that is replaced instead of changed, as in ``w = w - rate * gradient``."""
        assert call.rebound is not None
        leaf, before = call.rebound
        cell, first = self._shadows.cells[key_of(now)], call.args[0]
        if leaf is not None and cell.flat is not None and now.shape == first.shape and id(first) in call.shadow_of:
            shadow = call.shadow_of[id(first)]
            self._ends.update(leaf, now, cell, before.to(shadow.dtype), shadow)


def stalls(call: Call, unit: float) -> bool:
    """Whether an average moves so slowly, or a decay is so close to one, that the format may not resolve it."""
    name, args = bare(call.operator.name), call.args
    if name == "lerp" and isinstance(args[2], float):
        return 0.0 < abs(args[2]) * FAR < unit
    return name == "mul" and isinstance(args[1], float) and 0.0 < abs(1.0 - args[1]) <= unit


def _measure_average(call: Call, update: Update) -> tuple[float | None, float]:
    """Return the distance of an average from its target, and the share of it that a step covers."""
    if bare(call.operator.name) != "lerp" or not isinstance(call.args[2], float) or update.leaf is not None:
        return None, 1.0
    share = abs(call.args[2])
    return update.ratio / share, share


def _find_changes(
    call: Call, wide: dict[int, Tensor], repeated: Any, fresh: list[Tensor]
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield each changed tensor with its old and its exact new value."""
    if call.rebound is not None and fresh:
        yield fresh[0], call.before[id(call.args[0])], tensors(repeated)[0]
        return
    for tensor in call.written:
        if id(tensor) in call.before:
            yield tensor, call.before[id(tensor)], wide[id(tensor)]


# Running statistics of batch normalization

BATCH_NORMALIZATIONS = {"native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm", "_native_batch_norm_legit"}
"""Batch normalizations with the same order of arguments."""

SLOW = 10
"""Momentum, in unit roundoffs, above which running statistics come close to the statistics of the batch."""

_MEAN, _VARIANCE, _TRAINING, _MOMENTUM = 3, 4, 5, 6


def _copy_statistics(args: Any) -> list[Tensor]:
    """Return float64 copies of the running statistics, if the momentum is small enough to matter."""
    if len(args) <= _MOMENTUM or not args[_TRAINING] or not isinstance(args[_MEAN], Tensor):
        return []
    if not isinstance(args[_VARIANCE], Tensor) or not 0.0 < args[_MOMENTUM] <= SLOW * UNIT[args[_MEAN].dtype]:
        return []
    return [args[_MEAN].to(torch.float64, copy=True), args[_VARIANCE].to(torch.float64, copy=True)]


def _measure_statistics(args: Any, before: list[Tensor]) -> Iterator[tuple[Tensor, Tensor, Tensor, float]]:
    """Yield each running statistic: new, old and exact value, and relative distance from that of the batch."""
    x = args[0].detach().to(torch.float64).transpose(0, 1).flatten(1)
    if x.shape[1] < 2:
        return
    deviation, momentum = x.std(1), float(args[_MOMENTUM])
    for index, then, of_batch in zip((_MEAN, _VARIANCE), before, (x.mean(1), deviation.square()), strict=True):
        scale = torch.maximum(then.abs(), deviation) if index == _MEAN else then.abs()
        gap = float(torch.linalg.vector_norm(of_batch - then)) / max(float(torch.linalg.vector_norm(scale)), 1e-300)
        yield args[index], then, then + momentum * (of_batch - then), gap
