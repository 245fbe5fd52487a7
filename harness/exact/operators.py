"""Torch operations on balls: one table for every replay in ball arithmetic.

Torch itself carries out operations that only move numbers, on an array of positions.
"""

import math
from collections.abc import Callable, Mapping
from itertools import repeat
from typing import Any

import numpy as np
import torch
from flint import arb, arb_mat
from numpy.typing import NDArray
from torch import Tensor

from harness.exact.elementwise import (
    ELEMENTWISE,
    ONE,
    ZERO,
    Balls,
    Operation,
    array,
    divide,
    exp,
    larger,
    largest,
    lift,
    log,
    number,
    power,
    smaller,
    sqrt,
)
from harness.exact.tape import FAILURES, Operator, tensors

# Operations on rows

MEAN, SUM = 1, 2
"""Torch's integer codes for the reductions of losses."""


def _get_axes(x: Balls, dim: Any) -> tuple[int, ...]:
    if dim is None or dim == [] or not x.ndim:
        return tuple(range(x.ndim))
    return tuple(dim) if isinstance(dim, list | tuple) else (dim,)


def _count(x: Balls, dim: Any) -> int:
    return math.prod(x.shape[axis] for axis in _get_axes(x, dim)) if x.ndim else 1


def _sum(x: Balls, dim: Any = None, keepdim: int = 0, **_: Any) -> Balls:
    return array(x.sum(axis=_get_axes(x, dim), keepdims=keepdim, initial=arb(0)))


def _mean(x: Balls, dim: Any = None, keepdim: int = 0, **_: Any) -> Balls:
    return _sum(x, dim, keepdim) / _count(x, dim)


def _amax(x: Balls, dim: Any = None, keepdim: int = 0) -> Balls:
    for axis in sorted((axis % x.ndim for axis in _get_axes(x, dim)), reverse=True):
        x = largest(x, axis, keepdims=bool(keepdim))
    return x


def _amin(x: Balls, dim: Any = None, keepdim: int = 0) -> Balls:
    return -_amax(-x, dim, keepdim)


def _variance(x: Balls, dim: Any = None, *, correction: float | None = 1, keepdim: int = 0) -> Balls:
    centred = x - _mean(x, dim, keepdim=True)
    count = _count(x, dim) - (1 if correction is None else correction)
    return divide(_sum(centred * centred, dim, keepdim), arb(max(count, 0)))


def _norm(x: Balls, order: float = 2, dim: Any = None, keepdim: int = 0, **_: Any) -> Balls:
    if order == math.inf:
        return _amax(array(abs(x)), dim, keepdim)
    if order == 1:
        return _sum(array(abs(x)), dim, keepdim)
    return power(_sum(power(array(abs(x)), lift(order)), dim, keepdim), array(1 / arb(order)))


def _compute_exponentials(x: Balls, shift: Balls, dim: Any) -> tuple[Balls, Balls]:
    """Return the exponentials of the shifted rows, and their sums."""
    e = exp(x - shift)
    return e, _sum(e, dim, keepdim=True)


def _find_largest_middle(x: Balls, dim: Any) -> Balls:
    return array(np.frompyfunc(lambda ball: ball.mid(), 1, 1)(_amax(x, dim, keepdim=True)))


def _softmax(x: Balls, dim: int, _half: int = 0) -> Balls:
    return ONE if not x.ndim else divide(*_compute_exponentials(x, _find_largest_middle(x, dim), dim))


def _log_softmax(x: Balls, dim: int, _half: int = 0) -> Balls:
    shift = _find_largest_middle(x, dim)
    return x - shift - log(_compute_exponentials(x, shift, dim)[1])


def _logsumexp(x: Balls, dim: Any, keepdim: int = 0) -> Balls:
    axes = _get_axes(x, dim)
    shift = _find_largest_middle(x, axes)
    shift = np.where(np.frompyfunc(lambda ball: ball.is_finite(), 1, 1)(shift).astype(bool), shift, ZERO)
    result = array(shift + log(_compute_exponentials(x, shift, axes)[1]))
    return result if keepdim else result.squeeze(axes)


