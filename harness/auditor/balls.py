"""Ball arithmetic for storages whose float64 shadow has too few digits.

The midpoint of a ball is written to the shadow, so that later comparisons use the exact value.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from flint import arb, ctx
from torch import Tensor

from harness.auditor.shadow import Call, Cell
from harness.exact.elementwise import ELEMENTWISE, PRECISION, Balls, view_strided
from harness.exact.operators import BY_ROWS, NOT_OURS, OPERATIONS, PRODUCTS, UNKNOWN, carried_out, operation_of_each
from harness.exact.tape import FLOATING, Operator, length_of, tensors
from harness.floats import to_arb

MAX_ADDITIONS = 6_000_000
"""Budget of a step, in additions of balls at a tenth of a microsecond each."""

FEW, WORTH, EACH = 256, 300_000, 200
"""Storage size below which balls are used in every format; additions allowed for a step; additions allowed per call."""

QUESTIONS, MAX_AT_ONCE = 6_000, 1_500
"""Maximum number of inputs for all checks of lost digits with balls, and for one check."""

_OF_SHADOW = arb(0, arb(2) ** -45)
"""Assumed relative uncertainty of a number in a shadow."""

_KNOWN_BITS = 60
_NOTHING = arb(2) ** -150
"""Size below which a ball counts as an exact zero."""

_COST = {**dict.fromkeys(BY_ROWS, 15), **dict.fromkeys(ELEMENTWISE, 10)}
_CHEAP = {"add", "sub", "rsub", "mul", "neg", "abs", "sum", "mean", "where", "masked_fill", "copy", "zero"}
_MULTIPLICATIONS_FOR_AN_ADDITION = 6
"""Multiplications within a matrix product that cost as much as an addition."""

Values = list[tuple[Tensor, Balls]]
Question = Callable[[], bool | None]
"""Returns ``None`` if balls cannot decide."""


class Exact:
    """Repeats operations of a step in ball arithmetic, within a budget."""

    def __init__(self, followed: frozenset[torch.dtype], *, when_few: bool = False) -> None:
        self.when_few = when_few
        self._however_many = followed
        self.followed = frozenset(FLOATING) if when_few else followed
        self.left = MAX_ADDITIONS
        self._left_for_few = WORTH
        self.questions = QUESTIONS

    def are_few(self, call: Call, result: Any) -> bool:
        """Whether the step is still small enough for ball arithmetic in every format."""
        self._left_for_few -= EACH + sum(cell.length for cell in call.cells)
        is_small = all(cell.length <= FEW for cell in call.cells)
        return is_small and self._left_for_few > 0 and all(tensor.numel() <= FEW for tensor in tensors(result))

    def follow_no_more(self, cells: Iterable[Cell]) -> None:
        """Drop the balls of formats that only small steps have."""
        self.when_few, self.followed = False, self._however_many
        for cell in cells:
            if cell.dtype not in self.followed:
                cell.balls, cell.in_balls = None, False

    def must_know(self, call: Call) -> bool:
        """Whether a missing ball must be reported."""
        return all(tensor.dtype in self._however_many for tensor in call.read)

    def concerns(self, call: Call) -> bool:
        """Whether an operation is repeated in ball arithmetic."""
        return bool(call.read) and all(tensor.dtype in self.followed for tensor in call.read)

    def values(self, call: Call, result: Any) -> Values | None:
        """Return the exact results of an operation; ``None`` if they are unknown."""
        returned = [tensor for tensor in tensors(result) if tensor.dtype in FLOATING]
        written = call.written if call.operator.writes else returned
        if not written:
            return []
        if any(tensor.dtype not in self.followed for tensor in written):
            return []
        cost = _estimate_cost(call, written)
        if cost > self.left:
            return None
        self.left -= cost
        try:
            with ctx.workprec(PRECISION):
                return list(self._compute_balls(call, result, written))
        except UNKNOWN:
            return None

    def _compute_balls(self, call: Call, result: Any, written: list[Tensor]) -> Iterator[tuple[Tensor, Balls]]:
        balls = {id(t): self.get_balls(t, cell) for t, cell in zip(call.read, call.cells, strict=True)}

        def get_balls(tensor: Tensor) -> Any:
            return balls[id(tensor)] if id(tensor) in balls else tensor.detach().numpy(force=True)

        args, kwargs = _map_tensors(get_balls, call.args), _map_tensors(get_balls, call.kwargs)
        made = carried_out(call.operator, args, kwargs, call.args, result)
        for tensor, values in zip(written, made, strict=False):
            if values is not None:
                yield tensor, np.broadcast_to(np.asarray(values, dtype=object), tensor.shape)

    def question(self, call: Call, actual: Tensor, shadow: Tensor, wrong: float) -> Question | None:
        """Return a function that checks with balls whether a result, rather than its shadow, is wrong.

        The function is called later, and only if the operation is blamed. Return ``None`` if balls cannot decide.

        Notes
        -----
        Each operand is a ball around its shadow with a relative radius of 2^-45, which covers the previous errors of
        float64. If such balls cancel, neither they nor float64 can decide.
        """
        name = call.operator.base
        if name not in OPERATIONS or self.questions <= 0:
            return None
        off = (actual.to(torch.float64) - shadow).abs()
        sizes = shadow.abs().clamp_min(torch.finfo(actual.dtype).smallest_normal)
        share = (off / sizes).clamp_max(1.0)
        position = int(torch.where(share >= share.max() / 2, sizes, -1.0).argmax())  # the largest of the wrong elements
        index = tuple(int(axis) for axis in np.unravel_index(position, actual.shape))
        try:
            shadows = _map_tensors(lambda x: call.shadow_of.get(id(x), x), call.args)
            args = _read_for(name, shadows, actual.shape, index)
            elements = sum(tensor.numel() for tensor in tensors(args))
            if elements > min(self.questions, MAX_AT_ONCE):
                return None
            self.questions -= elements
        except UNKNOWN:
            return None
        named = {} if name in _SUMS else {key: x for key, x in call.kwargs.items() if key not in NOT_OURS}
        copies = _map_tensors(lambda x: x.detach().clone(), args)  # the step may overwrite them before the check
        numbers = [float(values.flatten()[position]) for values in (actual, shadow)]
        shape = actual.shape

        def answer() -> bool | None:
            try:
                with ctx.workprec(PRECISION):
                    made = OPERATIONS[name](*_map_tensors(_make_balls, copies), **named)
                    first = np.asarray(made[0] if isinstance(made, tuple) else made, dtype=object)
                    true = first.item() if first.size == 1 else np.broadcast_to(first, shape)[index]
                    error, shadow_error = (abs(arb(number) - true) for number in numbers)
                    if error > abs(true) * arb(wrong) and error > shadow_error:
                        return True
                    return False if error < shadow_error else None
            except UNKNOWN:
                return None

        return answer

    def get_balls(self, tensor: Tensor, cell: Cell) -> Balls:
        """Return the balls of a tensor; without balls, convert the shadow."""
        if cell.balls is None:
            cell.balls, cell.in_balls = _convert_shadow(tensor, cell), cell.state.writer is None
            self.left -= length_of(tensor)
        return _part(cell.balls, tensor)

    def keep(self, call: Call, tensor: Tensor, cell: Cell, values: Balls) -> None:
        """Store exact results, and write the known ones to the shadow."""
        shadow = cell.shadow(tensor)
        if cell.balls is None:
            cell.balls = _convert_shadow(tensor, cell)
        is_known = np.asarray(np.frompyfunc(_is_known, 1, 1)(values), dtype=bool)
        cell.in_balls = bool(is_known.all()) and all(read.in_balls for read in call.cells)
        rough = shadow.numpy(force=True)
        rounded = np.array(rough, dtype=np.float64)
        rounded[is_known] = [float(ball.mid()) for ball in values[is_known]]
        _part(cell.balls, tensor)[...] = np.where(is_known, values, to_arb(rough))
        shadow.copy_(torch.from_numpy(rounded))

    def is_finite(self, operator: Operator, operands: Sequence[float | None]) -> bool:
        """Whether the exact result for these operands is finite."""
        if operator.base not in ELEMENTWISE or None in operands:
            return False
        with ctx.workprec(PRECISION):
            try:
                value = ELEMENTWISE[operator.base](*map(to_arb, operands))
            except UNKNOWN:
                return False
        return bool(np.asarray(value, dtype=object).item().is_finite())


_SUMS = ("sum", "mean")


def _read_for(name: str, args: Any, shape: Sequence[int], index: tuple[int, ...]) -> list[Any]:
    """Return the inputs of a single element of the result; all inputs if these are unknown."""

    def entry(value: Any) -> Any:
        return value.expand(shape)[index] if isinstance(value, Tensor) else value

    if name in ELEMENTWISE:
        return [entry(value) for value in args]
    if name in ("mm", "addmm"):
        *before, a, b = args
        return [*(entry(bias).view(1, 1) for bias in before), a[index[0]][None], b[:, index[1]][:, None]]
    if name not in _SUMS:
        return list(args)
    x, *call = args
    axes = range(x.dim()) if not call or not call[0] else [axis % x.dim() for axis in call[0]]
    if len(call) < 2 or not call[1]:  # without keepdim
        x = x.movedim(list(axes), list(range(-len(axes), 0)))
        return [x[index]]
    return [x[tuple(slice(None) if axis in axes else coordinate for axis, coordinate in enumerate(index))]]


def _map_tensors(function: Callable[[Tensor], Any], value: Any) -> Any:
    """Apply a function to all tensors of an argument."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, dict):
        return {key: _map_tensors(function, inner) for key, inner in value.items()}
    return [_map_tensors(function, inner) for inner in value] if isinstance(value, list | tuple) else value


