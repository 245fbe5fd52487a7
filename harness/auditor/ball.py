"""Torch operations on object arrays of balls.

Each function follows the mathematical definition, not the algorithm of the kernel. Torch itself carries out operations
that only move numbers, on an array of positions.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from flint import arb

from harness.formula.ball import FUNCTIONS

Balls: TypeAlias = Any
"""An object array of balls; NumPy's type for it does not support arithmetic."""

Operation = Callable[..., Any]

exp, log, log1p, expm1 = (FUNCTIONS[name] for name in ("exp", "log", "log1p", "expm1"))
sqrt, erf, sigmoid, tanh = (FUNCTIONS[name] for name in ("sqrt", "erf", "sigmoid", "tanh"))
divide, larger, negative = (FUNCTIONS[name] for name in ("div", "larger", "neg"))


def array(values: Any) -> Balls:
    """Return an object array, also for a single ball."""
    return np.asarray(values, dtype=object)


ZERO, ONE = array(arb(0)), array(arb(1))


def number(value: float) -> Any:
    """Convert a Python number exactly."""
    return arb(value) if isinstance(value, float) else int(value)


def _smaller(a: Any, b: Any) -> Balls:
    return negative(larger(negative(a), negative(b)))


# Element by element


def power(x: Any, y: Any) -> Balls:
    """Return a power, also for a negative or zero base if the exponent is an integer or one half."""
    if isinstance(y, float) and y.is_integer() and abs(y) < 64:
        y = int(y)
    if isinstance(y, int):
        return array(x**y) if y >= 0 else divide(ONE, x**-y)
    if isinstance(y, float) and y == 0.5:
        return sqrt(x)
    return exp(lift(y) * log(lift(x)))


def lift(x: Any) -> Any:
    """Convert a number to a ball; return an array unchanged."""
    return x if isinstance(x, np.ndarray) else arb(x)


def _clamp(x: Balls, low: Any = None, high: Any = None, **named: Any) -> Balls:
    low, high = named.get("min", low), named.get("max", high)
    if low is not None:
        x = larger(x, lift(low))
    return x if high is None else _smaller(x, lift(high))


def _softplus(x: Balls, beta: float = 1.0, _threshold: float = 20.0) -> Balls:
    scaled = x * number(beta)
    return divide(larger(scaled, ZERO) + log1p(exp(-array(abs(scaled)))), number(beta))


def _normal_cdf(x: Balls) -> Balls:
    return (1 + erf(x / arb(2).sqrt())) / 2


def _gelu(x: Balls, approximate: str = "none") -> Balls:
    return x * (_normal_cdf(x) if approximate == "none" else (1 + tanh(_inner(x))) / 2)


def _inner(x: Balls) -> Balls:
    """Return the argument of tanh in the tanh approximation of GELU, with the float64 constant of torch."""
    return (2 / arb.pi()).sqrt() * (x + arb(0.044715) * x**3)


def _gelu_backward(g: Balls, x: Balls, approximate: str = "none") -> Balls:
    if approximate == "none":
        return g * (_normal_cdf(x) + x * exp(-x * x / 2) / (2 * arb.pi()).sqrt())
    t = tanh(_inner(x))
    slope = (2 / arb.pi()).sqrt() * (1 + 3 * arb(0.044715) * x * x)
    return g * ((1 + t) / 2 + x * (1 - t * t) * slope / 2)


def _silu_backward(g: Balls, x: Balls) -> Balls:
    s = sigmoid(x)
    return g * (s * (1 + x * (1 - s)))


def _log_sigmoid(x: Balls) -> tuple[Balls, None]:
    return -_softplus(-x), None


def _lerp(a: Balls, b: Balls, weight: Any) -> Balls:
    return a + (weight if isinstance(weight, np.ndarray) else number(weight)) * (b - a)


ELEMENTWISE: Mapping[str, Operation] = {
    "add": lambda a, b, *, alpha=1: a + b * number(alpha),
    "sub": lambda a, b, *, alpha=1: a - b * number(alpha),
    "rsub": lambda a, b, alpha=1: b - a * number(alpha),
    "mul": lambda a, b: a * b,
    "div": lambda a, b: divide(a, lift(b)),
    "neg": lambda x: -x,
    "reciprocal": lambda x: divide(ONE, x),
    "square": lambda x: x * x,
    "abs": lambda x: abs(x),
    "sgn": lambda x: array(np.frompyfunc(lambda ball: ball.sgn(), 1, 1)(x)),
    "sign": lambda x: array(np.frompyfunc(lambda ball: ball.sgn(), 1, 1)(x)),
    "pow": power,
    "sqrt": sqrt,
    "rsqrt": lambda x: divide(ONE, sqrt(x)),
    **{name: FUNCTIONS[name] for name in ("exp", "log", "log1p", "expm1", "sin", "cos", "atan", "erf", "erfc")},
    "log2": lambda x: log(x) / arb(2).log(),
    "log10": lambda x: log(x) / arb(10).log(),
    "exp2": lambda x: exp(x * arb(2).log()),
    "tan": lambda x: divide(FUNCTIONS["sin"](x), FUNCTIONS["cos"](x)),
    "sinh": lambda x: (expm1(x) - expm1(-x)) / 2,
    "cosh": lambda x: (exp(x) + exp(-x)) / 2,
    "tanh": tanh,
    "sigmoid": sigmoid,
    "relu": lambda x: larger(x, ZERO),
    "clamp": _clamp,
    "clamp_min": lambda x, low: larger(x, lift(low)),
    "clamp_max": lambda x, high: _smaller(x, lift(high)),
    "maximum": larger,
    "minimum": _smaller,
    "where": lambda condition, a, b: np.where(condition, a, b),
    "masked_fill": lambda x, mask, value: np.where(mask, lift(value), x),
    "addcmul": lambda x, a, b, *, value=1: x + a * b * number(value),
    "addcdiv": lambda x, a, b, *, value=1: x + divide(a, b) * number(value),
    "lerp": _lerp,
    "softplus": _softplus,
    "silu": lambda x: x * sigmoid(x),
    "gelu": lambda x, *, approximate="none": _gelu(x, approximate),
    "log_sigmoid_forward": _log_sigmoid,
    "logaddexp": lambda a, b: larger(a, b) + log1p(exp(-array(abs(a - b)))),
    "tanh_backward": lambda g, y: g * (1 - y * y),
    "sigmoid_backward": lambda g, y: g * y * (1 - y),
    "softplus_backward": lambda g, x, beta, _threshold: g * sigmoid(x * number(beta)),
    "silu_backward": _silu_backward,
    "gelu_backward": lambda g, x, *, approximate="none": _gelu_backward(g, x, approximate),
    "log_sigmoid_backward": lambda g, x, _buffer: g * sigmoid(-x),
    "fill": lambda x, value: np.broadcast_to(array(lift(value)), x.shape),
    "zero": lambda x: np.broadcast_to(ZERO, x.shape),
    "copy": lambda x, source, _non_blocking=False: np.broadcast_to(source, x.shape),
}  # fmt: skip
"""Functions by the names of torch; NumPy and torch broadcast alike."""

MOVES = frozenset({
    "_to_copy", "alias_copy", "cat", "clone", "constant_pad_nd", "diag_embed", "embedding", "flip", "gather", "index",
    "index_select", "lift", "masked_select", "repeat", "roll", "select_backward", "slice_backward", "split_copy",
    "stack", "take", "tril", "triu", "unfold_backward", "_unsafe_view", "contiguous", "diagonal_backward",
    "select_scatter", "slice_scatter", "scatter",
})  # fmt: skip
"""Operations that only move numbers or pad them with zeros."""
