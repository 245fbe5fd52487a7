"""Replay a tape: the first operations return recorded results, and the others use wider arithmetic.

Wider arithmetic is float64, or the midpoints of balls, with any exponent. If torch's operator is not exact enough in
float64, a replacement is used. An audit also repeats single operations on its shadows.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from flint import ctx
from torch import Tensor

from harness.compat.torch import tree_leaves, tree_map
from harness.exact.elementwise import PRECISION, middle, split_middle, view_strided
from harness.exact.operators import UNKNOWN, carried_out
from harness.exact.recurrent import one_dnn_layer, one_dnn_layer_backward
from harness.exact.tape import FAILURES, FLOATING, Operator, Step, Tape, View, is_view, views_in
from harness.floats import to_arb

# Operations in float64

Instead = Callable[..., Any]


def replay(
    operator: Operator, args: Any, kwargs: Mapping[str, Any], shadow_of: Mapping[int, Tensor], result: Any
) -> Any:
    """Repeat an operation on shadows, and change the shadows of tensors that it writes.

    Random draws are taken from ``result``.

    Raises
    ------
    RuntimeError, NotImplementedError, TypeError, IndexError
        If the operator does not exist in wider arithmetic.
    """
    wide_args = [
        shadow_of.get(id(value), value) if isinstance(value, Tensor) else _widen(value, shadow_of) for value in args
    ]
    wide_kwargs = {name: _widen(value, shadow_of) for name, value in kwargs.items()} if kwargs else {}
    return repeat(operator, wide_args, wide_kwargs, args, result)


def repeat(operator: Operator, wide_args: Any, wide_kwargs: Any, args: Any, result: Any) -> Any:
    """Repeat an operation on wide tensors; ``args`` and ``result`` are from the step."""
    if operator.name in _KINKED:
        wide_args = [wide_args[0], args[1].to(wide_args[1].dtype), *wide_args[2:]]
    instead = _INSTEAD.get(operator.name)
    if instead is not None:
        return instead(operator, wide_args, wide_kwargs, result)
    return operator.overload(*wide_args, **wide_kwargs)


def _widen(value: Any, shadow_of: Mapping[int, Tensor]) -> Any:
    if isinstance(value, int | float):
        return value
    if isinstance(value, Tensor):
        return shadow_of.get(id(value), value)
    if isinstance(value, list | tuple):
        return [_widen(inner, shadow_of) for inner in value]
    return torch.float64 if value in FLOATING else value


def _softplus(_operator: Operator, args: Any, _kwargs: Any, _result: Any) -> Tensor:
    """Return the definition, without the linear part above the threshold."""
    beta = args[1] if len(args) > 1 else 1.0
    return torch.logaddexp(args[0] * beta, torch.zeros_like(args[0])) / beta


def _softmax(operator: Operator, args: Any, _kwargs: Any, _result: Any) -> Any:
    """Omit the conversion to float32 that only exists for half precision."""
    return operator.overload(args[0], args[1], False)  # noqa: FBT003 - torch's signature


def _dropout(operator: Operator, args: Any, _kwargs: Any, result: Any) -> tuple[Tensor, Tensor]:
    """Use the mask that the step has drawn."""
    share = 1 - args[1] if operator.name == "native_dropout" else args[1]
    return args[0] * result[1] / share, result[1]


def _unscale(_operator: Operator, args: Any, _kwargs: Any, _result: Any) -> None:
    """Divide the gradients by the scale of ``torch.amp.GradScaler``."""
    for gradient in args[0]:
        gradient.mul_(args[2])


_KINKED = {f"{name}_backward" for name in ("threshold", "leaky_relu", "hardtanh", "hardswish", "hardsigmoid")}
"""Operations whose second argument decides the side of a kink; the shadow takes the side of the step."""

_INSTEAD: Mapping[str, Instead] = {
    "softplus": _softplus,
    "_softmax": _softmax,
    "_log_softmax": _softmax,
    "native_dropout": _dropout,
    "_fused_dropout": _dropout,
    "_amp_foreach_non_finite_check_and_unscale_": _unscale,
    "_amp_update_scale_": lambda _operator, args, _kwargs, result: args[0].copy_(result),
    "mkldnn_rnn_layer": one_dnn_layer,
    "mkldnn_rnn_layer_backward": one_dnn_layer_backward,
}

# Tapes


class Wide(NamedTuple):
    """Numbers as two float64 tensors that add up to them.

    Finite numbers beyond float64 become its largest number, and nonzero numbers below it become its smallest.
    """

    hi: Tensor
    lo: Tensor

    def minus(self, other: "Wide") -> Tensor:
        """The difference, rounded once."""
        return (self.hi - other.hi) + (self.lo - other.lo)


class Doubles:
    """Torch's own operations, in float64."""

    keeps_sides: ClassVar[bool] = True
    """Whether an operation with a kink stays on the side on which it was recorded."""

    def start(self, values: Tensor) -> Tensor:
        """Make the shadow of a storage that holds these numbers."""
        return values.clone()

    def part(self, shadow: Tensor, view: View) -> Tensor:
        """The part of a shadow that a view shows; changing it changes the shadow."""
        return shadow.as_strided(view.size, view.stride, view.offset)

    def put(self, part: Tensor, values: Tensor) -> None:
        """Overwrite a part with a tensor or with the result of an operation."""
        part.copy_(values)

    def wide(self, part: Tensor) -> Wide:
        """What a part holds."""
        return Wide(part.clone(), torch.zeros_like(part))

    def carry_out(self, step: Step, part_of: Any) -> tuple[Any, ...] | None:
        """Carry out an operation, also in place, and return its new tensors; ``None`` where float64 has no such one."""

        def widen(leaf: Any) -> Any:
            if is_view(leaf):
                return part_of(leaf)
            return torch.float64 if isinstance(leaf, torch.dtype) and leaf.is_floating_point else leaf

        args, kwargs = tree_map(widen, step.arguments, is_leaf=is_view)
        try:
            result = repeat(step.schema, args, kwargs, step.rounded if self.keeps_sides else args, step.returned)
        except FAILURES:
            return None
        return tuple(x for x in tree_leaves(result) if isinstance(x, Tensor) and x.is_floating_point())


