"""Memory layouts of the inputs, which determine the kernel that torch runs."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Function = Callable[..., Any]

FEW = 8
"""Number of elements that is less than any vector of a 16-bit format."""

_WIDE = 32
"""Number of elements in the longest vector of a 16-bit format, 512 bits."""


@dataclass(frozen=True)
class ValueLayout:
    """Memory layout of the argument of a unary operation.

    Parameters
    ----------
    name
        Name in options.
    kernel
        Description of the kernel that torch runs.
    call
        ``call(function, x) -> output`` with the numbers in this layout.
    """

    name: str
    kernel: str
    call: Callable[[Function, Tensor], Tensor]

    def wrap(self, function: Function) -> Function:
        """Return a function that calls the given one in this layout."""
        return lambda x: self.call(function, x)


def _spread(function: Function, x: Tensor) -> Tensor:
    output: Tensor = function(torch.stack([x, torch.zeros_like(x)], -1)[..., 0])
    return output


def _call_in_parts(function: Function, x: Tensor) -> Tensor:
    parts = x.split(FEW)
    batched = getattr(function, "each", None)
    return torch.cat([function(part) for part in parts] if batched is None else batched([(part,) for part in parts]))


VALUE_LAYOUTS = (
    ValueLayout("contiguous", "contiguous numbers: the vector body", lambda function, x: function(x)),
    ValueLayout("spread", "every second number in memory: the scalar loop", _spread),
    ValueLayout("few", f"{FEW} numbers per call: the remainder after full vectors", _call_in_parts),
)
"""Layouts of a unary operation; the output bits of the first are the reference for the others."""


@dataclass(frozen=True)
class PairLayout:
    """Memory layout of the pairs of a two-class operation.

    Parameters
    ----------
    name
        Name in options.
    kernel
        Description of the kernel that torch runs.
    allocate
        ``allocate(n, dtype) -> argument`` for ``n`` pairs.
    pairs
        ``pairs(tensor) -> view`` of an argument or an output, with the class as the leading axis.
    axis
        The axis of the classes, passed as ``dim``; ``None`` if the function always uses the last one.
    """

    name: str
    kernel: str
    allocate: Callable[[int, torch.dtype], Tensor]
    pairs: Callable[[Tensor], Tensor]
    axis: int | None = None

    def call(self, function: Function, argument: Tensor, *more: Tensor) -> Any:
        """Call the implementation with an argument from :attr:`allocate`."""
        return function(argument, *more, **self.options)

    @property
    def options(self) -> dict[str, int]:
        """Keywords for the call."""
        return {} if self.axis is None else {"dim": self.axis}


def _classes_first(tensor: Tensor) -> Tensor:
    return tensor.transpose(0, -1)


_ROWS = (lambda n, dtype: torch.zeros(n, 2, dtype=dtype), _classes_first)

LAYOUTS_WITH_DIM = (
    PairLayout("columns", "classes along the first axis, inner size at least the vector width: the vector body",
               lambda n, dtype: torch.zeros(2, n, dtype=dtype), lambda tensor: tensor, axis=0),
    PairLayout("rows", "classes along the last axis, (n, 2)", *_ROWS, axis=-1),
    PairLayout("narrow", f"classes along the middle axis, inner size {FEW}, below the vector width",
               lambda n, dtype: torch.zeros(n // FEW, 2, FEW, dtype=dtype), lambda tensor: tensor.transpose(0, 1),
               axis=1),
    PairLayout("tails",
               f"classes along the middle axis, inner size {_WIDE + FEW}: the last {FEW}, "
               "the remainder after full vectors",
               lambda n, dtype: torch.zeros(n // FEW, 2, _WIDE + FEW, dtype=dtype),
               lambda tensor: tensor[..., _WIDE:].transpose(0, 1), axis=1),
)  # fmt: skip
"""Layouts for a function with a ``dim`` argument. The first is the reference."""

LAYOUTS_OF_ROWS = (
    PairLayout("rows", "(n, 2), contiguous", *_ROWS),
    PairLayout("transposed", "(n, 2), each class contiguous", lambda n, dtype: torch.zeros(2, n, dtype=dtype).T,
               _classes_first),
    PairLayout("spread", "(n, 2), every second entry in memory",
               lambda n, dtype: torch.zeros(n, 4, dtype=dtype)[:, ::2], _classes_first),
)  # fmt: skip
"""Layouts for a function of the last axis. The first is the reference."""


def pair_layouts(function: Function) -> tuple[PairLayout, ...]:
    """Return the layouts in which a function of logits ``[n, 2]`` can be called."""
    return LAYOUTS_WITH_DIM if takes(function, "dim") else LAYOUTS_OF_ROWS


def takes(function: Function, name: str) -> bool:
    """Return whether a function has an argument of that name; false for builtin functions without a signature."""
    try:
        return name in inspect.signature(function).parameters
    except ValueError:
        return False
