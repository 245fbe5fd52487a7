"""The two wider number systems of a replay: float64, and balls of two hundred bits and any exponent."""

from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from flint import ctx
from numpy.lib.stride_tricks import as_strided
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from harness.calling.trace.number import PRECISION, number, to_float
from harness.calling.trace.rules import MOVES, RULES
from harness.calling.trace.step import Step, View, is_view


class Wide(NamedTuple):
    """Numbers as two float64 tensors that add up to them.

    Finite numbers beyond float64 become its largest number, and nonzero numbers below it become its smallest.
    """

    hi: Tensor
    lo: Tensor

    def minus(self, other: "Wide") -> Tensor:
        """The difference, rounded once."""
        return (self.hi - other.hi) + (self.lo - other.lo)


class Arithmetic(Protocol):
    """The representation of shadows of storages, and the operations on them."""

    def start(self, values: Tensor) -> Any:
        """Make the shadow of a storage that holds these numbers."""

    def part(self, shadow: Any, view: View) -> Any:
        """The part of a shadow that a view shows; changing it changes the shadow."""

    def put(self, part: Any, values: Any) -> None:
        """Overwrite a part with a tensor or with the result of an operation."""

    def wide(self, part: Any) -> Wide:
        """What a part holds."""

    def carry_out(self, step: Step, part_of: Any) -> tuple[Any, ...] | None:
        """Carry out an operation, also in place, and return its new tensors; ``None`` where it cannot."""


class Doubles:
    """Torch's own operations, in float64."""

    def start(self, values: Tensor) -> Tensor:
        """Make the shadow of a storage that holds these numbers."""
        return values.clone()

    def part(self, shadow: Tensor, view: View) -> Tensor:
        """The part of a shadow that a view shows; changing it changes the shadow."""
        return shadow.as_strided(view.size, view.stride, view.offset)

    def put(self, part: Tensor, values: Tensor) -> None:
        """Overwrite a part."""
        part.copy_(values)

    def wide(self, part: Tensor) -> Wide:
        """What a part holds."""
        return Wide(part.clone(), torch.zeros_like(part))

    def carry_out(self, step: Step, part_of: Any) -> tuple[Any, ...] | None:
        """The new tensors an operation returns; ``None`` where float64 has no such operation."""

        def widened(leaf: Any) -> Any:
            if is_view(leaf):
                return part_of(leaf)
            return torch.float64 if isinstance(leaf, torch.dtype) and leaf.is_floating_point else leaf

        args, kwargs = tree_map(widened, step.arguments, is_leaf=is_view)
        try:
            return floats_of(step.operator(*args, **kwargs))
        except (RuntimeError, NotImplementedError, TypeError):
            return None


class Balls:
    """Balls for common operations; other operations round their inputs to float64."""

    def start(self, values: Tensor) -> Any:
        """Make the shadow of a storage that holds these numbers."""
        return _objects(values)

    def part(self, shadow: Any, view: View) -> Any:
        """The part of a shadow that a view shows; changing it changes the shadow."""
        size = shadow.itemsize
        return as_strided(shadow[view.offset :], view.size, [size * step for step in view.stride])

    def put(self, part: Any, values: Any) -> None:
        """Overwrite a part."""
        if part.size:
            part[...] = _objects(values) if isinstance(values, Tensor) else values

    def wide(self, part: Any) -> Wide:
        """What a part holds."""
        with ctx.workprec(PRECISION):
            pairs = [to_float(x) for x in part.reshape(-1)]
        hi = torch.tensor([pair[0] for pair in pairs], dtype=torch.float64).reshape(part.shape)
        return Wide(hi, torch.tensor([pair[1] for pair in pairs], dtype=torch.float64).reshape(part.shape))

    def carry_out(self, step: Step, part_of: Any) -> tuple[Any, ...] | None:
        """The new tensors an operation returns."""
        name = step.operator.overloadpacket.__name__
        args, kwargs = tree_map(lambda x: part_of(x) if is_view(x) else x, step.arguments, is_leaf=is_view)
        in_place = name.endswith("_") and not name.endswith("__")
        rule = RULES.get(name.removesuffix("_") if in_place else name)
        with ctx.workprec(PRECISION):
            if name in MOVES:
                return self._moved(step, part_of)
            result = None if rule is None else rule(*args, **kwargs)
            if result is None:
                return self._rounded(step, part_of)
        if in_place:
            args[0][...] = result
            return ()
        return result if isinstance(result, tuple) else (np.asarray(result, dtype=object),)

    def _moved(self, step: Step, part_of: Any) -> tuple[Any, ...] | None:
        """Let torch move the places of numbers, and put the numbers there."""
        found: list[Any] = [number(0.0)]

        def numbered(leaf: Any) -> Any:
            if not is_view(leaf):
                return leaf
            values = part_of(leaf)
            first = len(found)
            found.extend(values.reshape(-1))
            return torch.arange(first, len(found), dtype=torch.float64).reshape(values.shape)

        args, kwargs = tree_map(numbered, step.arguments, is_leaf=is_view)
        numbers = np.array(found, dtype=object)
        return tuple(numbers[places.long().numpy()] for places in floats_of(step.operator(*args, **kwargs)))

    def _rounded(self, step: Step, part_of: Any) -> tuple[Any, ...] | None:
        narrow = {view: self.wide(part_of(view)).hi for view in step.inputs}
        result = Doubles().carry_out(step, narrow.__getitem__)
        if result is None:
            return None
        for view in step.results:
            if view in narrow:
                part_of(view)[...] = _objects(narrow[view])
        return tuple(_objects(tensor) for tensor in result)


def floats_of(result: Any) -> tuple[Tensor, ...]:
    """Return the floating-point tensors in the result of an operation."""
    return tuple(leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor) and leaf.is_floating_point())


def _objects(values: Tensor) -> Any:
    objects = np.empty(values.numel(), dtype=object)
    objects[:] = [number(x) for x in values.reshape(-1).tolist()]
    return objects.reshape(values.shape)
