"""A least-recently-used cache limited in bytes, and keys made from the contents of tensors and arrays."""

import hashlib
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

KeptT = TypeVar("KeptT")

MEBIBYTE = 2**20

_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class Memory(Generic[KeptT]):
    """A least-recently-used cache of at most ``most_bytes``; it ignores values larger than a quarter of that."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[Hashable, tuple[KeptT, int]] = OrderedDict()
        self._bytes = 0

    def get(self, key: Hashable) -> KeptT | None:
        """Return the cached value of a key, or ``None``."""
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key][0]

    def keep(self, key: Hashable, value: KeptT, size: int) -> None:
        """Cache a value of ``size`` bytes, replacing the previous value of its key."""
        _, before = self._kept.pop(key, (None, 0))
        self._bytes -= before
        if size > self._most_bytes // 4:
            return
        self._kept[key] = value, size
        self._bytes += size
        while self._bytes > self._most_bytes:
            _, (_, freed) = self._kept.popitem(last=False)
            self._bytes -= freed


def content_of(value: Any) -> Hashable | None:
    """Return a short key of a value's bits and memory layout, or ``None`` if it is neither an array nor a number.

    The layout is included because NumPy's order of summation depends on it.
    """
    if isinstance(value, Tensor):
        if value.layout is not torch.strided or value.device.type != "cpu":
            return None
        # NumPy has no bfloat16, so the bits are read as integers.
        bits = value.detach().view(_INTEGERS[value.element_size()]).numpy()
        return str(value.dtype), tuple(value.shape), value.stride(), _digest(bits)
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            return None
        return str(value.dtype), value.shape, value.strides, _digest(value)
    return (type(value), repr(value)) if isinstance(value, (bool, int, float, str, type(None))) else None


def _digest(values: Any) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(values).data, digest_size=16).digest()