def _make_balls(shadow: Tensor) -> Any:
    """Return balls around shadow values."""
    numbers = shadow.detach().numpy(force=True)
    if not shadow.dtype.is_floating_point:
        return numbers
    exactly = to_arb(numbers)
    return exactly + exactly * _OF_SHADOW


def _is_known(ball: arb) -> bool:
    return bool(
        ball.is_finite() and (ball.is_exact() or ball.rel_accuracy_bits() >= _KNOWN_BITS or ball.abs_upper() < _NOTHING)
    )


def _convert_shadow(tensor: Tensor, cell: Cell) -> Balls:
    """Return the shadow of a storage as a row of balls."""
    assert cell.flat is not None
    return to_arb(torch.as_strided(cell.flat, (length_of(tensor),), (1,), 0).numpy(force=True))


def _part(flat: Balls, tensor: Tensor) -> Balls:
    """Return the view of a storage that belongs to a tensor."""
    return view_strided(flat, tensor.shape, tensor.stride(), int(tensor.storage_offset()))


def _estimate_cost(call: Call, written: list[Tensor]) -> int:
    """Return the cost in additions."""
    name = operation_of_each(call.operator.base)
    elements = max(sum(t.numel() for t in call.read), sum(t.numel() for t in written))
    if name in PRODUCTS:
        inner = call.args[-1].shape[-2] if call.args[-1].dim() > 1 else 1
        return elements + sum(t.numel() for t in written) * inner // _MULTIPLICATIONS_FOR_AN_ADDITION
    return elements * (1 if name in _CHEAP else _COST.get(name, 3))
