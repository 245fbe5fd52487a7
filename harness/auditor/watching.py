"""The mode that sees every operation of a step: it lets torch carry it out, then does the same on the shadows."""

import math
from collections import Counter
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from harness.auditor.birth import birth_of
from harness.auditor.change import Changes
from harness.auditor.end import Ends
from harness.auditor.exact import Exact, Values
from harness.auditor.given import Given
from harness.auditor.line import Lines, Pass
from harness.auditor.measure import Distance, distance, distance_where_finite, extent, vanished
from harness.auditor.narrowing import Narrowing
from harness.auditor.operation import Operation, Source
from harness.auditor.operator import (
    FLOATING,
    INTEGERS,
    NARROW,
    OPERATORS,
    SMALLEST,
    UNIT,
    Operator,
    is_followed,
    key_of,
    operator_of,
    tensors,
)
from harness.auditor.replay import FAILURES, replay
from harness.auditor.rules import Rules
from harness.auditor.shadow import Cell, Shadows
from harness.record.audit import WhatIf

_FINE = UNIT[torch.float32]

_SUMS = {"sum", "mm", "bmm", "addmm", "mean"}
_STEEP = 100.0
"""By how much more than what it reads a result is wrong, before balls are asked whether it is."""

_OF_TWO_TERMS = {"add", "sub", "rsub"}
_ABSORBED, _CANCELLED = 2.0**-50, 2.0**-40
"""Sizes beside the larger term: of one that float64 absorbs, and of a difference of what it had absorbed."""

_GROWS = {"exp", "expm1", "exp2", "sinh", "cosh"}
_IN_WIDTH = {"_to_copy", "div", "mean", "sum"}
"""What makes floats of integers, whose exact result a shadow can hold."""

_NORMALIZATIONS = {"native_batch_norm", "native_layer_norm", "native_group_norm", "cudnn_batch_norm"}
"""What returns the mean beside its result: zero up to rounding in many networks, and harmless beside the deviation."""

_UNSAID_WRITES = {"native_batch_norm": 4, "cudnn_batch_norm": 4, "miopen_batch_norm": 4}
"""The running variance, which is changed and the schema does not tell; the mean before it is zero but for rounding."""