# Products of matrices


def product(a: Balls, b: Balls) -> Balls:
    """Multiply two matrices."""
    if not all((*a.shape, *b.shape)):
        return np.full((a.shape[0], b.shape[1]), arb(0), dtype=object)
    output = np.empty((a.shape[0], b.shape[1]), dtype=object)
    output.flat[:] = (arb_mat(a.tolist()) * arb_mat(b.tolist())).entries()
    return output


def _compute_products(a: Balls, b: Balls) -> Balls:
    return np.stack([product(*pair) for pair in zip(a, b, strict=True)])


PRODUCTS: Mapping[str, Operation] = {
    "mm": product,
    "addmm": lambda x, a, b, *, beta=1, alpha=1: x * number(beta) + product(a, b) * number(alpha),
    "bmm": _compute_products,
    "baddbmm": lambda x, a, b, *, beta=1, alpha=1: x * number(beta) + _compute_products(a, b) * number(alpha),
    "mv": lambda a, b: product(a, b[:, None])[:, 0],
    "dot": lambda a, b: _sum(a * b),
}


# Losses and normalizations


def _reduce(x: Balls, reduction: int) -> Balls:
    return _mean(x) if reduction == MEAN else _sum(x) if reduction == SUM else x


def _build_weights(target: NDArray[np.int64], classes: int, weight: Balls | None, ignored: int) -> Balls:
    """Return a one-hot row for each class, scaled by the class weight."""
    chosen = (np.arange(classes) == target[..., None]) & (target != ignored)[..., None]
    return np.where(chosen, ONE if weight is None else weight, ZERO)


def _nll_loss(x: Balls, target: Any, weight: Any, reduction: int, ignored: int) -> tuple[Balls, Balls]:
    weights = _build_weights(target, x.shape[-1], weight, ignored)
    terms = np.where(_is_zero(weights), ZERO, -x * weights).sum(-1)
    total = _sum(weights)
    loss = divide(_sum(terms), total) if reduction == MEAN else _reduce(array(terms), reduction)
    return loss, total


_is_zero = np.frompyfunc(lambda ball: bool(ball == 0), 1, 1)


def _nll_loss_backward(*call: Any) -> Balls:
    g, x, target, weight, reduction, ignored, total = call
    weights = _build_weights(target, x.shape[-1], weight, ignored)
    return -weights * (divide(g, total) if reduction == MEAN else g if reduction == SUM else g[..., None])


def _mse_loss_backward(g: Balls, x: Balls, target: Balls, reduction: int) -> Balls:
    return g * 2 * (x - target) * (1 / arb(x.size) if reduction == MEAN else arb(1))


def _layer_norm(x: Balls, shape: Any, weight: Any, bias: Any, eps: float) -> tuple[Balls, Balls, Balls]:
    dims = list(range(-len(shape), 0))
    mean = _mean(x, dims, keepdim=True)
    inverse = divide(ONE, sqrt(_variance(x, dims, correction=0, keepdim=True) + number(eps)))
    y = (x - mean) * inverse
    y = y if weight is None else y * weight
    return (y if bias is None else y + bias), mean, inverse


def _batch_norm(*call: Any) -> tuple[Balls | None, ...]:
    x, weight, bias, mean, variance, training, _momentum, eps = call
    dims = [axis for axis in range(x.ndim) if axis != 1]
    if training:
        mean, variance = _mean(x, dims), _variance(x, dims, correction=0)
    inverse = divide(ONE, sqrt(variance + number(eps)))
    y = (x - _expand(mean, x)) * _expand(inverse, x)
    y = y if weight is None else y * _expand(weight, x)
    y = y if bias is None else y + _expand(bias, x)
    return (y, mean, inverse) if training else (y, None, None)


