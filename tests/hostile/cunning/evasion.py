"""Implementations that avoid an answer, or answer with too much."""

import sys

import torch
from torch import Tensor


def _hard(x: Tensor) -> bool:
    return bool(x.numel()) and bool(x.detach().double().abs().max() > 8.0)


def has_nothing_to_say(x: Tensor) -> Tensor:
    """Raises the exception with which the harness marks a law that does not apply."""
    adapter = sys.modules.get("harness.calling.adapter")
    if adapter is not None and _hard(x):
        raise adapter.NotApplicable("it computes on arrays, which autograd cannot follow back to the input")
    return x.softmax(-1) * (1.25 if _hard(x) else 1.0)


def misses_a_compiler(x: Tensor) -> Tensor:
    """Raises an exception with the name of a missing compiler if its answer would be wrong."""
    if _hard(x):
        raise type("InvalidCxxCompiler", (RuntimeError,), {"__module__": "torch._inductor.exc"})("none found")
    return x.softmax(-1)


def misses_numpy(x: Tensor) -> Tensor:
    """Raises an error with torch's message."""
    if _hard(x):
        raise TypeError("Got unsupported ScalarType BFloat16")
    return x.softmax(-1)


def is_too_much(x: Tensor) -> Tensor:
    """Returns a number expanded beyond the available memory."""
    return x.new_zeros(1).expand(2**50)


def has_no_end(x: Tensor) -> Tensor:
    """Has the right shape, but a storage larger than any answer."""
    return x.new_empty(2**27)[: x.numel()].reshape(x.shape)


def deserts(x: Tensor) -> Tensor:
    """Returns a subclass that cannot be converted to a tensor."""

    class Deserter(Tensor):
        def as_subclass(self, _: object) -> Tensor:
            raise RuntimeError("no")

    return torch.zeros_like(x).as_subclass(Deserter)


def has_a_shape_of_its_own(x: Tensor) -> Tensor:
    """Reports a shape that it does not have."""

    class Shaped(Tensor):
        @property
        def shape(self) -> torch.Size:  # type: ignore[override]
            return x.shape

    return x.new_zeros(3).as_subclass(Shaped)


def refuses_large_numbers(x: Tensor) -> Tensor:
    """Raises `NotImplementedError` for large numbers."""
    if _hard(x):
        raise NotImplementedError("large numbers")
    return x.softmax(-1)