class Balls:
    """Midpoints of balls; operations that balls do not have round their inputs to float64."""

    def start(self, values: Tensor) -> Any:
        """Make the shadow of a storage that holds these numbers."""
        return _convert_to_balls(values)

    def part(self, shadow: Any, view: View) -> Any:
        """The part of a shadow that a view shows; changing it changes the shadow."""
        return view_strided(shadow, view.size, view.stride, view.offset)

    def put(self, part: Any, values: Any) -> None:
        """Overwrite a part with a tensor or with the result of an operation."""
        if part.size:
            part[...] = _convert_to_balls(values) if isinstance(values, Tensor) else values

    def wide(self, part: Any) -> Wide:
        """What a part holds."""
        with ctx.workprec(PRECISION):
            pairs = np.array([split_middle(x) for x in part.flat], dtype=np.float64).reshape(*part.shape, 2)
        return Wide(*(torch.from_numpy(pairs[..., column].copy()) for column in (0, 1)))

    def carry_out(self, step: Step, part_of: Any) -> tuple[Any, ...] | None:
        """The new tensors an operation returns."""

        def exchange(leaf: Any) -> Any:
            if is_view(leaf):
                return part_of(leaf)
            return leaf.numpy(force=True) if isinstance(leaf, Tensor) else leaf

        args, kwargs = tree_map(exchange, step.arguments, is_leaf=is_view)
        try:
            with ctx.workprec(PRECISION):
                outputs = carried_out(step.schema, args, kwargs, step.rounded, step.returned)
                outputs = [None if values is None else np.asarray(_middles(values), dtype=object) for values in outputs]
        except UNKNOWN:
            return self._replay_rounded(step, part_of)
        for view, values in zip(step.changed, outputs, strict=False):
            part_of(view)[...] = values
        return () if step.changed else tuple(outputs)

    def _replay_rounded(self, step: Step, part_of: Any) -> tuple[Any, ...] | None:
        narrow = {view: self.wide(part_of(view)).hi for view in step.inputs}
        result = Doubles().carry_out(step, narrow.__getitem__)
        if result is None:
            return None
        for view in step.results:
            if view in narrow:
                part_of(view)[...] = _convert_to_balls(narrow[view])
        return tuple(map(_convert_to_balls, result))


