"""Torch operations in ball arithmetic that pick or place balls by the indices of the step."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from harness.auditor.ball import Balls

PICKED = {"max", "min", "sort", "topk", "kthvalue", "median"}
"""Operations that return indices next to values."""


def picked(x: Balls, places: Tensor, *args: Any) -> Balls:
    """Return the balls at the indices that an operation returned."""
    at: NDArray[np.int64] = places.numpy(force=True)
    dim = next((arg for arg in args if isinstance(arg, int) and not isinstance(arg, bool)), -1)
    if at.ndim == x.ndim:
        return np.take_along_axis(x, at, dim)
    return np.take_along_axis(x, np.expand_dims(at, dim), dim).squeeze(dim)


def _put(x: Balls, indices: list[Any], values: Balls, accumulate: int = 0) -> Balls:
    made: Any = np.array(x, dtype=object)
    where: Any = tuple(slice(None) if index is None else index for index in indices)
    if accumulate:
        np.add.at(made, where, values)
    else:
        made[where] = values
    return made


def _scatter_add(x: Balls, dim: int, at: NDArray[np.int64], values: Balls) -> Balls:
    made: Any = np.array(x, dtype=object)
    where: Any = [np.broadcast_to(axis, at.shape) for axis in np.ogrid[tuple(map(slice, at.shape))]]
    where[dim] = at
    np.add.at(made, tuple(where), values[tuple(map(slice, at.shape))])
    return made


def _index_add(x: Balls, dim: int, at: NDArray[np.int64], values: Balls) -> Balls:
    made: Any = np.array(x, dtype=object)
    np.add.at(np.moveaxis(made, dim, 0), at, np.moveaxis(values, dim, 0))
    return made


PUTS: Mapping[str, Callable[..., Balls]] = {
    "index_put": _put,
    "_index_put_impl": _put,
    "scatter_add": _scatter_add,
    "index_add": _index_add,
}
"""Operations that write numbers at indices, added to or in place of the existing ones."""
