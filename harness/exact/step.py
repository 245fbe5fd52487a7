"""One operation on a tape: its inputs, its results and the calling line."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from .location import Line
from .operator import Operator, operator_of


@dataclass(frozen=True)
class View:
    """A tensor as a part of a storage that the tape knows.

    Parameters
    ----------
    storage
        Number of the storage.
    size, stride, offset
        Size, strides and offset of the tensor.
    dtype
        Dtype of the recorded tensor.
    """

    storage: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    dtype: torch.dtype


@dataclass(frozen=True)
class Step:
    """One operation.

    Parameters
    ----------
    operator
        The operator that torch dispatched.
    arguments
        Positional and keyword arguments, with a :class:`View` for each floating-point tensor.
    given
        Values of those views before the operation, in order.
    results
        Views of its results: new tensors that it returned, and tensors that it changed.
    values
        Values of those views after the operation.
    returned
        Its return value, with views.
    line
        The line that called it.
    node
        Name of the running backward node; ``None`` in the forward pass.
    """

    operator: Any
    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    given: tuple[Tensor, ...]
    results: tuple[View, ...]
    values: tuple[Tensor, ...]
    returned: Any
    line: Line | None
    node: str | None

    @property
    def inputs(self) -> tuple[View, ...]:
        """Views of the floating-point inputs."""
        return views_in(self.arguments)

    @property
    def schema(self) -> Operator:
        """Properties of the operator."""
        return operator_of(self.operator)

    @property
    def changed(self) -> tuple[View, ...]:
        """Views of the arguments that the operation changed."""
        return views_in(self.schema.changed(*self.arguments))

    @cached_property
    def rounded(self) -> Any:
        """Positional arguments with the values before the operation."""
        values = iter(self.given)
        return tree_map(lambda leaf: next(values) if is_view(leaf) else leaf, self.arguments[0], is_leaf=is_view)

    @property
    def place(self) -> str | None:
        """File and line of the call."""
        return None if self.line is None else self.line.text

    @property
    def name(self) -> str:
        """Public name of the operation."""
        return spoken(self.operator.overloadpacket.__name__)

    @property
    def operation(self) -> str:
        """Name of the operation for messages: in the backward pass, the forward operation if torch names it."""
        found = _NODE.fullmatch(self.node or "")
        return self.name if found is None else spoken(_UPPER.sub("_", found[1]).lower().removesuffix("_backward"))


_NODE = re.compile(r"(\w+?)Backward\d+")
_UPPER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_SPOKEN = {
    "rsub": "sub",
    "to_copy": "to",
    "log1_p": "log1p",  # from the node Log1PBackward0
    "log_sigmoid_forward": "logsigmoid",
    "log_sigmoid": "logsigmoid",
    "native_layer_norm": "layer_norm",
    "linalg_vector_norm": "norm",
    "addmm": "mm",
    "bmm": "mm",
    "baddbmm": "mm",
    "true_divide": "div",
}
"""Operations that their users know by another name."""


def spoken(name: str) -> str:
    """Return an operator's name without the marks of its variants."""
    plain = name.strip("_")
    return _SPOKEN.get(plain, plain)


def is_view(leaf: Any) -> bool:
    """Whether a value is a view."""
    return isinstance(leaf, View)


def views_in(value: Any) -> tuple[View, ...]:
    """Return the views in arguments or results, in order."""
    return tuple(leaf for leaf in tree_leaves(value, is_leaf=is_view) if is_view(leaf))


def is_floating(leaf: Any) -> bool:
    """Whether it is a plain tensor of floats on the CPU, which can be followed."""
    return (
        isinstance(leaf, Tensor)
        and leaf.layout is torch.strided
        and leaf.dtype.is_floating_point
        and leaf.device.type == "cpu"
    )
