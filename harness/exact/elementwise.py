"""Torch operations on object arrays of balls, element by element.

Each function follows the mathematical definition, not the algorithm of the kernel.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from flint import arb

from harness.floats import to_arb

Balls: TypeAlias = Any
"""An object array of balls; NumPy's type for it does not support arithmetic."""

Operation = Callable[..., Any]

PRECISION = 256
"""Precision of balls in bits; a cancellation may cost two hundred of them."""

_LARGEST, _SMALLEST = np.finfo(np.float64).max, 5e-324


def array(values: Any) -> Balls:
    """Return an object array, also for a single ball."""
    return np.asarray(values, dtype=object)


def view_strided(flat: Balls, size: Sequence[int], stride: Sequence[int], offset: int) -> Balls:
    """Return a view of a row of balls, like torch's view of a storage."""
    return np.lib.stride_tricks.as_strided(flat[offset:], size, [step * flat.itemsize for step in stride])


ZERO, ONE, TWO = array(arb(0)), array(arb(1)), array(arb(2))


def number(value: float) -> Any:
    """Convert a Python number exactly."""
    return arb(value) if isinstance(value, float) else int(value)


def lift(x: Any) -> Balls:
    """Convert a number, or an array of numbers, to balls; return balls unchanged."""
    if isinstance(x, np.ndarray):
        return x if x.dtype == object else to_arb(x)
    return array(arb(x))


def middle(x: arb) -> arb:
    """Return the midpoint of a ball; NaN if the ball is unbounded."""
    mid = x.mid()
    return mid if x.is_finite() or not mid.is_finite() else arb("nan")


def split_middle(x: arb) -> tuple[float, float]:
    """Return a midpoint as the sum of two floats; finite numbers stay finite, and nonzero ones nonzero."""
    x = middle(x)
    hi = float(x)
    if not x.is_finite():
        return hi, 0.0
    if math.isinf(hi):
        return math.copysign(_LARGEST, hi), 0.0
    if hi == 0.0:
        return (0.0 if x == 0 else _SMALLEST if x > 0 else -_SMALLEST), 0.0
    return hi, float(x - hi)


def _make(on_balls: Callable[..., Any], on_floats: Callable[..., Any], arguments: int = 1) -> Operation:
    """Return a function of arrays; ``on_floats`` decides the result at poles and at infinity."""

    def apply_to_balls(*xs: arb) -> Any:
        if all(x.is_finite() for x in xs):
            ball = on_balls(*xs)
            if ball.is_finite():
                return ball
        if any(x.is_finite() and not x.is_exact() for x in xs):
            return arb("nan")
        return arb(float(on_floats(*(np.float64(split_middle(x)[0]) for x in xs))))

    apply_each = np.frompyfunc(apply_to_balls, arguments, 1)

    def apply(*xs: Balls) -> Balls:
        with np.errstate(all="ignore"):
            return array(apply_each(*xs))

    return apply


exp, log = _make(arb.exp, np.exp), _make(arb.log, np.log)
expm1, log1p = _make(arb.expm1, np.expm1), _make(arb.log1p, np.log1p)
sqrt, tanh, erf = _make(arb.sqrt, np.sqrt), _make(arb.tanh, np.tanh), _make(arb.erf, math.erf)
erfc, atan = _make(arb.erfc, math.erfc), _make(arb.atan, np.arctan)
sin, cos = _make(arb.sin, np.sin), _make(arb.cos, np.cos)
sigmoid = _make(lambda x: 1 / (1 + (-x).exp()), lambda x: 1 / (1 + np.exp(-x)))
power = _make(lambda x, y: x.sqrt() if y == 0.5 else x**y, np.power, 2)
divide = _make(lambda a, b: a / b, np.divide, 2)
_sign = _make(arb.sgn, np.sign)
_logaddexp = _make(lambda a, b: a.max(b) + (-abs(a - b)).exp().log1p(), np.logaddexp, 2)


def _choose_larger(a: arb, b: arb) -> arb:
    if a.is_nan() or b.is_nan():
        return arb("nan")
    return a if a > b else b if b > a else a.max(b)


_pairs_larger = np.frompyfunc(_choose_larger, 2, 1)


def larger(a: Balls, b: Balls) -> Balls:
    """Return the maximum of each pair, or NaN if either is NaN."""
    return array(_pairs_larger(a, b))


