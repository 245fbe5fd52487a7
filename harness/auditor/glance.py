"""A glance at a step that is not audited: whether its losses, and the weights after it, are finite."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from harness.auditor.end import ENGINE
from harness.auditor.operator import is_followed, is_wrapped, tensors


class Glance:
    """Listens for the losses of a step; a context around it.

    Notes
    -----
    A loss is what a backward pass begins from, or a number that is returned. It is kept without its graph, and read
    when the step is over. Weights are looked at by their norms, those of a format in one call.
    """

    def __init__(self) -> None:
        self._roots: list[Tensor] = []
        self._ends: list[tuple[str, Tensor]] = []
        self._formats: list[list[Tensor]] = []

    def __enter__(self) -> "Glance":
        """Begin."""
        self._roots.clear()
        self._engine = getattr(torch.autograd, ENGINE)
        setattr(torch.autograd, ENGINE, self._backward)
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        setattr(torch.autograd, ENGINE, self._engine)

    def _backward(self, roots: Any, *args: Any, **kwargs: Any) -> Any:
        self._keep(roots)
        return self._engine(roots, *args, **kwargs)

    def returned(self, value: Any) -> None:
        """Take what the step returned for losses, where no backward pass began."""
        if not self._roots:
            self._keep(tensors(list(value.values()) if isinstance(value, dict) else value))

    def _keep(self, values: Iterable[Any]) -> None:
        for value in values:
            if isinstance(value, Tensor) and not is_wrapped(value) and is_followed(value) and value.dim() == 0:
                self._roots.append(value.detach())

    def losses(self) -> tuple[float, ...]:
        """The losses, in the order in which they came."""
        return tuple(map(float, self._roots))

    def follow(self, ends: Iterable[tuple[str, Tensor]]) -> None:
        """Look at these weights and buffers from now on; what is not finite now was meant so, or is known."""
        found = ((name, tensor.detach()) for name, tensor in ends if tensor.numel())
        self._ends = [(name, tensor) for name, tensor in found if _is_finite(tensor)]
        formats: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
        for _, tensor in self._ends:
            formats.setdefault((tensor.device, tensor.dtype), []).append(tensor)
        self._formats = list(formats.values())

    def ruined(self) -> str | None:
        """Name the first of them that has become infinite or NaN; ``None`` where none has."""
        if all(map(_are_finite, self._formats)):
            return None
        # A norm may be beyond the format where no number is.
        return next((name for name, tensor in self._ends if not _is_finite(tensor)), None)


def _are_finite(row: list[Tensor]) -> bool:
    return math.isfinite(float(torch.stack(torch._foreach_norm(row)).sum()))


def _is_finite(tensor: Tensor) -> bool:
    return bool(tensor.isfinite().all())
