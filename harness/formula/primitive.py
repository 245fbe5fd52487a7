"""The elementary functions of formulas: one row for each, with the function in every arithmetic.

A new function is a row here, and a name in :mod:`harness.formula.node`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from flint import arb

from harness.floats import Array, DoubleDouble, dd, lift, portable
from harness.formula.node import Node, absolute, cos, exp, node, sigmoid, sin, sqrt

UNKNOWN = arb("nan")

Derivative = Callable[[Node, Node], Node]
"""``derivative(argument, value)``, as a graph."""


def _unknown(x: DoubleDouble) -> DoubleDouble:
    return lift(np.full(x.shape, np.nan))


def _is_not_zero(x: Any) -> Any:
    return x != 0.0


def _never(_: Any) -> bool:
    return False


@dataclass(frozen=True)
class Primitive:
    """An elementary function.

    Parameters
    ----------
    double, ball, pair
        The function in float64, of a ball, and in double-double.
    growth
        ``growth(argument, value, error)``: the largest ``|f(a + t) - f(a)|`` over ``|t| <= e``.
    derivative, accurate
        The derivative in the formulas of frameworks, and without cancellation where that differs.
    portable
        The function in float64 with the same bits on every processor, where ``double`` has others.
    underflows
        Where a result can be rounded to zero or to a subnormal, given the argument.
    is_basic
        Whether it is correctly rounded, like a sum.
    lowest, is_pole
        Start of the domain, and whether the function has no value there.
    shrinks
        For which magnitudes the result is infinite in float64, but possibly finite or none; ``None`` if for none.
    """

    double: Callable[[Any], Any]
    ball: Callable[[arb], Any]
    growth: Callable[[Any, Any, Any], Any]
    derivative: Derivative
    accurate: Derivative | None = None
    pair: Callable[[DoubleDouble], DoubleDouble] = _unknown
    portable: Callable[[Any], Any] | None = None
    underflows: Callable[[Any], Any] = _is_not_zero
    is_basic: bool = False
    lowest: float = -math.inf
    is_pole: bool = False
    shrinks: Callable[[Any], Any] | None = None


# Float64


def _torch(function: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Array], Array]:
    return lambda x: np.asarray(function(torch.from_numpy(np.array(x, dtype=np.float64))).numpy())


def _sigmoid(x: Array) -> Array:
    t = np.exp(-np.abs(x))
    return np.asarray(np.where(x < 0.0, t, 1.0) / (1.0 + t))


# Double-double


def _expm1(x: DoubleDouble) -> DoubleDouble:
    small = np.abs(x.hi) < 0.34
    near = dd._expm1_reduced(dd.select(small, x, 0.0))
    # The series scales its argument down, so nearly subnormal numbers would lose digits; for them, expm1(x) is x.
    return dd.select(np.abs(x.hi) < 2.0**-300, x, dd.select(small, near, dd.exp(x) - 1.0))


def _tanh(x: DoubleDouble) -> DoubleDouble:
    """``-expm1(-2 |x|) / (expm1(-2 |x|) + 2)``, with the sign of the argument."""
    negative = x.hi < 0.0
    e = _expm1(dd.select(negative, x, -x) * 2.0)
    size = -(e / (e + 2.0))
    return dd.select(negative, -size, size)


def _logistic(x: DoubleDouble) -> DoubleDouble:
    negative = x.hi < 0.0
    t = dd.exp(dd.select(negative, x, -x))
    return dd.select(negative, t, 1.0) / (t + 1.0)


# Balls


def _exp_ball(x: arb) -> arb:
    """Exponential; unknown where it overflows."""
    value = x.exp()
    return value if value.is_finite() else UNKNOWN


def _sqrt_ball(x: arb) -> arb:
    return x.sqrt() if x >= 0 else arb(0) if x.is_zero() else x.sqrt() if x.mid() > 0 else UNKNOWN


def divide_balls(a: arb, b: arb) -> arb:
    """Quotient; unknown where the divisor contains zero."""
    value = a / b
    return value if value.is_finite() else UNKNOWN


# Derivatives


def _bell(a: Node) -> Node:
    return 2 / sqrt(node("pi")) * exp(-(a * a))


def _sech_squared(a: Node, _: Node) -> Node:
    """``4 t / (1 + t)^2`` with ``t = exp(-2 |a|)``, which does not saturate."""
    t = exp(-2 * absolute(a))
    return 4 * t / ((1 + t) * (1 + t))


# Growth


def _grow_exponential(a: Any, v: Any, e: Any) -> Any:
    """The growth of ``v = exp(a)``; it allows for a ``v`` that has underflowed."""
    return np.where(e > 1.0, np.exp(a + e) * _ROUNDED_UP, v * np.expm1(e))


_ROUNDED_UP = 1.0 + 2.0**-40
"""Factor that covers the effect of the argument's rounding on an exponential; arguments are below 710."""