def _convert_to_balls(values: Tensor) -> Any:
    return to_arb(values.numpy(force=True))


_middles = np.frompyfunc(middle, 1, 1)


Arithmetic = Doubles | Balls
"""The representation of shadows of storages, and the operations on them."""


class Replay:
    """A replay of a tape in wider arithmetic.

    Parameters
    ----------
    tape
        The tape.
    arithmetic
        The arithmetic of the exact operations.
    rounded
        Number of operations that return their recorded results; the others are exact.
    element
        Output and element of the next operation that keeps its recorded value, too.
    copies
        Whether to store the inputs and results of every operation.

    Notes
    -----
    Each storage has a shadow with the same views: views, strides and in-place operations need no rules. Integers, masks
    and random numbers are taken from the recorded call.
    """

    def __init__(
        self,
        tape: Tape,
        arithmetic: Arithmetic,
        rounded: int,
        element: tuple[int, int] | None = None,
        *,
        copies: bool = False,
    ) -> None:
        self.tape = tape
        self.given: list[tuple[Wide, ...]] = []
        """The inputs of the operations, in order."""
        self.results: list[tuple[Wide, ...]] = []
        """The results of the operations, in order."""
        self._arithmetic = arithmetic
        self._shadows = {number: arithmetic.start(values) for number, values in tape.started.items()}
        with torch.no_grad():
            for index, step in enumerate(tape.steps):
                if copies:
                    self.given.append(tuple(self.read(view) for view in step.inputs))
                self._carry_out(step, exact=index >= rounded)
                if index == rounded and element is not None:
                    self._round(step, *element)
                if copies:
                    self.results.append(tuple(self.read(view) for view in step.results))

    def read(self, view: View) -> Wide:
        """Return the current values of a view."""
        return self._arithmetic.wide(self._get_part(view))

    def _round(self, step: Step, output: int, element: int) -> None:
        """Reset an element to its recorded value."""
        view, values = step.results[output], step.values[output].reshape(-1)
        mask = torch.zeros(view.size, dtype=torch.bool).view(-1)
        mask[element] = True
        indices = mask.reshape(view.size).nonzero()[0].tolist()
        offset = view.offset + sum(i * stride for i, stride in zip(indices, view.stride, strict=True))
        entry = View(view.storage, (1,), (1,), offset, view.dtype)
        self._arithmetic.put(self._get_part(entry), values[element : element + 1])

    def _carry_out(self, step: Step, *, exact: bool) -> None:
        results = self._arithmetic.carry_out(step, self._get_part) if exact and not step.schema.draws else None
        # Changed tensors were changed in their shadows; new tensors are returned.
        kept = () if results is None else step.changed
        new = dict(zip(views_in(step.returned), results or (), strict=False))
        for view, value in zip(step.results, step.values, strict=True):
            if view not in kept:
                output = new.get(view)
                self._arithmetic.put(self._get_part(view), value if output is None else output)

    def _get_part(self, view: View) -> Any:
        if view.storage not in self._shadows:
            empty = torch.zeros(self.tape.length[view.storage], dtype=torch.float64)
            self._shadows[view.storage] = self._arithmetic.start(empty)
        return self._arithmetic.part(self._shadows[view.storage], view)
