"""Rules for common operations on arrays of numbers, with the arguments of torch's operators."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from flint import arb
from torch import Tensor

from harness.calling.trace.number import elementwise, number

Rule = Callable[..., Any]

_add = elementwise(lambda x, y: x + y, np.add, 2)
_subtract = elementwise(lambda x, y: x - y, np.subtract, 2)
_multiply = elementwise(lambda x, y: x * y, np.multiply, 2)
_divide = elementwise(lambda x, y: x / y, np.divide, 2)
_power = elementwise(lambda x, y: x**y, np.power, 2)
_larger = elementwise(lambda x, y: x if x >= y else y, np.maximum, 2)
_smaller = elementwise(lambda x, y: x if x <= y else y, np.minimum, 2)
_exp = elementwise(arb.exp, np.exp)
_expm1 = elementwise(arb.expm1, np.expm1)
_log = elementwise(arb.log, np.log)
_log1p = elementwise(arb.log1p, np.log1p)
_sqrt = elementwise(arb.sqrt, np.sqrt)
_tanh = elementwise(arb.tanh, np.tanh)
_sigmoid = elementwise(lambda x: 1 / (1 + (-x).exp()), lambda x: 1 / (1 + np.exp(-x)))
_logsigmoid = elementwise(lambda x: -(-x).exp().log1p(), lambda x: -np.logaddexp(0.0, -x))
_sign = elementwise(lambda x: arb(int(x > 0) - int(x < 0)), np.sign)
_absolute = elementwise(abs, np.abs)

_LN2 = number(2.0)


def _numbers(x: Any) -> Any:
    """Convert an argument to an array of numbers, exactly."""
    if isinstance(x, np.ndarray):
        return x
    if isinstance(x, Tensor):
        return np.frompyfunc(lambda value: number(float(value)), 1, 1)(np.asarray(x.tolist(), dtype=object))
    return number(float(x))


def _of(function: Rule, arguments: int = 1) -> Rule:
    """Return a rule for tensors and scalars that ignores further options."""
    return lambda *args, **_: function(*map(_numbers, args[:arguments]))


def _scaled(combine: Rule) -> Rule:
    """Return a rule for ``x + alpha y`` or a similar operation."""
    return lambda x, y, alpha=1: combine(_numbers(x), _multiply(_numbers(y), _numbers(alpha)))


def _axes(x: Any, dim: Any) -> tuple[int, ...]:
    if dim is None or dim == []:
        return tuple(range(x.ndim))
    return tuple(at % max(x.ndim, 1) for at in ([dim] if isinstance(dim, int) else dim)) if x.ndim else ()


def _reduced(combine: Rule, empty: float | None = None) -> Rule:
    """Return a reduction over the given axes, or over all axes by default."""

    def rule(x: Any, dim: Any = None, keepdim: bool = False, **_: Any) -> Any:  # noqa: FBT001, FBT002 - like torch
        axes = _axes(x, dim)
        rows = np.moveaxis(x, axes, range(len(axes))).reshape(-1, *(n for i, n in enumerate(x.shape) if i not in axes))
        total = np.full(rows.shape[1:], number(empty), dtype=object) if empty is not None else rows[0]
        for row in rows if empty is not None else rows[1:]:
            total = combine(total, row)
        return np.expand_dims(np.asarray(total, dtype=object), axes) if keepdim else total

    return rule


_sum = _reduced(lambda x, y: _add(x, y), 0.0)
_product = _reduced(lambda x, y: _multiply(x, y), 1.0)
_largest = _reduced(lambda x, y: _larger(x, y))
_smallest = _reduced(lambda x, y: _smaller(x, y))


def _mean(x: Any, dim: Any = None, keepdim: bool = False, **_: Any) -> Any:  # noqa: FBT001, FBT002 - like torch
    count = math.prod(x.shape[at] for at in _axes(x, dim))
    return _divide(_sum(x, dim, keepdim), number(float(count)))


def _variance(x: Any, dim: Any = None, *, correction: float | None = 1, keepdim: bool = False) -> Any:
    count = math.prod(x.shape[at] for at in _axes(x, dim))
    centred = _subtract(x, _mean(x, dim, keepdim=True))
    free = count - (1 if correction is None else correction)
    return _divide(_sum(_multiply(centred, centred), dim, keepdim), number(float(max(free, 0))))


def _shifted(x: Any, dim: int) -> tuple[Any, Any]:
    """Return the rows minus their maxima, and the sums of the exponentials."""
    shifted = _subtract(x, _largest(x, dim, keepdim=True))
    return shifted, _sum(_exp(shifted), dim, keepdim=True)


def _softmax(x: Any, dim: int, *_: Any) -> Any:
    shifted, total = _shifted(x, dim)
    return _divide(_exp(shifted), total)


def _log_softmax(x: Any, dim: int, *_: Any) -> Any:
    shifted, total = _shifted(x, dim)
    return _subtract(shifted, _log(total))


def _logsumexp(x: Any, dim: Any, keepdim: bool = False) -> Any:  # noqa: FBT001, FBT002 - like torch
    largest = np.frompyfunc(lambda v: v if isinstance(v, arb) else number(0.0), 1, 1)(_largest(x, dim, keepdim=True))
    total = _log(_sum(_exp(_subtract(x, largest)), dim, keepdim))
    return _add(total, largest.reshape(np.shape(total)))


def _softmax_backward(gradient: Any, output: Any, dim: int, *_: Any) -> Any:
    product = _multiply(gradient, output)
    return _subtract(product, _multiply(output, _sum(product, dim, keepdim=True)))


def _log_softmax_backward(gradient: Any, output: Any, dim: int, *_: Any) -> Any:
    return _subtract(gradient, _multiply(_exp(output), _sum(gradient, dim, keepdim=True)))


def _product_of_matrices(x: Any, y: Any) -> Any:
    left, right = (x[None] if x.ndim == 1 else x), (y[:, None] if y.ndim == 1 else y)
    result = _sum(_multiply(left[..., None], np.expand_dims(right, -3)), -2)
    return result.reshape(*x.shape[:-1], *(y.shape[:-2] if y.ndim > 2 and x.ndim < 3 else ()), *y.shape[1:][-1:])


def _norm(x: Any, ord: float = 2, dim: Any = None, keepdim: bool = False, **_: Any) -> Any:  # noqa: A002, FBT001, FBT002
    return _sqrt(_sum(_multiply(x, x), dim, keepdim)) if ord == 2 else None


def _where(condition: Tensor, x: Any, y: Any) -> Any:
    return np.where(condition.numpy(), np.asarray(_numbers(x), dtype=object), np.asarray(_numbers(y), dtype=object))


def _clamped(x: Any, low: Any = None, high: Any = None, *, min: Any = None, max: Any = None) -> Any:  # noqa: A002
    low, high = min if low is None else low, max if high is None else high
    x = x if low is None else _larger(x, _numbers(low))
    return x if high is None else _smaller(x, _numbers(high))


def _divided(x: Any, y: Any, rounding_mode: str | None = None) -> Any:
    return None if rounding_mode else _divide(_numbers(x), _numbers(y))


def _sigmoid_backward(gradient: Any, output: Any) -> Any:
    return _multiply(gradient, _multiply(output, _subtract(number(1.0), output)))


def _tanh_backward(gradient: Any, output: Any) -> Any:
    return _multiply(gradient, _subtract(number(1.0), _multiply(output, output)))


def _logsigmoid_forward(x: Any) -> Any:
    return _logsigmoid(x), _exp(_multiply(_absolute(x), number(-1.0)))


def _logsigmoid_backward(gradient: Any, x: Any, _: Any) -> Any:
    return _multiply(gradient, _sigmoid(_multiply(x, number(-1.0))))


def _logaddexp(x: Any, y: Any) -> Any:
    return _logsumexp(np.stack(np.broadcast_arrays(x, y)), 0)


def _cumulated(x: Any, dim: int, **_: Any) -> Any:
    rows = np.moveaxis(x, dim, 0).copy()
    for at in range(1, len(rows)):
        rows[at] = _add(rows[at - 1], rows[at])
    return np.moveaxis(rows, 0, dim)


RULES: dict[str, Rule] = {
    "add": _scaled(_add),
    "sub": _scaled(_subtract),
    "rsub": lambda x, y, alpha=1: _scaled(_subtract)(y, x, alpha),
    "mul": _of(_multiply, 2),
    "div": _divided,
    "neg": _of(lambda x: _multiply(x, number(-1.0))),
    "abs": _of(_absolute),
    "exp": _of(_exp),
    "exp2": _of(lambda x: _power(_LN2, x)),
    "expm1": _of(_expm1),
    "log": _of(_log),
    "log1p": _of(_log1p),
    "log2": _of(lambda x: _divide(_log(x), _log(number(2.0)))),
    "log10": _of(lambda x: _divide(_log(x), _log(number(10.0)))),
    "sqrt": _of(_sqrt),
    "rsqrt": _of(lambda x: _divide(number(1.0), _sqrt(x))),
    "reciprocal": _of(lambda x: _divide(number(1.0), x)),
    "pow": _of(_power, 2),
    "tanh": _of(_tanh),
    "sigmoid": _of(_sigmoid),
    "sgn": _of(_sign),
    "sign": _of(_sign),
    "relu": _of(lambda x: _larger(x, number(0.0))),
    "maximum": _of(_larger, 2),
    "minimum": _of(_smaller, 2),
    "clamp": _clamped,
    "clamp_min": lambda x, low: _clamped(x, low),
    "clamp_max": lambda x, high: _clamped(x, None, high),
    "where": _where,
    "masked_fill": lambda x, mask, value: _where(mask, value, x),
    "addcmul": lambda x, a, b, value=1: _add(x, _multiply(_numbers(value), _multiply(a, b))),
    "addcdiv": lambda x, a, b, value=1: _add(x, _multiply(_numbers(value), _divide(a, b))),
    "lerp": lambda x, end, weight: _add(x, _multiply(_numbers(weight), _subtract(end, x))),
    "copy": lambda into, x, *_: np.broadcast_to(_numbers(x), into.shape),
    "fill": lambda into, x: np.broadcast_to(_numbers(x), into.shape),
    "zero": lambda into: np.full(into.shape, number(0.0), dtype=object),
    "clone": lambda x, **_: x.copy(),
    "_to_copy": lambda x, **_: np.asarray(_numbers(x), dtype=object).copy(),
    "sum": _sum,
    "prod": _product,
    "mean": _mean,
    "amax": _largest,
    "amin": _smallest,
    "max": lambda x, *rest: _larger(x, rest[0]) if rest and isinstance(rest[0], np.ndarray) else _largest(x, *rest),
    "min": lambda x, *rest: _smaller(x, rest[0]) if rest and isinstance(rest[0], np.ndarray) else _smallest(x, *rest),
    "var": _variance,
    "std": lambda x, dim=None, **options: _sqrt(_variance(x, dim, **options)),
    "linalg_vector_norm": _norm,
    "logsumexp": _logsumexp,
    "cumsum": _cumulated,
    "mm": _product_of_matrices,
    "bmm": lambda x, y: np.stack([_product_of_matrices(a, b) for a, b in zip(x, y, strict=True)]),
    "mv": _product_of_matrices,
    "dot": lambda x, y: _sum(_multiply(x, y)),
    "addmm": lambda b, x, y, *, beta=1, alpha=1: _add(
        _multiply(_numbers(beta), b), _multiply(_numbers(alpha), _product_of_matrices(x, y))
    ),
    "_softmax": _softmax,
    "_log_softmax": _log_softmax,
    "_softmax_backward_data": _softmax_backward,
    "_log_softmax_backward_data": _log_softmax_backward,
    "sigmoid_backward": _sigmoid_backward,
    "tanh_backward": _tanh_backward,
    "log_sigmoid_forward": _logsigmoid_forward,
    "log_sigmoid_backward": _logsigmoid_backward,
    "logaddexp": _logaddexp,
}
"""Rules by operator name, without the underscore of in-place operations; ``None`` if a rule does not apply."""

MOVES = frozenset(
    {
        "gather",
        "index",
        "index_select",
        "cat",
        "stack",
        "flip",
        "roll",
        "repeat",
        "constant_pad_nd",
        "select_backward",
        "slice_backward",
        "tril",
        "triu",
    }
)
"""Operations that move numbers and compute nothing."""
