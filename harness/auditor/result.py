"""Stores each result: its size, whether it is finite, and its distance from the shadow.

Complex tensors have no shadow; only their writers and whether they are finite are stored.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from harness.auditor.balls import Exact
from harness.auditor.fair import is_fair
from harness.auditor.operation import FirstNonfinite, Operation, Source
from harness.auditor.remedy import REASONS
from harness.auditor.shadow import (
    Call,
    Cell,
    Distance,
    Narrowing,
    Shadows,
    compute_underflow_share,
    distance,
    distance_where_finite,
    extent,
    has_emptied,
)
from harness.compat.torch import current_autograd_node
from harness.exact.replay import replay
from harness.exact.tape import FAILURES, FLOATING, NARROW, SMALLEST, UNIT, Operator, is_followed, key_of, tensors

SUMS = {"sum", "mm", "bmm", "addmm", "mean"}
_STEEP = 100.0
"""Factor between output and input error above which balls re-check a result."""

_OF_TWO_TERMS = {"add", "sub", "rsub"}
_ABSORBED, _CANCELLED = 2.0**-50, 2.0**-40
"""Relative size of a term that float64 absorbs, and of a difference of such sums."""

GROWS = {"exp", "expm1", "exp2", "sinh", "cosh"}

NORMALIZATIONS = {"native_batch_norm", "native_layer_norm", "native_group_norm", "cudnn_batch_norm"}
"""Operations that return the mean next to the result: often zero up to rounding, which is harmless."""


class Notes:
    """Stores the results of a step in execution order."""

    def __init__(self, narrowing: Narrowing, exact: Exact) -> None:
        self.operations: list[Operation] = []
        self.blind: Counter[str] = Counter()
        """Operations that could not be followed, by name and line."""
        self._format_of = narrowing.format_of
        self._exact = exact

    def is_blind(self, call: Call, how: str = "") -> None:
        """Count an operation that could not be repeated, with its line."""
        self.blind[f"{call.operator.name}{how} at {call.line.file}:{call.line.number}"] += 1

    def note(self, call: Call, tensor: Tensor, cell: Cell, *, is_new: bool, is_secondary: bool = False) -> None:
        """Store a result and its distance from the shadow."""
        least, largest = extent(tensor)
        dtype = tensor.dtype if call.as_it_is else self._format_of[tensor.dtype]
        number, name, unit = len(self.operations), call.operator.name, max(UNIT[dtype], call.unit)
        place = (number, call.line, name, call.backward, dtype, tensor.shape)
        operation = Operation(
            *place, call.sources, unit, read_error=call.error, largest=max(-least, largest), least=least
        )
        self.operations.append(operation)
        if not operation.largest < math.inf:
            self._note_not_finite(call, operation, tensor, cell)
        if cell.flat is not None and not (is_secondary and name in NORMALIZATIONS):
            self._measure(call, operation, tensor, cell)
            if least <= 0.0 <= largest < math.inf and not call.backward:
                operation.has_emptied = has_emptied(tensor, cell.shadow(tensor), SMALLEST[dtype])
        if name in GROWS and is_new:
            operation.read_range = extent(call.read[0])
        if dtype in NARROW and tensor.dim() == 0 and call.operator.base == "add":
            operation.added = _measure_term(call, tensor)
        self._leave(cell, operation, whole=is_new or is_whole(tensor))

    def brief(self, call: Call, tensor: Tensor, leaf: int | None = None) -> tuple[Source, float]:
        """Store a result that needs no shadow and no rule; return its state and unit roundoff.

        Equivalent to :meth:`note` for whole storages, in a third of the time.
        """
        least, largest = extent(tensor)
        largest = max(-least, largest)
        dtype = tensor.dtype
        unit = max(UNIT[dtype], call.unit)
        number = len(self.operations)
        place = (number, call.line, call.operator.name, call.backward, dtype, tensor.shape)
        operation = Operation(*place, call.sources, unit, 0.0, 0.0, False, False, 0.0, largest, least)  # noqa: FBT003 - by place, as it is quicker
        self.operations.append(operation)
        if not largest < math.inf:
            self._note_not_finite(call, operation, tensor, None)
        return Source(operation, 0.0, 0.0, operation.nan, operation.inf, leaf, largest), unit

    def _note_not_finite(self, call: Call, operation: Operation, actual: Tensor, cell: Cell | None) -> None:
        sources = call.sources
        operation.nan = math.isnan(operation.largest)
        operation.inf = not operation.nan or bool(actual.isinf().any())
        from_outside = all(s.writer is None or s.writer.meant for s in sources if s.inf)
        infinity_given = any(isinstance(x, float) and math.isinf(x) for x in call.args)
        operation.meant = infinity_given and from_outside
        if operation.meant and not operation.nan:
            return  # infinities of a mask
        if not call.nan and (operation.nan or not call.inf):
            shadow = cell.shadow(actual) if cell is not None and cell.flat is not None else None
            first_nonfinite = find_first_nonfinite(call, actual, shadow, nan=operation.nan)
            if first_nonfinite.again and operation.dtype is torch.float64:  # the repetition was no wider
                first_nonfinite.again = not self._exact.is_finite(call.operator, first_nonfinite.operands)
            operation.first_nonfinite = first_nonfinite
        elif operation.inf and not operation.nan and from_outside:
            operation.meant = True

    def _measure(self, call: Call, operation: Operation, actual: Tensor, cell: Cell) -> None:
        shadow = cell.shadow(actual)
        finite = not (operation.nan or operation.inf)
        measure = distance if finite else distance_where_finite
        measured: Distance = measure(actual, shadow, operation.dtype)
        if math.isnan(measured.error):
            # The shadow divided by zero and the step did not: the exact value is unknown.
            shadow.copy_(torch.where(shadow.isfinite(), shadow, actual.to(shadow.dtype)))
            self.is_blind(call, " (shadow not finite)")
            measured = distance(actual, shadow, operation.dtype)
        operation.error, operation.spread = measured
        if finite and call.operator.base in _OF_TWO_TERMS and not cell.in_balls:
            self._absorb(call, operation)
        if cell.in_balls:
            operation.confirmed = True
        elif (
            (cell.balls is None or operation.dtype is not torch.float64)
            and finite
            and not call.written
            and operation.worst > _STEEP * max(call.error, operation.unit)
        ):
            wrong = _STEEP / 10 * max(call.error, operation.unit)
            operation.question = self._exact.question(call, actual, shadow, wrong)
        if finite and operation.worst > _STEEP * max(call.error, operation.unit):
            operation.is_fair = is_fair(call, operation, actual, shadow)
        if operation.error > 0.3 and finite:
            operation.vanished = compute_underflow_share(actual, shadow, SMALLEST[operation.dtype])
        if finite and call.operator.base in SUMS and operation.error > 100 * max(operation.read_error, operation.unit):
            operation.cancelled = self._measure_cancellation(call)

    def _absorb(self, call: Call, operation: Operation) -> None:
        """Record a term that float64 absorbs too, and report differences of such sums as not followed."""
        sizes = [source.largest for source in call.sources]
        sizes += [abs(float(x)) for x in call.args[:2] if isinstance(x, int | float)]
        largest = max(sizes)
        operation.absorbs = len(sizes) > 1 and 0.0 < min(sizes) <= _ABSORBED * largest
        if operation.largest <= _CANCELLED * largest and any(
            source.writer is not None and source.writer.absorbs for source in call.sources
        ):
            self.is_blind(call, " (float64 loses its digits, too)")

    def _measure_cancellation(self, call: Call) -> float:
        """Return the sum of the sizes of the terms, divided by the size of their sum."""
        sizes = {identity: shadow.abs() for identity, shadow in call.shadow_of.items()}
        args = (call.operator, call.args, call.kwargs)
        try:
            above = replay(*args, sizes, None)
            below = replay(*args, call.shadow_of, None)
        except FAILURES:
            return 0.0
        size = float(torch.linalg.vector_norm(below))
        return float(torch.linalg.vector_norm(above)) / size if size > 0.0 else math.inf

    @staticmethod
    def _leave(cell: Cell, operation: Operation, *, whole: bool) -> None:
        """Store the state of a storage after the operation."""
        before = cell.state
        worst = (0.0, 0.0) if whole else (before.error, before.spread)
        error, spread = max(operation.error, worst[0]), max(operation.spread, worst[1])
        largest = operation.largest if whole else max(operation.largest, before.largest)
        cell.state = Source(operation, error, spread, operation.nan, operation.inf, before.leaf, largest)
        cell.unit = operation.unit if whole else max(operation.unit, cell.unit)


def _measure_term(call: Call, total: Tensor) -> tuple[float, float] | None:
    """Return the absolute values of a scalar sum's last term and of its total."""
    size = abs(float(total))
    term = call.args[1] if len(call.args) > 1 else None
    if term is None or not math.isfinite(size):
        return None
    return abs(float(term)), size


