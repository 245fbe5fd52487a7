"""Properties of an operator, read from its schema in torch."""

from typing import Any

import torch
from torch import Tensor

FLOATING = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
"""The dtypes that have a shadow."""

UNIT = {dtype: torch.finfo(dtype).eps / 2 for dtype in FLOATING}
"""Unit roundoff."""

LARGEST = {dtype: torch.finfo(dtype).max for dtype in FLOATING}
SMALLEST_NORMAL = {dtype: torch.finfo(dtype).smallest_normal for dtype in FLOATING}
SMALLEST = {dtype: torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps for dtype in FLOATING}
"""Smallest positive subnormal number."""

NARROW = (torch.bfloat16, torch.float16)
INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32)
"""Integer dtypes that overflow in practice."""

_CONSTANTS = (
    "empty", "zeros", "ones", "full", "new_", "arange", "scalar_tensor", "lift_fresh", "rand", "eye", "linspace",
    "tril_indices", "triu_indices",
)  # fmt: skip
_NOT_NUMBERS = ("_local_scalar_dense", "sym_size", "record_stream", "set_", "resize_", "is_same_size")
_SEQUENCES = (list, tuple)  # a tuple is faster than a union here
_OVERWRITES = ("copy_", "fill_", "zero_")


class Operator:
    """One overload of an operator."""

    def __init__(self, overload: Any) -> None:
        schema = overload._schema
        self.overload = overload
        self.name: str = schema.name.split("::")[1]
        self.base = self.name.rstrip("_") if not self.name.startswith("_") else self.name
        self.writes = [
            (index, argument.name)
            for index, argument in enumerate(schema.arguments)
            if argument.alias_info is not None and argument.alias_info.is_write
        ]
        returns_views = any(result.alias_info is not None for result in schema.returns)
        self.is_view = torch.Tag.inplace_view in overload.tags or (not self.writes and returns_views)
        self.draws = torch.Tag.nondeterministic_seeded in overload.tags
        self.is_ignored = schema.name.startswith(("profiler::", "prim::")) or self.name in _NOT_NUMBERS
        self.is_constant = self.name.startswith(_CONSTANTS)
        self.overwrites = self.name in _OVERWRITES

    def changed(self, args: Any, kwargs: Any) -> list[Any]:
        """Return the arguments that a call changes."""
        return [args[index] if index < len(args) else kwargs.get(name) for index, name in self.writes]

    def written(self, args: Any, kwargs: Any) -> list[Tensor]:
        """Return the floating-point tensors that a call changes."""
        return [tensor for tensor in tensors(self.changed(args, kwargs)) if is_followed(tensor)]


OPERATORS: dict[int, Operator] = {}
"""Known operators, by the identity of their overload."""


def operator_of(overload: Any) -> Operator:
    """Return the cached properties of an overload."""
    known = OPERATORS.get(id(overload))
    if known is None:
        known = OPERATORS[id(overload)] = Operator(overload)
    return known


def tensors(value: Any) -> list[Tensor]:
    """Return every tensor in an argument or a result."""
    if isinstance(value, Tensor):
        return [value]
    collected: list[Tensor] = []
    if isinstance(value, _SEQUENCES):
        # Inlined, because a call for each argument would take longer.
        for inner in value:
            if isinstance(inner, Tensor):
                collected.append(inner)
            elif isinstance(inner, _SEQUENCES):
                collected += tensors(inner)
    return collected


def is_followed(tensor: Tensor) -> bool:
    """Whether a tensor has a shadow: it is dense, floating-point, and has data."""
    return tensor.dtype in UNIT and tensor.layout is torch.strided and not tensor.is_meta and not tensor.is_nested


def is_wrapped(tensor: Tensor) -> bool:
    """Whether a tensor is a wrapper without a storage, as in ``torch.func``."""
    return bool(torch._C._functorch.is_functorch_wrapped_tensor(tensor))


def key_of(tensor: Tensor) -> int:
    """Return the key of a tensor's storage; it is unique while the storage exists."""
    return int(tensor.untyped_storage()._cdata)


def length_of(tensor: Tensor) -> int:
    """Return the number of elements of a tensor's storage."""
    return tensor.untyped_storage().nbytes() // tensor.element_size()


def whole(tensor: Tensor) -> Tensor:
    """Return all elements of a tensor's storage as a row."""
    return torch.as_strided(tensor, (length_of(tensor),), (1,), 0)


def dtype_name(dtype: torch.dtype) -> str:
    """Return ``float32`` for ``torch.float32``."""
    return str(dtype).removeprefix("torch.")


FAILURES = (RuntimeError, NotImplementedError, TypeError, IndexError, ValueError)
"""Errors that torch raises if an operator does not exist in wider arithmetic or rejects mixed dtypes."""
