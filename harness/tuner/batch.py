"""Batches of any structure: tensors, arrays and numbers in tuples, lists and mappings."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


def equal(actual: Any, expected: Any) -> bool:
    """Whether two batches are equal, bit for bit and type for type; a tuple may replace a list."""
    if isinstance(expected, Tensor | np.ndarray):
        if type(actual) is not type(expected) or actual.shape != expected.shape or actual.dtype != expected.dtype:
            return False
        return bool((_bytes(actual) == _bytes(expected)).all())
    if isinstance(expected, Mapping):
        same_keys = isinstance(actual, Mapping) and actual.keys() == expected.keys()
        return same_keys and all(equal(actual[key], expected[key]) for key in expected)
    if _is_sequence(expected):
        same_length = _is_sequence(actual) and len(actual) == len(expected)
        return same_length and all(map(equal, actual, expected))
    return bool(actual == expected)


def tensors(batch: Any) -> list[Tensor]:
    """Return the tensors in a batch, in order."""
    if isinstance(batch, Tensor):
        return [batch]
    if isinstance(batch, Mapping):
        batch = list(batch.values())
    return [tensor for part in batch for tensor in tensors(part)] if _is_sequence(batch) else []


def copied(batch: Any) -> Any:
    """Return a copy of a batch that shares no tensor with it."""
    if isinstance(batch, Tensor):
        return batch.clone()
    if isinstance(batch, Mapping):
        return {key: copied(value) for key, value in batch.items()}
    return [copied(part) for part in batch] if _is_sequence(batch) else batch


def _is_sequence(part: Any) -> bool:
    return isinstance(part, Sequence) and not isinstance(part, str | bytes)


def _bytes(array: Any) -> Any:
    """Return the bytes of a tensor or array, so that NaN equals NaN."""
    if isinstance(array, Tensor):
        return array.detach().contiguous().reshape(-1).view(torch.uint8) if array.numel() else array
    return np.frombuffer(np.ascontiguousarray(array).tobytes(), dtype=np.uint8)
