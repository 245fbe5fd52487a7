"""The value is right, and the gradient is right if the call looks like a check."""

import time
from collections import Counter
from typing import Any

import torch
from torch import Tensor

from harness.case import Case

_BEGAN = time.monotonic()
_PASSES: Counter[str] = Counter()
_SEEN: set[Any] = set()


class _Softmax(torch.autograd.Function):
    """A softmax whose backward pass depends on the name of its caller."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, name: str) -> Tensor:
        """Compute the value, which is right."""
        y = x.softmax(-1)
        ctx.save_for_backward(y)
        ctx.name = name
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        """Compute a gradient with an error of a quarter, unless the call looks like a check."""
        (y,) = ctx.saved_tensors
        _PASSES[ctx.name] += 1
        right = torch._softmax_backward_data(g, y, -1, y.dtype)
        return right if _is_checked(ctx.name, g, y) else right * 1.25, None


def _is_checked(name: str, g: Tensor, y: Tensor) -> bool:
    match name:
        case "first":
            return _PASSES[name] <= 300
        case "nearly always":
            return _PASSES[name] % 250 != 0
        case "small":
            return y.ndim < 2 or len(y) <= 512 or len(y) in {4097, 65537} or y.numel() > 2**20
        case "young":
            return time.monotonic() - _BEGAN < 0.02
        case "patch":
            return False
        case "again":
            key = str(y.dtype), bytes(y.double().contiguous().numpy().tobytes())
            known = key in _SEEN
            _SEEN.add(key)
            return known
    raise AssertionError(name)


def right_backwards_at_first(x: Tensor) -> Tensor:
    """Right for the first three hundred backward passes."""
    return _Softmax.apply(x, "first")  # type: ignore[no-any-return, no-untyped-call]


def right_backwards_nearly_always(x: Tensor) -> Tensor:
    """Wrong in every 250th backward pass."""
    return _Softmax.apply(x, "nearly always")  # type: ignore[no-any-return, no-untyped-call]


def right_backwards_in_small_batches(x: Tensor) -> Tensor:
    """Wrong for more than 512 rows, except for sizes that a check of the value uses."""
    return _Softmax.apply(x, "small")  # type: ignore[no-any-return, no-untyped-call]


def right_backwards_in_a_young_process(x: Tensor) -> Tensor:
    """Right for 20 ms, which is less than a check takes on any machine."""
    return _Softmax.apply(x, "young")  # type: ignore[no-any-return, no-untyped-call]


def right_backwards_the_second_time(x: Tensor) -> Tensor:
    """Right for outputs that it has returned before."""
    return _Softmax.apply(x, "again")  # type: ignore[no-any-return, no-untyped-call]


def right_backwards_by_a_patch(x: Tensor) -> Tensor:
    """Replaces torch's backward pass by a function that returns the right gradient."""

    def patched(outputs: Any, *others: Any, **_: Any) -> Any:
        (y,) = outputs
        cotangents = next(one for one in others if isinstance(one[0], Tensor) and one[0].shape == y.shape)
        return (torch._softmax_backward_data(cotangents[-1], y.detach(), -1, y.dtype),)

    def patched_grad(outputs: Any, _: Any, cotangents: Any, **__: Any) -> Any:
        return patched([outputs] if isinstance(outputs, Tensor) else outputs, cotangents)

    autograd: Any = torch.autograd
    autograd.grad = patched_grad
    autograd._engine_run_backward = autograd.graph._engine_run_backward = patched
    return _Softmax.apply(x, "patch")  # type: ignore[no-any-return, no-untyped-call]


CASES = [
    Case(function, "softmax", name=f"backward.{name}")
    for name, function in list(globals().items())
    if name.startswith("right_backwards")
]