def _grow_logarithm(a: Any, e: Any) -> Any:
    return np.where(e < a, -np.log1p(-e / a), np.where(e == 0.0, 0.0, np.inf))


def _grow_root(_: Any, v: Any, e: Any) -> Any:
    return np.where(e == 0.0, 0.0, np.minimum(np.where(v > 0.0, e / v, np.inf), np.sqrt(e)))


def _grow_wave(slope: Any, e: Any) -> Any:
    return np.minimum(np.abs(slope) * e + 0.5 * e * e, 2.0)


def _falling(slope: Callable[[Any], Any], range_: float) -> Callable[[Any, Any, Any], Any]:
    """Return the growth of a function of some range whose slope falls with the distance from zero."""
    return lambda a, _, e: np.minimum(slope(np.maximum(np.abs(a) - e, 0.0)) * e, range_)


_grow_erf = _falling(lambda x: 2.0 / math.sqrt(math.pi) * np.exp(-x * x), 2.0)

PRIMITIVES: Mapping[str, Primitive] = {
    "exp": Primitive(np.exp, _exp_ball, _grow_exponential, lambda _, y: y,
                     pair=dd.exp, portable=portable.exp, underflows=np.isfinite),
    "log": Primitive(np.log, lambda x: x.log() if x > 0 else UNKNOWN, lambda a, _, e: _grow_logarithm(a, e),
                     lambda a, _: 1 / a, pair=dd.log, portable=portable.log, underflows=_never,
                     lowest=0.0, is_pole=True, shrinks=lambda a: (a == 0.0) | np.isinf(a)),
    "log1p": Primitive(np.log1p, lambda x: x.log1p() if x > -1 else UNKNOWN,
                       lambda a, _, e: _grow_logarithm(1.0 + a, e), lambda a, _: 1 / (1 + a),
                       pair=dd.log1p, portable=portable.log1p, lowest=-1.0, shrinks=lambda a: (a == 1.0) | np.isinf(a)),
    "expm1": Primitive(np.expm1, arb.expm1, lambda a, v, e: _grow_exponential(a, v + 1.0, e), lambda _, y: y + 1,
                       lambda a, _: exp(a), pair=_expm1, portable=lambda x: _expm1(lift(x)).hi),
    "sqrt": Primitive(np.sqrt, _sqrt_ball, _grow_root, lambda _, y: 1 / (2 * y), pair=dd.root,
                      underflows=_never, is_basic=True, lowest=0.0, shrinks=np.isinf),
    "erf": Primitive(_torch(torch.special.erf), arb.erf, _grow_erf, lambda a, _: _bell(a)),
    "erfc": Primitive(_torch(torch.special.erfc), arb.erfc, _grow_erf, lambda a, _: -_bell(a), underflows=np.isfinite),
    "tanh": Primitive(np.tanh, arb.tanh, _falling(lambda x: np.minimum(4.0 * np.exp(-2.0 * x), 1.0), 2.0),
                      lambda _, y: 1 - y * y, _sech_squared, pair=_tanh, portable=lambda x: _tanh(lift(x)).hi),
    "sin": Primitive(np.sin, arb.sin, lambda a, _, e: _grow_wave(np.cos(a), e), lambda a, _: cos(a)),
    "cos": Primitive(np.cos, arb.cos, lambda a, _, e: _grow_wave(np.sin(a), e), lambda a, _: -sin(a),
                     underflows=_never),
    "atan": Primitive(np.arctan, arb.atan, _falling(lambda x: 1.0 / (1.0 + x**2), math.pi),
                      lambda a, _: 1 / (1 + a * a)),
    "sigmoid": Primitive(_sigmoid, lambda x: divide_balls(arb(1), 1 + _exp_ball(-x)),
                         _falling(lambda x: np.minimum(np.exp(-x), 0.25), 1.0), lambda _, y: (1 - y) * y,
                         lambda a, y: y * sigmoid(-a), pair=_logistic, portable=lambda x: _logistic(lift(x)).hi,
                         underflows=np.isfinite),
}  # fmt: skip
"""The elementary functions by name."""
