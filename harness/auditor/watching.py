"""Dispatch mode that intercepts every operation of a step and repeats it on the shadows."""

from typing import Any

import torch
from torch import Tensor

from harness.auditor import rules
from harness.auditor.balls import Exact, Values
from harness.auditor.change import Changes, stalls
from harness.auditor.end import UNSCALE, Ends, Scaling
from harness.auditor.line import Lines, Pass
from harness.auditor.operation import Operation
from harness.auditor.result import GROWS, NORMALIZATIONS, SUMS, Notes, complex_tensors, is_whole, iter_states
from harness.auditor.result import write as write_complex
from harness.auditor.shadow import Call, Narrowing, Shadows
from harness.auditor.training import Training
from harness.compat import torch as internals
from harness.exact.replay import replay
from harness.exact.tape import (
    FAILURES,
    FLOATING,
    INTEGERS,
    NARROW,
    OPERATORS,
    UNIT,
    Operator,
    is_followed,
    key_of,
    operator_of,
    tensors,
)
from harness.record.audit import WhatIf

_FINE = UNIT[torch.float32]

_IN_WIDTH = {"_to_copy", "div", "mean", "sum"}
"""Operations that turn integers into floats, with an exact result that a shadow can hold."""

_UNSAID_WRITES = {"native_batch_norm": 4, "cudnn_batch_norm": 4, "miopen_batch_norm": 4}
"""Index of the running variance, which changes although the schema does not say so; the running mean precedes it."""

_COMPARES_WITH_BOUNDS = ("ge", "le", "gt", "lt")
"""Comparisons in the backward pass of a clamp; torch 2.14 and later exclude the bounds."""

_SPECIAL = {"where", UNSCALE, *_COMPARES_WITH_BOUNDS, *_UNSAID_WRITES, *GROWS, *rules.ALWAYS}
"""Operations with special handling, in all formats."""