def is_whole(tensor: Tensor) -> bool:
    """Whether a tensor covers its whole storage."""
    return tensor.numel() * tensor.element_size() == tensor.untyped_storage().nbytes()


def find_first_nonfinite(call: Call, actual: Tensor, shadow: Tensor | None, *, nan: bool) -> FirstNonfinite:
    """Describe the first NaN (``nan``) or infinity of a result."""
    bad = actual.isnan() if nan else actual.isinf()
    first = int(bad.flatten().to(torch.uint8).argmax())
    index = tuple(int(coordinate) for coordinate in np.unravel_index(first, actual.shape))
    wide = _repeat_element(call.operator, call.args, call.kwargs, actual, index)
    operands = tuple(_find_operand(argument, actual, index) for argument in call.args[:3])
    exact_operands = tuple(_find_operand(call.shadow_of.get(id(argument)), actual, index) for argument in call.args[:3])
    exact, again = None if shadow is None else float(shadow[index]), wide is None or not math.isfinite(wide)
    node = current_autograd_node() if call.backward else None
    slope_of = "" if node is None else re.sub("(?<!^)(?=[A-Z])", "_", node.name().partition("Backward")[0]).lower()
    reason = REASONS.get(call.operator.name, lambda _: None)(call.args)
    return FirstNonfinite(*_count_elements(bad), operands, exact, again, wide, exact_operands, slope_of, reason)


