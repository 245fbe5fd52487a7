"""Encode values as JSON and raw bytes: numbers, texts, tensors, and nests of them.

A list of equal structures, as for the rows of a batch, is sent by columns: its structure once, and its tensors of equal
size as a block.
"""

import ctypes
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

DEEPEST = 24
"""Levels of a nest."""

_FEWEST = 4
"""Smallest number of equal parts that are sent as columns."""

DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in vars(torch).values()
    if isinstance(dtype, torch.dtype) and not dtype.is_complex and "q" not in str(dtype)
}
"""Dtypes that can be sent to another process."""

# Bound before user code is loaded, which may replace methods of the class.
data_ptr = Tensor.data_ptr
_stride, _offset, _size = Tensor.stride, Tensor.storage_offset, Tensor.size
_numel, _element_size, _nbytes = Tensor.numel, Tensor.element_size, torch.UntypedStorage.nbytes
_detach, _clone, _storage, _stack = Tensor.detach, Tensor.clone, Tensor.untyped_storage, torch.stack
_resolve_conj, _resolve_neg, _as_subclass = Tensor.resolve_conj, Tensor.resolve_neg, Tensor.as_subclass
_is_complex, _is_contiguous, _is_neg = Tensor.is_complex, Tensor.is_contiguous, Tensor.is_neg


def kind_of(value: Any) -> str:
    """Return the display name of an object's class."""
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")


_SENT_AS_IS = frozenset({type(None), bool, str})
_STRING = frozenset({str})