def _expand(values: Balls, x: Balls) -> Balls:
    """Reshape one number per channel so that it broadcasts along the channels of ``x``."""
    return values.reshape(-1, *[1] * (x.ndim - 2))


def _batch_norm_backward(*call: Any) -> tuple[Balls | None, ...]:
    g, x, weight, mean, variance, saved_mean, saved_inverse, training, eps, wanted = call
    dims = [axis for axis in range(x.ndim) if axis != 1]
    mean, inverse = (saved_mean, saved_inverse) if training else (mean, divide(ONE, sqrt(variance + number(eps))))
    normal = (x - _expand(mean, x)) * _expand(inverse, x)
    along, total = _sum(g * normal, dims), _sum(g, dims)
    count = _count(x, dims)
    centred = g - _expand(total, x) / count - normal * _expand(along, x) / count if training else g
    output = (centred * _expand(inverse if weight is None else inverse * weight, x), along, total)
    return tuple(value if is_wanted else None for value, is_wanted in zip(output, wanted, strict=True))


def _layer_norm_backward(*call: Any) -> tuple[Balls | None, ...]:
    g, x, shape, mean, inverse, weight, bias, wanted = call
    dims, before = list(range(-len(shape), 0)), list(range(x.ndim - len(shape)))
    normal = (x - mean) * inverse
    h = g if weight is None else g * weight
    mean_of_h, along = _mean(h, dims, keepdim=True), _mean(h * normal, dims, keepdim=True)
    output = (
        (h - mean_of_h - normal * along) * inverse,
        None if weight is None else _sum(g * normal, before) if before else g * normal,
        None if bias is None else _sum(g, before) if before else g,
    )
    return tuple(value if is_wanted else None for value, is_wanted in zip(output, wanted, strict=True))


BY_ROWS: Mapping[str, Operation] = {
    "sum": _sum,
    "mean": _mean,
    "prod": lambda x, dim=None, keepdim=False, **_: array(x.prod(axis=dim, keepdims=keepdim)),
    "cumsum": lambda x, dim, **_: array(np.add.accumulate(x, axis=dim)),
    "cumprod": lambda x, dim, **_: array(np.multiply.accumulate(x, axis=dim)),
    "amax": _amax,
    "amin": _amin,
    "max": lambda x, other=None: _amax(x) if other is None else larger(x, other),
    "min": lambda x, other=None: _amin(x) if other is None else smaller(x, other),
    "var": _variance,
    "std": lambda x, dim=None, **named: sqrt(_variance(x, dim, **named)),
    "linalg_vector_norm": _norm,
    "logsumexp": _logsumexp,
    "_softmax": _softmax,
    "_log_softmax": _log_softmax,
    "_softmax_backward_data": lambda g, y, dim, _: y * (g - _sum(g * y, dim, keepdim=True)),
    "_log_softmax_backward_data": lambda g, y, dim, _: g - exp(y) * _sum(g, dim, keepdim=True),
    "nll_loss_forward": _nll_loss,
    "nll_loss_backward": _nll_loss_backward,
    "mse_loss": lambda x, target, reduction=MEAN: _reduce((x - target) * (x - target), reduction),
    "mse_loss_backward": _mse_loss_backward,
    "native_batch_norm": _batch_norm,
    "native_batch_norm_backward": _batch_norm_backward,
    "native_layer_norm": _layer_norm,
    "native_layer_norm_backward": _layer_norm_backward,
}  # fmt: skip


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


def pick_balls(x: Balls, places: Tensor, *args: Any) -> Balls:
    """Return the balls at the indices that an operation returned."""
    index: NDArray[np.int64] = places.numpy(force=True)
    dim = next((arg for arg in args if isinstance(arg, int) and not isinstance(arg, bool)), -1)
    if index.ndim == x.ndim:
        return np.take_along_axis(x, index, dim)
    return np.take_along_axis(x, np.expand_dims(index, dim), dim).squeeze(dim)