def _count_elements(bad: Tensor) -> tuple[int, int, int, int]:
    """Count the chosen elements, all elements, the rows with a chosen element, and all rows."""
    rows = bad.flatten(0, -2).any(-1) if bad.dim() > 1 else bad
    return int(bad.sum()), bad.numel(), int(rows.sum()), rows.numel()


def _find_operand(argument: Any, result: Tensor, index: tuple[int, ...]) -> float | None:
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


def _repeat_element(operator: Operator, args: Any, kwargs: Any, actual: Tensor, index: tuple[int, ...]) -> float | None:
    """Return the result in float64 for the same operands; ``None`` if they are overwritten."""
    if operator.writes:
        return None
    wide = {id(tensor): tensor.detach().to(torch.float64) for tensor in tensors(args) if is_followed(tensor)}
    try:
        results = tensors(replay(operator, args, kwargs, wide, actual))
    except FAILURES:
        return None
    return None if not results or results[0].shape != actual.shape else float(results[0][index])


_REAL = {torch.complex32: torch.float16, torch.complex64: torch.float32, torch.complex128: torch.float64}


def complex_tensors(value: Any) -> list[Tensor]:
    """Return the complex tensors in a value."""
    return [tensor for tensor in tensors(value) if tensor.is_complex() and tensor.layout is torch.strided]


def iter_states(read: Sequence[Tensor], shadows: Shadows) -> Iterator[Source]:
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
    place = (number, call.line, call.operator.name, call.backward, dtype, tensor.shape)
    operation = Operation(*place, call.sources, unit, nan=nan, inf=inf)
    if (nan and not call.nan) or (inf and not call.inf and not call.nan):
        bad = tensor.isnan() if nan else tensor.isinf()
        operation.first_nonfinite = FirstNonfinite(*_count_elements(bad), (), exact=None, again=nan)
    operations.append(operation)
    state = Source(operation, nan=nan, inf=inf)
    shadows.cells[key_of(tensor)] = Cell(StorageWeakRef(tensor.untyped_storage()), tensor.dtype, state, unit)