class Packed:
    """A value as JSON, and the storages of its tensors."""

    def __init__(self, value: Any, special: Callable[[Any], Any] = lambda _: None) -> None:
        self.tensors: list[dict[str, Any]] = []
        self.parts: list[Any] = []
        self.held: list[Tensor] = []
        self._special = special
        self.value = self._encode(value, 0)

    def _encode(self, value: Any, depth: int) -> Any:
        if value is None or type(value) in {bool, int, str}:
            return value if type(value) is not int or abs(value) < 2**63 else {"o": "int"}
        if type(value) is float:
            return value if math.isfinite(value) else {"f": str(value)}
        if depth < DEEPEST:
            if isinstance(value, Tensor):
                return self._encode_tensor(value)
            if type(value) in {list, tuple} or (
                isinstance(value, tuple) and type(value).__module__ == "torch.return_types"
            ):
                kind = "l" if type(value) is list else "t"
                if len(value) >= _FEWEST and isinstance(value[0], (dict, list, tuple, Tensor)):
                    return {"L" if kind == "l" else "U": [len(value), self._encode_column(value, depth + 1)]}
                return {kind: [x if type(x) in _SENT_AS_IS else self._encode(x, depth + 1) for x in value]}
            if type(value) is dict and _STRING.issuperset(map(type, value)):
                return {
                    "m": {key: x if type(x) in _SENT_AS_IS else self._encode(x, depth + 1) for key, x in value.items()}
                }
        if isinstance(value, (torch.dtype, torch.layout, torch.memory_format)):
            return {"k": str(value)}
        if isinstance(value, torch.device):
            return {"v": str(value)}
        special = self._special(value)
        return {"o": kind_of(value)} if special is None else {"x": self._encode(special, depth + 1)}

    def _encode_column(self, values: Sequence[Any], depth: int) -> Any:
        """Encode the common structure of the values once, and the differences in order."""
        first, kind = values[0], type(values[0])
        if depth < DEEPEST and all(type(value) is kind for value in values):
            if kind is Tensor and _are_rows(values):
                return {"R": self._encode_rows(values)}
            if kind is dict and _STRING.issuperset(map(type, first)) and _agree([value.keys() for value in values]):
                parts = [(key, [value[key] for value in values]) for key in first]
                return {"m": {key: self._encode_column(column, depth + 1) for key, column in parts}}
            if kind in {list, tuple} and _agree([len(value) for value in values]):
                columns = [self._encode_column(column, depth + 1) for column in zip(*values, strict=True)]
                return {"l" if kind is list else "t": columns}
            if kind in {type(None), bool, int, str} and _agree(values) and self._encode(first, depth) == first:
                return {"E": first}
        return {"P": [self._encode(value, depth) for value in values]}

    def _encode_rows(self, rows: Sequence[Tensor]) -> int:
        """Encode tensors of equal size as a block."""
        x = _stack([_detach(row) for row in rows])
        count = _numel(x) * _element_size(x)
        first = rows[0]
        name = str(first.dtype).removeprefix("torch.")
        entry = {"d": name, "s": list(_size(first)), "g": bool(first.requires_grad), "n": len(rows), "b": count}
        self.held.append(x)
        self.parts.append(memoryview((ctypes.c_char * count).from_address(data_ptr(x))).cast("B"))
        self.tensors.append(entry)
        return len(self.tensors) - 1

    def _encode_tensor(self, tensor: Tensor) -> Any:
        x = tensor if type(tensor) is Tensor else _as_subclass(tensor, Tensor)
        name = str(x.dtype).removeprefix("torch.")
        if x.layout is not torch.strided or x.is_nested or x.is_quantized:
            return {"o": "a tensor that is sparse, nested or quantized"}
        if _is_complex(x):
            return {"o": "complex numbers"}
        if name not in DTYPES:
            return {"o": f"a tensor of {name}"}
        entry: dict[str, Any] = {"d": name, "s": list(_size(x)), "g": bool(x.requires_grad)}
        if x.device.type == "meta":
            entry["a"] = "meta"
        elif x.device.type != "cpu":
            return {"o": f"a tensor on {x.device}"}
        else:
            self._add_storage(_detach(x), entry)
        self.tensors.append(entry)
        return {"T": len(self.tensors) - 1}

    def _add_storage(self, x: Tensor, entry: dict[str, Any]) -> None:
        x = _resolve_neg(_resolve_conj(x))
        size, stride = list(_size(x)), list(_stride(x))
        item = _element_size(x)
        extent = 1 + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if math.prod(size) else 0
        whole = _nbytes(_storage(x)) // item
        # The zeros that the backward pass of `sgn` returns have no memory.
        if extent > 4 * math.prod(size) + 1024 or (extent and not data_ptr(x)):
            x = _clone(x, memory_format=torch.contiguous_format)
            stride, extent, whole = list(_stride(x)), math.prod(size), 0
        offset = int(_offset(x))
        if extent <= whole <= 4 * extent:  # the whole storage, so that a read past the strides finds the same bytes
            start, extent = data_ptr(x) - offset * item, whole
        else:
            start, offset = data_ptr(x), 0
        entry |= {"t": stride, "o": offset, "b": extent * item}
        self.held.append(x)
        if extent:
            self.parts.append(memoryview((ctypes.c_char * (extent * item)).from_address(start)).cast("B"))


def _agree(values: Sequence[Any]) -> bool:
    return all(value == values[0] for value in values)


def _are_rows(tensors: Sequence[Tensor]) -> bool:
    """Whether all have the same dtype and shape, and each fills its storage."""
    first = tensors[0]
    kind = first.dtype, _size(first), first.requires_grad
    if first.device.type != "cpu" or str(first.dtype).removeprefix("torch.") not in DTYPES or not _numel(first):
        return False
    return all((x.dtype, _size(x), x.requires_grad) == kind and _is_whole(x) for x in tensors)


def _is_whole(x: Tensor) -> bool:
    """Whether the tensor fills its storage."""
    if x.layout is not torch.strided or x.is_nested or x.device.type != "cpu" or _is_neg(x) or not _is_contiguous(x):
        return False
    extent = _numel(x) * _element_size(x)
    return not extent < _nbytes(_storage(x)) <= 4 * extent
