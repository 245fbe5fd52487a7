"""A memory of what was worked out before, by what it was worked out of; what was not asked for longest is forgotten."""

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
    """What is kept by its key, up to so many bytes.

    Parameters
    ----------
    most_bytes
        How much is kept at most; what is larger than a quarter of it alone is not kept at all.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[Hashable, tuple[KeptT, int]] = OrderedDict()
        self._bytes = 0

    def get(self, key: Hashable) -> KeptT | None:
        """Return what is kept by a key; ``None`` where nothing is."""
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key][0]

    def keep(self, key: Hashable, value: KeptT, size: int) -> None:
        """Keep something of so many bytes, in the place of what was kept by its key."""
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
    """What a value says to the last bit, and its layout, in a few bytes; ``None`` where it is neither array nor number.

    Layout counts, since the order in which NumPy adds follows from it.
    """
    if isinstance(value, Tensor):
        if value.layout is not torch.strided or value.device.type != "cpu":
            return None
        # NumPy has no bfloat16, but integers of its size.
        bits = value.detach().view(_INTEGERS[value.element_size()]).numpy()
        return str(value.dtype), tuple(value.shape), value.stride(), _digest(bits)
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            return None
        return str(value.dtype), value.shape, value.strides, _digest(value)
    return (type(value), repr(value)) if isinstance(value, (bool, int, float, str, type(None))) else None


def _digest(values: Any) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(values).data, digest_size=16).digest()