class Watching(TorchDispatchMode):
    """Follows a step.

    Parameters
    ----------
    full
        Whether there is a shadow; else only events are looked at: what is not finite, rules, headroom.
    balls
        Whether every format has balls beside its shadow; else float64 alone, whose shadow is its own arithmetic, and
        the others as long as the step is small.
    narrow_in
        The arithmetic of the shadows of 16-bit storages.
    what_if
        As if in which format float32 is computed.
    """

    def __init__(
        self,
        *,
        full: bool = True,
        balls: bool = False,
        narrow_in: torch.dtype = torch.float64,
        what_if: WhatIf | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.full = full
        self.narrowing = Narrowing(what_if)
        self._format_of = self.narrowing.format_of
        self.shadows = Shadows(wide=full, narrow_in=narrow_in, narrowing=self.narrowing)
        self.lines = Lines()
        self.ends = Ends(self.shadows, self.lines)
        self.rules = Rules(self.narrowing)
        self.operations: list[Operation] = []
        self.changes = Changes(self.shadows, self.ends)
        followed = frozenset(FLOATING if balls else (torch.float64,))
        self.exact = Exact(followed, when_few=full and not balls and what_if is None)
        self.blind: Counter[str] = Counter()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Leave torch's compiler alone, which takes a second to be imported."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Carry an operation out, in the caller's own state, and look at it."""
        kwargs = kwargs or {}
        operator = OPERATORS.get(id(func)) or operator_of(func)
        if operator.is_ignored:
            return func(*args, **kwargs)
        every = tensors(args)
        if kwargs:
            every += tensors(list(kwargs.values()))
        for tensor in every:
            if tensor.requires_grad and tensor.is_leaf:
                self.ends.meet(tensor)
        if operator.is_view:
            return func(*args, **kwargs)
        read = [tensor for tensor in every if is_followed(tensor)]
        if operator.is_constant or operator.draws:
            return self._new_numbers(operator, args, kwargs, read)
        if not read and not (self.full and operator.name in _IN_WIDTH):
            return self._integers(operator, args, kwargs, every)
        grad = torch.is_grad_enabled()
        if not grad and not torch._C._is_any_autocast_enabled():  # as in backward passes and optimizers
            given = self._given(operator, args, kwargs, read, grad=grad)
            result = func(*args, **kwargs)
            self._look(given, result)
            return result
        with _Quietly():
            given = self._given(operator, args, kwargs, read, grad=grad)
        result = func(*args, **kwargs)
        with _Quietly():
            self._look(given, result)
        return result

    # What needs no shadow

    def _new_numbers(self, operator: Operator, args: Any, kwargs: Any, read: list[Tensor]) -> Any:
        """Constants and draws are what they are."""
        dropout = self.full and "dropout" in operator.name and operator.draws
        given = None
        if dropout and read:
            with _Quietly():
                given = self._given(operator, args, kwargs, read, grad=True)
        if operator.writes:
            self._keep(read)
        result = operator.overload(*args, **kwargs)
        if given is not None:
            with _Quietly():
                self._look(given, result)
            return result
        for tensor in tensors(result):
            if tensor.dtype in UNIT:
                self.shadows.forget(tensor)
        if operator.name == "arange" and isinstance(result, Tensor) and self._format_of.get(result.dtype) in NARROW:
            with _Quietly():
                self.narrowing.round(result)
                self.rules.look(self.lines.asked()[0], operator, args, result, nan_read=False)
        return result

    def _integers(self, operator: Operator, args: Any, kwargs: Any, every: list[Tensor]) -> Any:
        if operator.writes:
            self._keep(every)
        result = operator.overload(*args, **kwargs)
        if any(tensor.dtype in INTEGERS for tensor in every):
            with _Quietly():
                self.rules.integers(self.lines.asked()[0], operator, args, result)
        return result

    def _keep(self, overwritten: list[Tensor]) -> None:
        """Keep what an operation changes that is not looked at, where it is to be put back."""
        if self.narrowing.is_asked:
            with _Quietly():
                for tensor in overwritten:
                    self.narrowing.keep(tensor)

    # Before

    def _given(self, operator: Operator, args: Any, kwargs: Any, read: list[Tensor], *, grad: bool) -> Given:
        self.shadows.sweep_when_due()
        line, asked = self.lines.asked()
        backward = asked is Pass.BACKWARD
        written = operator.written(args, kwargs) if operator.writes else []
        if operator.name in _UNSAID_WRITES:
            written += [tensor for tensor in tensors(args[_UNSAID_WRITES[operator.name]]) if is_followed(tensor)]
        counts = self.narrowing.rounds and not grad and _is_count(operator, args, written)
        overwritten = written if operator.overwrites or (written and "out" in kwargs) else ()
        keys, cells, sources, unit, error, nan, inf = [], [], [], 0.0, 0.0, False, False
        for tensor in read:
            key = key_of(tensor)
            cell = self.shadows.cell(tensor, key, counts=counts)
            keys.append(key)
            cells.append(cell)
            if overwritten and any(tensor is other for other in overwritten) and _is_whole(tensor):
                continue
            state = cell.state
            sources.append(state)
            unit = max(unit, cell.unit)
            if state.error > error:
                error = state.error
            nan, inf = nan or state.nan, inf or state.inf
        states = (tuple(sources), unit, error, nan, inf)
        given = Given(operator, args, kwargs, line, backward, read, keys, cells, written, *states)
        given.as_it_is = counts or (operator.base in _SUMS and "dtype" in kwargs)
        if self.full:
            given.shadow_of = {
                id(tensor): cell.shadow(tensor)
                for tensor, cell in zip(read, cells, strict=True)
                if cell.flat is not None
            }
        if asked is not Pass.FORWARD:
            self.changes.last_backward = len(self.operations)
        elif self.full or unit > _FINE:
            self.changes.before(given, grad=grad)
        return given

    # After

    def _narrow(self, given: Given, result: Any) -> None:
        """Round what came of an operation to what it stands for."""
        if given.as_it_is:
            return
        returned = [tensor for tensor in tensors(result) if is_followed(tensor)]
        if given.operator.name in _NORMALIZATIONS:
            del returned[1:]  # mean and deviation are kept in float32 by whoever normalizes 16 bits
        for tensor in {id(tensor): tensor for tensor in [*returned, *given.written]}.values():
            self.narrowing.round(tensor)

    def _look(self, given: Given, result: Any) -> None:
        operator = given.operator
        if self.narrowing.rounds:
            self._narrow(given, result)
        returned = [result] if isinstance(result, Tensor) else tensors(result)
        fresh = [tensor for tensor in returned if is_followed(tensor) and key_of(tensor) not in given.keys]
        exact: Values = []
        if self.exact.when_few and not self.exact.are_few(given, result):
            self.exact.follow_no_more(self.shadows.cells.values())
        if self.full and self.exact.concerns(given):
            exact = self._in_balls(given, result)
        shadows = self._replayed(given, result, fresh) if self.full else None
        if given.before:
            try:
                self.changes.after(given, result, fresh)
            except FAILURES:
                self._is_blind(given)
        if operator.name in _UNSAID_WRITES:
            for mean in tensors(given.args[_UNSAID_WRITES[operator.name] - 1]):
                self.shadows.forget(mean)
        values = {id(tensor): balls for tensor, balls in exact}
        for index, tensor in enumerate(fresh):
            cell = self.shadows.new(tensor, None if shadows is None else shadows[index])
            if id(tensor) in values:
                self.exact.keep(given, tensor, cell, values[id(tensor)])
            if tensor.numel():
                self._note(given, tensor, cell, is_new=True, beside=index > 0)
        if given.written:
            seen = {id(tensor) for tensor in fresh}
            for tensor in given.written:
                if id(tensor) not in seen and tensor.numel():
                    seen.add(id(tensor))
                    cell = self.shadows.cell(tensor, fill=False)
                    if id(tensor) in values:
                        self.exact.keep(given, tensor, cell, values[id(tensor)])
                    self._note(given, tensor, cell, is_new=False)
        if given.rebound is not None and fresh and self.full:
            self.changes.rebound(given, fresh[0])
        if fresh or given.written:
            target = fresh[0] if fresh else given.written[0]
            self.rules.look(given.line, operator, given.args, target, nan_read=given.nan)
            if given.backward and operator.name == "where":
                self.rules.clamped(given.line, operator, given.args, target)

    def _in_balls(self, given: Given, result: Any) -> Values:
        """What is true of an operation's results; balls of what it changes otherwise are no longer true."""
        values = self.exact.values(given, result)
        if values is None or not given.operator.writes:  # what is changed and the schema does not tell
            for tensor in given.written:
                self.shadows.cell(tensor, fill=False).balls = None
        if values is None and self.exact.must_know(given):
            self._is_blind(given, " without balls")
        return values or []

    def _is_blind(self, given: Given, how: str = "") -> None:
        """Count an operation that could not be followed, with its line."""
        self.blind[f"{given.operator.name}{how} at {given.line.file}:{given.line.number}"] += 1

    def _replayed(self, given: Given, result: Any, fresh: list[Tensor]) -> list[Tensor | None] | None:
        """The shadows of what is new; those of what is changed are changed."""
        try:
            again = replay(given.operator, given.args, given.kwargs, given.shadow_of, result, self.shadows.width)
        except FAILURES:
            self._is_blind(given)
            for tensor in given.written:
                self.shadows.restart(self.shadows.cell(tensor), tensor)
            return None
        is_new = {id(tensor) for tensor in fresh}
        pairs = zip(tensors(again), tensors(result), strict=False)
        made = {id(tensor): shadow for shadow, tensor in pairs if id(tensor) in is_new}
        return [made.get(id(tensor)) for tensor in fresh]

    def _note(self, given: Given, tensor: Tensor, cell: Cell, *, is_new: bool, beside: bool = False) -> None:
        """Keep an operation's result, and how far it is from the truth."""
        least, largest = extent(tensor)
        dtype = tensor.dtype if given.as_it_is else self._format_of[tensor.dtype]
        number, name, unit = len(self.operations), given.operator.name, max(UNIT[dtype], given.unit)
        at = (number, given.line, name, given.backward, dtype, tensor.shape)
        operation = Operation(*at, given.sources, unit, read_error=given.error, largest=max(-least, largest))
        self.operations.append(operation)
        if not operation.largest < math.inf:
            self._note_not_finite(given, operation, tensor, cell)
        if cell.flat is not None and not (beside and name in _NORMALIZATIONS):
            self._measure(given, operation, tensor, cell)
        if name in _GROWS and is_new:
            operation.read_range = extent(given.read[0])
        if dtype in NARROW and tensor.dim() == 0 and given.operator.base == "add":
            operation.added = _added(given, tensor)
        self._leave(cell, operation, whole=is_new or _is_whole(tensor))

    def _note_not_finite(self, given: Given, operation: Operation, actual: Tensor, cell: Cell) -> None:
        sources = given.sources
        operation.nan = math.isnan(operation.largest)
        operation.inf = not operation.nan or bool(actual.isinf().any())
        from_outside = all(s.writer < 0 or self.operations[s.writer].meant for s in sources if s.inf)
        infinity_given = any(isinstance(x, float) and math.isinf(x) for x in given.args)
        operation.meant = infinity_given and from_outside
        if operation.meant and not operation.nan:
            return  # a mask's, which nothing is led back to
        if not given.nan and (operation.nan or not given.inf):
            shadow = cell.shadow(actual) if cell.flat is not None else None
            birth = birth_of(given.operator, given.args, given.kwargs, actual, shadow, nan=operation.nan)
            if birth.again and operation.dtype is torch.float64:  # which is no wider than itself
                birth.again = not self.exact.is_finite(given.operator, birth.operands)
            operation.birth = birth
        elif operation.inf and not operation.nan and from_outside:
            operation.meant = True

    def _measure(self, given: Given, operation: Operation, actual: Tensor, cell: Cell) -> None:
        shadow = cell.shadow(actual)
        finite = not (operation.nan or operation.inf)
        measure = distance if finite else distance_where_finite
        measured: Distance = measure(actual, shadow, operation.dtype)
        if math.isnan(measured.error):
            # A float64 zero where the run's own was none: the truth is not known there.
            shadow.copy_(torch.where(shadow.isfinite(), shadow, actual.to(shadow.dtype)))
            self._is_blind(given, ", where the shadow is not finite,")
            measured = distance(actual, shadow, operation.dtype)
        operation.error, operation.spread = measured
        if finite and given.operator.base in _OF_TWO_TERMS and not cell.in_balls:
            self._absorb(given, operation)
        if cell.in_balls:
            operation.confirmed = True
        elif (
            (cell.balls is None or operation.dtype is not torch.float64)
            and finite
            and not given.written
            and operation.worst > _STEEP * max(given.error, operation.unit)
        ):
            wrong = _STEEP / 10 * max(given.error, operation.unit)
            operation.question = self.exact.question(given, actual, shadow, wrong)
        if operation.error > 0.3 and finite:
            operation.vanished = vanished(actual, shadow, SMALLEST[operation.dtype])
        if (
            finite
            and given.operator.base in _SUMS
            and operation.error > 100 * max(operation.read_error, operation.unit)
        ):
            operation.cancelled = self._cancellation(given)

    def _absorb(self, given: Given, operation: Operation) -> None:
        """Take note of a term that float64 absorbs as well; a difference of that has no shadow worth the name."""
        sizes = [source.largest for source in given.sources]
        sizes += [abs(float(x)) for x in given.args[:2] if isinstance(x, int | float)]
        most = max(sizes)
        operation.absorbs = len(sizes) > 1 and 0.0 < min(sizes) <= _ABSORBED * most
        if operation.largest <= _CANCELLED * most and any(
            source.writer >= 0 and self.operations[source.writer].absorbs for source in given.sources
        ):
            self._is_blind(given, ", of which float64 keeps no digits either,")

    def _cancellation(self, given: Given) -> float:
        """By how much the terms of a sum cancel: the sum of their sizes, beside the size of their sum."""
        sizes = {identity: shadow.abs() for identity, shadow in given.shadow_of.items()}
        args = (given.operator, given.args, given.kwargs)
        try:
            above = replay(*args, sizes, None, self.shadows.width)
            below = replay(*args, given.shadow_of, None, self.shadows.width)
        except FAILURES:
            return 0.0
        size = float(torch.linalg.vector_norm(below))
        return float(torch.linalg.vector_norm(above)) / size if size > 0.0 else math.inf

    @staticmethod
    def _leave(cell: Cell, operation: Operation, *, whole: bool) -> None:
        """Leave a storage in the state in which the operation wrote it."""
        before = cell.state
        worst = (0.0, 0.0) if whole else (before.error, before.spread)
        error, spread = max(operation.error, worst[0]), max(operation.spread, worst[1])
        largest = operation.largest if whole else max(operation.largest, before.largest)
        cell.state = Source(operation.number, error, spread, operation.nan, operation.inf, before.leaf, largest)
        cell.unit = operation.unit if whole else max(operation.unit, cell.unit)


def _is_count(operator: Operator, args: Any, written: list[Tensor]) -> bool:
    """Whether one is added to scalars in place, as an optimizer does to the numbers of its steps, which are float32."""
    if operator.base not in ("add", "_foreach_add") or not written or any(tensor.dim() for tensor in written):
        return False
    addend = args[1]
    return not isinstance(addend, list) and bool(addend == 1)


def _added(given: Given, total: Tensor) -> tuple[float, float] | None:
    """The sizes of a term that is added to a scalar, and of the scalar."""
    size = abs(float(total))
    term = given.args[1] if len(given.args) > 1 else None
    if term is None or not math.isfinite(size):
        return None
    return abs(float(term)), size


class _Quietly:
    """A context in which is looked, without gradients and without autocast; entered for each operation, so kept."""

    def __enter__(self) -> None:
        self._grad = torch.is_grad_enabled()
        if self._grad:
            torch._C._set_grad_enabled(False)  # noqa: FBT003 - as torch has it
        self._guard = torch._C._DisableAutocast() if torch._C._is_any_autocast_enabled() else None
        if self._guard is not None:
            self._guard.__enter__()

    def __exit__(self, *raised: Any) -> None:
        if self._guard is not None:
            self._guard.__exit__(*raised)
        if self._grad:
            torch._C._set_grad_enabled(True)  # noqa: FBT003 - as torch has it


def _is_whole(tensor: Tensor) -> bool:
    return tensor.numel() * tensor.element_size() == tensor.untyped_storage().nbytes()
