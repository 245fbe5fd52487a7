"""Quick check whether the losses and weights of a step are finite, without an audit."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from harness.auditor.end import ENGINE
from harness.exact.operator import is_followed, is_wrapped, tensors


class QuickLook:
    """Context manager that records the losses of a step.

    Notes
    -----
    A loss is the root of a backward pass, or a returned number. It is stored without its graph and read after the step.
    A single norm checks all weights with the same format.
    """

    def __init__(self) -> None:
        self._roots: list[Tensor] = []
        self._ends: list[tuple[str, Tensor]] = []
        self._formats: list[list[Tensor]] = []

    def __enter__(self) -> "QuickLook":
        """Start."""
        self._roots.clear()
        self._engine = getattr(torch.autograd, ENGINE)
        setattr(torch.autograd, ENGINE, self._backward)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        setattr(torch.autograd, ENGINE, self._engine)

    def _backward(self, roots: Any, *args: Any, **kwargs: Any) -> Any:
        self._keep(roots)
        return self._engine(roots, *args, **kwargs)

    def returned(self, value: Any) -> None:
        """Use the returned value as a loss if there was no backward pass."""
        if not self._roots:
            self._keep(tensors(list(value.values()) if isinstance(value, dict) else value))

    def _keep(self, values: Iterable[Any]) -> None:
        for value in values:
            if isinstance(value, Tensor) and not is_wrapped(value) and is_followed(value) and value.dim() == 0:
                self._roots.append(value.detach())

    def losses(self) -> tuple[float, ...]:
        """Return the losses in the order of their backward passes."""
        return tuple(map(float, self._roots))

    def follow(self, ends: Iterable[tuple[str, Tensor]]) -> None:
        """Check these weights and buffers from now on, except the ones that are already not finite."""
        found = ((name, tensor.detach()) for name, tensor in ends if tensor.numel())
        self._ends = [(name, tensor) for name, tensor in found if _is_finite(tensor)]
        formats: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
        for _, tensor in self._ends:
            formats.setdefault((tensor.device, tensor.dtype), []).append(tensor)
        self._formats = list(formats.values())

    def ruined(self) -> str | None:
        """Return the name of the first tensor that is no longer finite, or ``None``."""
        if all(map(_are_finite, self._formats)):
            return None
        # The norm may overflow although every element is finite.
        return next((name for name, tensor in self._ends if not _is_finite(tensor)), None)


def _are_finite(row: list[Tensor]) -> bool:
    return math.isfinite(float(torch.stack(torch._foreach_norm(row)).sum()))


def _is_finite(tensor: Tensor) -> bool:
    return bool(tensor.isfinite().all())
