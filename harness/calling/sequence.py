"""Sequences of calls, on the result of an implementation or mapped over an axis, carried out where it is called.

The result may change its parameters in place or read files, and stays in its process. All arguments are sent at once,
and the final state is returned.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


class MisfitError(Exception):
    """The result of an implementation does not fit its contract."""


def train(
    make: Callable[..., Any], X: Tensor, y: Tensor, batches: Sequence[Tensor], lr: float, start: tuple[Tensor, Tensor]
) -> Any:
    """Make a step, and take it on one minibatch after the other.

    Returns
    -------
    The parameters after the last step.

    Raises
    ------
    MisfitError
        If the result is not a pair.
    """
    result = make(*start, lr)
    if not (isinstance(result, (tuple, list)) and len(result) == 2):
        raise MisfitError(f"it returns {type(result).__name__} instead of a pair of a step and its parameters")
    step, parameters = result
    for batch in batches:
        step(X[batch], y[batch])
    return parameters


def read(make: Callable[..., Any], root: str, *values: Any) -> list[list[Any]]:
    """Make a loader of the files below a folder, and run through it.

    Returns
    -------
    The batches by epoch.
    """
    *arguments, epochs = values
    batches = make(Path(root), *arguments)
    return [list(batches) for _ in range(epochs)]


def vmap(make: Callable[..., Any], *values: Any) -> Any:
    """Map a function over an axis of each input; ``None`` stands for an input that is not mapped."""
    *inputs, axes = values
    return torch.func.vmap(make, in_dims=tuple(axes))(*inputs)


SEQUENCES: Mapping[str, Callable[..., Any]] = {"train": train, "read": read, "vmap": vmap}
"""Sequences by name."""