def smaller(a: Balls, b: Balls) -> Balls:
    """Return the minimum of each pair, or NaN if either is NaN."""
    return array(-larger(-a, -b))


def largest(x: Balls, axis: int, *, keepdims: bool) -> Balls:
    """Return the largest element along an axis."""
    return array(_pairs_larger.reduce(x, axis=axis, keepdims=keepdims))


def _clamp(x: Balls, low: Any = None, high: Any = None, **named: Any) -> Balls:
    low, high = named.get("min", low), named.get("max", high)
    x = x if low is None else larger(x, lift(low))
    return x if high is None else smaller(x, lift(high))


def _softplus(x: Balls, beta: float = 1.0, _threshold: float = 20.0) -> Balls:
    scaled = x * number(beta)
    return divide(larger(scaled, ZERO) + log1p(exp(-array(abs(scaled)))), lift(beta))


def _normal_cdf(x: Balls) -> Balls:
    return (1 + erf(x / arb(2).sqrt())) / 2


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


ELEMENTWISE: Mapping[str, Operation] = {
    "add": lambda a, b, alpha=1: a + lift(b) * number(alpha),
    "sub": lambda a, b, alpha=1: a - lift(b) * number(alpha),
    "rsub": lambda a, b, alpha=1: lift(b) - a * number(alpha),
    "mul": lambda a, b: a * lift(b),
    "div": lambda a, b: divide(a, lift(b)),
    "neg": lambda x: -x,
    "reciprocal": lambda x: divide(ONE, x),
    "abs": lambda x: abs(x),
    "sgn": _sign,
    "sign": _sign,
    "pow": lambda x, y: power(lift(x), lift(y)),
    "sqrt": sqrt,
    "rsqrt": lambda x: divide(ONE, sqrt(x)),
    "exp": exp,
    "expm1": expm1,
    "exp2": lambda x: power(TWO, x),
    "log": log,
    "log1p": log1p,
    "log2": lambda x: log(x) / arb(2).log(),
    "log10": lambda x: log(x) / arb(10).log(),
    "sin": sin,
    "cos": cos,
    "tan": lambda x: divide(sin(x), cos(x)),
    "atan": atan,
    "sinh": lambda x: (expm1(x) - expm1(-x)) / 2,
    "cosh": lambda x: (exp(x) + exp(-x)) / 2,
    "tanh": tanh,
    "sigmoid": sigmoid,
    "erf": erf,
    "erfc": erfc,
    "relu": lambda x: larger(x, ZERO),
    "clamp": _clamp,
    "clamp_min": _clamp,
    "clamp_max": lambda x, high: smaller(x, lift(high)),
    "maximum": larger,
    "minimum": smaller,
    "where": lambda condition, a, b: np.where(condition, lift(a), lift(b)),
    "masked_fill": lambda x, mask, value: np.where(mask, lift(value), x),
    "addcmul": lambda x, a, b, *, value=1: x + a * b * number(value),
    "addcdiv": lambda x, a, b, *, value=1: x + divide(a, b) * number(value),
    "lerp": lambda a, b, weight: a + (weight if isinstance(weight, np.ndarray) else number(weight)) * (b - a),
    "softplus": _softplus,
    "silu": lambda x: x * sigmoid(x),
    "gelu": lambda x, *, approximate="none": (
        x * (_normal_cdf(x) if approximate == "none" else (1 + tanh(_inner(x))) / 2)
    ),
    "log_sigmoid_forward": lambda x: (-_softplus(-x), None),
    "logaddexp": _logaddexp,
    "tanh_backward": lambda g, y: g * (1 - y * y),
    "sigmoid_backward": lambda g, y: g * y * (1 - y),
    "softplus_backward": lambda g, x, beta, _threshold: g * sigmoid(x * number(beta)),
    "silu_backward": _silu_backward,
    "gelu_backward": lambda g, x, *, approximate="none": _gelu_backward(g, x, approximate),
    "log_sigmoid_backward": lambda g, x, _buffer: g * sigmoid(-x),
    "fill": lambda x, value: np.broadcast_to(lift(value), x.shape),
    "zero": lambda x: np.broadcast_to(ZERO, x.shape),
    "copy": lambda x, source, _non_blocking=False: np.broadcast_to(lift(source), x.shape),
}
"""Functions by the names of torch; NumPy and torch broadcast alike."""
