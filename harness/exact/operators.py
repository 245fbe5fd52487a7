"""Torch operations on balls: one table for every replay in ball arithmetic.

Torch itself carries out operations that only move numbers, on an array of positions.
"""

from collections.abc import Callable, Mapping
from itertools import repeat
from typing import Any

import numpy as np
import torch
from flint import arb
from numpy.typing import NDArray
from torch import Tensor

from harness.exact.by_rows import BY_ROWS, PRODUCTS
from harness.exact.elementwise import ELEMENTWISE, ZERO, Balls, lift
from harness.exact.operator import FAILURES, Operator, tensors

OPERATIONS = {**ELEMENTWISE, **PRODUCTS, **BY_ROWS}

UNKNOWN = (*FAILURES, KeyError, ZeroDivisionError, OverflowError, AttributeError)
"""Errors of operations, or of arguments, that ball arithmetic does not have."""

MOVES = frozenset({
    "cat", "constant_pad_nd", "diag_embed", "diagonal_backward", "embedding", "flip", "gather", "index",
    "index_select", "masked_select", "repeat", "roll", "scatter", "select_backward", "select_scatter",
    "slice_backward", "slice_scatter", "stack", "take", "tril", "triu", "_unsafe_view",
})  # fmt: skip
"""Operations that only move numbers or pad them with zeros."""

COPIES = frozenset({"clone", "_to_copy"})
"""Operations that change at most the format."""

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
    "scatter_add": _scatter_add,
    "index_add": _index_add,
}
"""Operations that write numbers at indices, added to or in place of the existing ones."""

NOT_OURS = {"dtype", "layout", "device", "pin_memory", "memory_format", "out", "non_blocking"}
"""Arguments without a meaning for balls."""


def carried_out(operator: Operator, args: Any, kwargs: Mapping[str, Any], rounded: Any, result: Any) -> list[Any]:
    """Return the exact values that an operation returns or writes; ``None`` where they are unknown.

    ``args`` and ``kwargs`` have balls for floating-point tensors and NumPy arrays for others. ``rounded`` are the
    arguments of the step and ``result`` is its result.

    Raises
    ------
    Exception
        One of :data:`UNKNOWN`, if ball arithmetic does not have the operation.
    """
    name = operator.base
    kwargs = {key: value for key, value in kwargs.items() if key not in NOT_OURS}
    made: Any
    if operator.name.startswith("_foreach_"):
        made = _each(of_each(name), args, kwargs)
    elif name in MOVES:
        made = _moved(operator, args, kwargs)
    elif name in COPIES:
        made = lift(args[0])
    elif name in PICKED and isinstance(result, list | tuple):
        made = picked(args[0], result[1], *args[2 if name in {"kthvalue", "topk"} else 1 :])  # these begin with k
    elif name == "threshold_backward":
        side = rounded[1].detach().numpy(force=True) > args[2]  # the side that the step took
        made = np.where(side, args[0], ZERO)
    elif name in PUTS:
        made = PUTS[name](*args)
    else:
        made = OPERATIONS[name](*args, **kwargs)
    return list(made) if isinstance(made, list | tuple) else [made]


def of_each(name: str) -> str:
    """Return the operation that a multi-tensor operation applies to each tensor."""
    return name.removeprefix("_foreach_").rstrip("_") if name.startswith("_foreach_") else name


def _each(name: str, args: list[Any], kwargs: Mapping[str, Any]) -> list[Balls]:
    """Apply one operation to the elements of lists."""
    if name == "norm":
        name = "linalg_vector_norm"
    columns = [argument if isinstance(argument, list) else repeat(argument) for argument in args]
    if name in ("addcmul", "addcdiv") and len(columns) > 3:
        scale = columns.pop()
        return [OPERATIONS[name](*row, value=value) for *row, value in zip(*columns, scale, strict=False)]
    return [OPERATIONS[name](*row, **kwargs) for row in zip(*columns, strict=False)]


def _moved(operator: Operator, args: Any, kwargs: Mapping[str, Any]) -> list[Balls]:
    """Let torch move positions instead of balls; position 0 stands for zero."""
    pool: list[arb] = [arb(0)]

    def placed(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [placed(inner) for inner in value]
        if isinstance(value, float):  # the value of a padding or of a scatter
            pool.append(arb(value))
            return float(len(pool) - 1)
        if not isinstance(value, np.ndarray) or value.dtype != object:
            return torch.from_numpy(value) if isinstance(value, np.ndarray) else value
        first = len(pool)
        pool.extend(value.flat)
        return torch.arange(first, len(pool), dtype=torch.float64).view(value.shape)

    with torch.no_grad():
        moved = operator.overload(*placed(args), **{key: placed(value) for key, value in kwargs.items()})
    lifted = np.empty(len(pool), dtype=object)
    lifted[:] = pool
    return [lifted[place.numpy().astype(np.int64)] for place in tensors(moved)]