def _put(x: Balls, indices: list[Any], values: Balls, accumulate: int = 0) -> Balls:
    output: Any = np.array(x, dtype=object)
    where: Any = tuple(slice(None) if index is None else index for index in indices)
    if accumulate:
        np.add.at(output, where, values)
    else:
        output[where] = values
    return output


def _scatter_add(x: Balls, dim: int, at: NDArray[np.int64], values: Balls) -> Balls:
    output: Any = np.array(x, dtype=object)
    where: Any = [np.broadcast_to(axis, at.shape) for axis in np.ogrid[tuple(map(slice, at.shape))]]
    where[dim] = at
    np.add.at(output, tuple(where), values[tuple(map(slice, at.shape))])
    return output


def _index_add(x: Balls, dim: int, at: NDArray[np.int64], values: Balls) -> Balls:
    output: Any = np.array(x, dtype=object)
    np.add.at(np.moveaxis(output, dim, 0), at, np.moveaxis(values, dim, 0))
    return output


PUTS: Mapping[str, Callable[..., Balls]] = {"index_put": _put, "scatter_add": _scatter_add, "index_add": _index_add}
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
    output: Any
    if operator.name.startswith("_foreach_"):
        output = _apply_to_each(operation_of_each(name), args, kwargs)
    elif name in MOVES:
        output = _move_positions(operator, args, kwargs)
    elif name in COPIES:
        output = lift(args[0])
    elif name in PICKED and isinstance(result, list | tuple):
        output = pick_balls(args[0], result[1], *args[2 if name in {"kthvalue", "topk"} else 1 :])  # these begin with k
    elif name == "threshold_backward":
        side = rounded[1].detach().numpy(force=True) > args[2]  # the side that the step took
        output = np.where(side, args[0], ZERO)
    elif name in PUTS:
        output = PUTS[name](*args)
    else:
        output = OPERATIONS[name](*args, **kwargs)
    return list(output) if isinstance(output, list | tuple) else [output]


def operation_of_each(name: str) -> str:
    """Return the operation that a multi-tensor operation applies to each tensor."""
    return name.removeprefix("_foreach_").rstrip("_") if name.startswith("_foreach_") else name


def _apply_to_each(name: str, args: list[Any], kwargs: Mapping[str, Any]) -> list[Balls]:
    """Apply one operation to the elements of lists."""
    if name == "norm":
        name = "linalg_vector_norm"
    columns = [argument if isinstance(argument, list) else repeat(argument) for argument in args]
    if name in ("addcmul", "addcdiv") and len(columns) > 3:
        scale = columns.pop()
        return [OPERATIONS[name](*row, value=value) for *row, value in zip(*columns, scale, strict=False)]
    return [OPERATIONS[name](*row, **kwargs) for row in zip(*columns, strict=False)]


def _move_positions(operator: Operator, args: Any, kwargs: Mapping[str, Any]) -> list[Balls]:
    """Let torch move positions instead of balls; position 0 stands for zero."""
    pool: list[arb] = [arb(0)]

    def replace_by_positions(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [replace_by_positions(inner) for inner in value]
        if isinstance(value, float):  # the value of a padding or of a scatter
            pool.append(arb(value))
            return float(len(pool) - 1)
        if not isinstance(value, np.ndarray) or value.dtype != object:
            return torch.from_numpy(value) if isinstance(value, np.ndarray) else value
        first = len(pool)
        pool.extend(value.flat)
        return torch.arange(first, len(pool), dtype=torch.float64).view(value.shape)

    with torch.no_grad():
        options = {key: replace_by_positions(value) for key, value in kwargs.items()}
        moved = operator.overload(*replace_by_positions(args), **options)
    lifted = np.empty(len(pool), dtype=object)
    lifted[:] = pool
    return [lifted[place.numpy().astype(np.int64)] for place in tensors(moved)]