class Watching(internals.TorchDispatchMode):
    """Follows a step.

    Parameters
    ----------
    full
        Whether to keep shadows. Otherwise only non-finite values, rules and headroom are checked.
    balls
        Whether to use ball arithmetic in every format. Otherwise it is used for float64, and in small steps.
    what_if
        Format to simulate instead of float32.
    """

    def __init__(self, *, full: bool = True, balls: bool = False, what_if: WhatIf | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.full = full
        self.narrowing = Narrowing(what_if)
        self._format_of = self.narrowing.format_of
        self.shadows = Shadows(wide=full, narrowing=self.narrowing)
        self.lines = Lines()
        self.ends = Ends(self.shadows, self.lines)
        self.rules = rules.Rules(self.narrowing)
        self.changes = Changes(self.shadows, self.ends)
        followed = frozenset(FLOATING if balls else (torch.float64,))
        self.exact = Exact(followed, when_few=full and not balls and what_if is None)
        self._notes = Notes(self.narrowing, self.exact)
        self.operations, self.blind = self._notes.operations, self._notes.blind
        self.scaling = Scaling(self.ends.found)
        self.training = Training(self.ends, self.lines)
        self.indices: list[rules.Indices] = []
        """Conversions of counts to integers that are wrong."""
        self._limited: Operation | None = None
        """The writer of the values that the gradient of a clamp compares with its bounds."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Do not import torch's compiler, which takes a second."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation in the caller's state, and examine it."""
        kwargs = kwargs or {}
        operator = OPERATORS.get(id(func)) or operator_of(func)
        if operator.is_ignored:
            return func(*args, **kwargs)
        is_met = self.ends.is_met
        # Most operations are views, and most inputs are not leaves.
        if operator.is_view and isinstance(args[0], Tensor):
            tensor = args[0]
            if tensor.requires_grad and tensor.is_leaf and not is_met(tensor):
                self.ends.register_leaf(tensor)
            return func(*args, **kwargs)
        operands = tensors(args)
        if kwargs:
            operands += tensors(list(kwargs.values()))
        read, is_complex = [], False
        for tensor in operands:
            if tensor.requires_grad and tensor.is_leaf and not is_met(tensor):
                self.ends.register_leaf(tensor)
            if is_followed(tensor):
                read.append(tensor)
            elif tensor.is_complex():
                is_complex = True
        if operator.is_view:
            return func(*args, **kwargs)
        if operator.is_constant or operator.draws:
            return self._new_numbers(operator, args, kwargs, read)
        if is_complex:
            return self._follow_complex(operator, args, kwargs, read)
        if not read and not (self.full and operator.name in _IN_WIDTH):
            return self._integers(operator, args, kwargs, operands)
        grad = torch.is_grad_enabled()
        if not grad and not internals.is_any_autocast_enabled():  # backward passes and optimizers
            call = self._make_call(operator, args, kwargs, read, grad=grad)
            result = func(*args, **kwargs)
            self._check_result(call, result)
            return result
        with _Quietly():
            call = self._make_call(operator, args, kwargs, read, grad=grad)
        result = func(*args, **kwargs)
        with _Quietly():
            self._check_result(call, result)
        return result

    # Operations that need no shadow

    def _new_numbers(self, operator: Operator, args: Any, kwargs: Any, read: list[Tensor]) -> Any:
        """Run an operation that returns constants or random draws."""
        dropout = self.full and "dropout" in operator.name and operator.draws
        call = None
        if dropout and read:
            with _Quietly():
                call = self._make_call(operator, args, kwargs, read, grad=True)
        if operator.writes:
            self._keep(read)
        result = operator.overload(*args, **kwargs)
        if call is not None:
            with _Quietly():
                self._check_result(call, result)
            return result
        for tensor in tensors(result):
            if tensor.dtype in UNIT:
                self.shadows.forget(tensor)
        if operator.name == "arange" and isinstance(result, Tensor) and self._format_of.get(result.dtype) in NARROW:
            with _Quietly():
                self.narrowing.round(result)
                self.rules.check_operation(self.lines.current()[0], operator, args, result, nan_read=False)
        return result

    def _integers(self, operator: Operator, args: Any, kwargs: Any, operands: list[Tensor]) -> Any:
        if operator.writes:
            self._keep(operands)
        result = operator.overload(*args, **kwargs)
        if isinstance(result, Tensor) and any(tensor.dtype in INTEGERS for tensor in operands):
            with _Quietly():
                self.rules.report(
                    self.lines.current()[0], operator, result, rules.check_wraparound(operator, args, result)
                )
        return result

    def _follow_complex(self, operator: Operator, args: Any, kwargs: Any, read: list[Tensor]) -> Any:
        """Follow NaN and infinity through a complex operation; its digits are not followed."""
        with _Quietly():
            call = self._make_call(operator, args, kwargs, read, grad=True)
            states = tuple(iter_states(complex_tensors([args, list(kwargs.values())]), self.shadows))
            call.sources += states
            call.nan = call.nan or any(state.nan for state in states)
            call.inf = call.inf or any(state.inf for state in states)
        result = operator.overload(*args, **kwargs)
        with _Quietly():
            if self.full:
                self._notes.is_blind(call)
            for tensor in tensors(result):
                if is_followed(tensor) and tensor.numel():
                    self._notes.note(call, tensor, self.shadows.new(tensor, None), is_new=True)
            self._write_complex(call, result)
        return result

    def _write_complex(self, call: Call, result: Any) -> None:
        for tensor in complex_tensors(result):
            if tensor.numel():
                write_complex(call, tensor, self.shadows, self.operations)

    def _keep(self, overwritten: list[Tensor]) -> None:
        """Save tensors that will be restored after a simulation."""
        if self.narrowing.is_asked:
            with _Quietly():
                for tensor in overwritten:
                    self.narrowing.keep(tensor)

    # Before

    def _make_call(self, operator: Operator, args: Any, kwargs: Any, read: list[Tensor], *, grad: bool) -> Call:
        self.shadows.sweep_when_due()
        line, direction = self.lines.current()
        backward = direction is Pass.BACKWARD
        written = operator.written(args, kwargs) if operator.writes else []
        if operator.name in _UNSAID_WRITES:
            written += [tensor for tensor in tensors(args[_UNSAID_WRITES[operator.name]]) if is_followed(tensor)]
        counts = self.narrowing.rounds and not grad and _is_count(operator, args, written)
        overwritten = written if operator.overwrites or (written and "out" in kwargs) else ()
        registry, keys, cells, sources, unit, error, nan, inf = self.shadows.cells, [], [], [], 0.0, 0.0, False, False
        for tensor in read:
            key = internals.storage_address(tensor.untyped_storage())
            cell = registry.get(key)
            # Inlined for speed, because a call would take longer.
            if cell is None or self.full or cell.dtype is not tensor.dtype:
                cell = self.shadows.cell(tensor, key, counts=counts)
            keys.append(key)
            cells.append(cell)
            if overwritten and any(tensor is target for target in overwritten) and is_whole(tensor):
                continue
            state = cell.state
            sources.append(state)
            if cell.unit > unit:
                unit = cell.unit
            if state.error > error:
                error = state.error
            nan, inf = nan or state.nan, inf or state.inf
        states = (tuple(sources), unit, error, nan, inf)
        call = Call(operator, args, kwargs, line, backward, read, keys, cells, written, *states)
        call.as_it_is = counts or ("dtype" in kwargs and operator.base in SUMS)
        if self.full:
            call.shadow_of = {
                id(tensor): cell.shadow(tensor)
                for tensor, cell in zip(read, cells, strict=True)
                if cell.flat is not None
            }
        if direction is not Pass.FORWARD:
            self.changes.last_backward = len(self.operations)
        elif self.full or unit > _FINE or operator.name in _UNSAID_WRITES or (written and stalls(call, unit)):
            self.changes.save_originals(call, grad=grad)
        return call

    # After

    def _narrow(self, call: Call, result: Any) -> None:
        """Round the results of an operation to the simulated format."""
        if call.as_it_is:
            return
        returned = [tensor for tensor in tensors(result) if is_followed(tensor)]
        if call.operator.name in NORMALIZATIONS:
            del returned[1:]  # 16-bit normalizations return mean and deviation in float32
        for tensor in {id(tensor): tensor for tensor in [*returned, *call.written]}.values():
            self.narrowing.round(tensor)

    def _check_result(self, call: Call, result: Any) -> None:
        operator = call.operator
        if self.narrowing.rounds:
            self._narrow(call, result)
        returned = [result] if isinstance(result, Tensor) else tensors(result)
        counts = operator.base == "add" and rules.may_count(call)
        is_brief = not (self.full or call.before or counts) and call.unit <= _FINE and operator.name not in _SPECIAL
        if is_brief and not (returned and returned[0].is_complex()) and self._quick_check(call, returned):
            return
        fresh = [tensor for tensor in returned if is_followed(tensor) and key_of(tensor) not in call.keys]
        exact: Values = []
        if self.exact.when_few and not self.exact.are_few(call, result):
            self.exact.follow_no_more(self.shadows.cells.values())
        if self.full and self.exact.concerns(call):
            exact = self._compute_balls(call, result)
        shadows = self._update_shadows(call, result, fresh) if self.full else None
        if call.before or call.statistics:
            try:
                self.changes.compare_changes(call, result, fresh)
            except FAILURES:
                self._notes.is_blind(call)
        if operator.name in _UNSAID_WRITES:
            for mean in tensors(call.args[_UNSAID_WRITES[operator.name] - 1]):
                self.shadows.forget(mean)
        values = {id(tensor): balls for tensor, balls in exact}
        for index, tensor in enumerate(fresh):
            cell = self.shadows.new(tensor, None if shadows is None else shadows[index])
            if id(tensor) in values:
                self.exact.keep(call, tensor, cell, values[id(tensor)])
            if tensor.numel():
                self._notes.note(call, tensor, cell, is_new=True, is_secondary=index > 0)
        if call.written:
            seen = {id(tensor) for tensor in fresh}
            for tensor in call.written:
                if id(tensor) not in seen and tensor.numel():
                    seen.add(id(tensor))
                    cell = self.shadows.cell(tensor, fill=False)
                    if id(tensor) in values:
                        self.exact.keep(call, tensor, cell, values[id(tensor)])
                    self._notes.note(call, tensor, cell, is_new=False)
        if call.rebound is not None and fresh and self.full:
            self.changes.rebound(call, fresh[0])
        if not fresh:
            self._write_complex(call, result)
        self._apply_rules(call, result, fresh, counts=counts)

    def _apply_rules(self, call: Call, result: Any, fresh: list[Tensor], *, counts: bool) -> None:
        """Check what needs no shadow."""
        operator = call.operator
        if fresh or call.written:
            target = fresh[0] if fresh else call.written[0]
            self.rules.check_operation(call.line, operator, call.args, target, nan_read=call.nan)
            if not call.backward:
                self.rules.report(call.line, operator, target, rules.check_inputs(call, target))
            if call.backward and operator.name == "where":
                self.rules.report(call.line, operator, target, rules.check_clamp(call.args, target, self._limited))
            if counts:
                self.rules.report(call.line, operator, target, rules.check_increment(call, target))
        elif call.backward and operator.name in _COMPARES_WITH_BOUNDS:
            self._limited = call.sources[0].writer
        elif (wrong := rules.find_wrong_indices(call, result)) is not None:
            self.indices.append(wrong)
        if operator.name == UNSCALE:
            self.scaling.check_unscaled(call)
            self.training.unscale()

    def _quick_check(self, call: Call, returned: list[Tensor]) -> bool:
        """Examine a result that needs no shadow and no rule as quickly as possible; return whether that sufficed."""
        followed = [tensor for tensor in returned if is_followed(tensor)]
        for tensor in followed:
            if self._format_of[tensor.dtype] in NARROW:
                return False
        keys, written, brief = call.keys, call.written, self._notes.brief
        for tensor in followed:
            storage = tensor.untyped_storage()
            if internals.storage_address(storage) in keys:
                continue
            if tensor.numel():
                self.shadows.bare(storage, tensor.dtype, *brief(call, tensor))
            else:
                self.shadows.new(tensor, None)
        for index, tensor in enumerate(written):
            if tensor.numel() and not any(tensor is earlier for earlier in written[:index]):
                cell = self.shadows.cell(tensor, fill=False)
                if is_whole(tensor):
                    cell.state, cell.unit = brief(call, tensor, cell.state.leaf)
                else:
                    self._notes.note(call, tensor, cell, is_new=False)
        return True

    def _compute_balls(self, call: Call, result: Any) -> Values:
        """Return the exact results of an operation, and drop the balls of storages that it changes otherwise."""
        values = self.exact.values(call, result)
        if values is None or not call.operator.writes:  # changes that the schema does not declare
            for tensor in call.written:
                self.shadows.cell(tensor, fill=False).balls = None
        if values is None and self.exact.must_know(call):
            self._notes.is_blind(call, " (no ball arithmetic)")
        return values or []

    def _update_shadows(self, call: Call, result: Any, fresh: list[Tensor]) -> list[Tensor | None] | None:
        """Return the shadows of new results, and update the shadows of changed ones."""
        try:
            repeated = replay(call.operator, call.args, call.kwargs, call.shadow_of, result)
        except FAILURES:
            self._notes.is_blind(call)
            for tensor in call.written:
                self.shadows.restart(self.shadows.cell(tensor), tensor)
            return None
        is_new = {id(tensor) for tensor in fresh}
        pairs = zip(tensors(repeated), tensors(result), strict=False)
        shadows = {id(tensor): shadow for shadow, tensor in pairs if id(tensor) in is_new}
        return [shadows.get(id(tensor)) for tensor in fresh]


def _is_count(operator: Operator, args: Any, written: list[Tensor]) -> bool:
    """Whether one is added to scalars in place, as an optimizer does to its step counters."""
    if operator.base not in ("add", "_foreach_add") or not written or any(tensor.dim() for tensor in written):
        return False
    addend = args[1]
    return not isinstance(addend, list) and bool(addend == 1)


class _Quietly:
    """Context without gradients and autocast; lighter than torch's, because each operation enters it."""

    def __enter__(self) -> None:
        self._grad = torch.is_grad_enabled()
        if self._grad:
            internals.set_grad_enabled(False)
        self._guard = internals.DisableAutocast() if internals.is_any_autocast_enabled() else None
        if self._guard is not None:
            self._guard.__enter__()

    def __exit__(self, *raised: Any) -> None:
        if self._guard is not None:
            self._guard.__exit__(*raised)
        if self._grad:
            internals.set_grad_enabled(True)
