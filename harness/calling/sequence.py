"""Sequences of calls on what an implementation makes: a step, or a loader. They are carried out where it is called.

What was made may change its parameters in place or read files, and need not leave its process: the arguments of all
calls go there at once, and what became of it comes back.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor


class MisfitError(Exception):
    """What an implementation made is not what its contract says."""


def train(
    make: Callable[..., Any],
    X: Tensor,
    y: Tensor,
    batches: Sequence[Tensor],
    lr: float,
    start: tuple[Tensor, Tensor],
) -> Any:
    """Make a step, and take it on one minibatch after the other.

    Returns
    -------
    The parameters after the last step.

    Raises
    ------
    MisfitError
        If what was made is no pair.
    """
    made = make(*start, lr)
    if not (isinstance(made, (tuple, list)) and len(made) == 2):
        raise MisfitError(f"it returns {type(made).__name__} instead of a pair of a step and its parameters")
    step, parameters = made
    for batch in batches:
        step(X[batch], y[batch])
    return parameters


def read(make: Callable[..., Any], root: str, *asked: Any) -> list[list[Any]]:
    """Make a loader of the files below a folder, and run through it.

    Returns
    -------
    The batches of each epoch.
    """
    *arguments, epochs = asked
    batches = make(Path(root), *arguments)
    return [list(batches) for _ in range(epochs)]


SEQUENCES: Mapping[str, Callable[..., Any]] = {"train": train, "read": read}
"""Sequences by name."""
