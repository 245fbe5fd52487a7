r"""Normalisation of each row by its root mean square, without weight.

:math:`y_i = x_i / s` with :math:`s = \sqrt{\mathrm{mean}(x^2) + \epsilon}` and the :math:`\epsilon` a case declares;
the default of torch is the dtype's ``eps``, which a case has to replace.

Nothing cancels. In the notation of :mod:`harness.contracts.building_blocks.moments`, squares err by :math:`u_a`, their
sum by :math:`(d - 1) u_a`, the division by :math:`u_a`, adding :math:`\epsilon`, itself rounded, by :math:`2 u_a`; the
root halves all that. The root and the quotient add :math:`2 u_a`, a reciprocal root (to one ulp) and a product
:math:`3 u_a`, storing :math:`u`: together :math:`R = (d + 9) u_a / 2 + u` relatively, and two subnormals. Squares that
underflow are nothing beside :math:`\epsilon`.

The gradient of :math:`v \cdot y` is :math:`(v_i - y_i\, \mathrm{mean}(v y)) / s`: :math:`R` enters its first term once
and its second three times, in the accumulator's format; sums and a chain of ten operations add
:math:`(d + 10) u_a`, and the result is rounded once. Where the row enters twice in its 16-bit format, once under the
root and once as the factor, as in T5, autograd rounds each of the two terms to it before they are added: :math:`u` of
either. And the derivative of a reciprocal root is its cube, which is subnormal where :math:`s > \lambda^{-1/3}`, from
:math:`2^{42}` in float32: :math:`\lambda`, the accumulator's smallest subnormal, times
:math:`|x_i|\, \mathrm{mean}|v x|`.

References
----------
B. Zhang, R. Sennrich (2019), "Root mean square layer normalization", NeurIPS 32.
"""

from typing import Any

import numpy as np
from torch import Tensor

from harness.contracts.building_blocks import moments, usual_laws
from harness.contracts.building_blocks.moments import compare_within, root
from harness.contracts.building_blocks.usual_laws import Exact
from harness.floats import Array, DoubleDouble, Format, Measurement, Oracle, elementwise, to_array
from harness.floats import double_double as dd
from harness.laws import Axes, Contract, Subject, derivative_laws, implementation_laws, law, no_drift, on_long_rows

SOURCE = "Zhang & Sennrich (2019)"

# Oracle


def _root_screen(x: Array, eps: float) -> DoubleDouble:
    factor = moments.scale(x)
    scaled = x * factor
    square = dd.total(dd.two_product(scaled, scaled), keepdims=True) / float(x.shape[-1])
    return root(square + moments.scaled_eps(eps, factor)) * (1.0 / factor)


def _value_screen(_: dd.Elementary, x: Array, eps: float) -> DoubleDouble:
    return moments.quotient(dd.lift(x), _root_screen(x, eps))


def _root_exact(x: Any, eps: float) -> Any:
    return elementwise("sqrt")((x * x).sum(-1, keepdims=True) / x.shape[-1] + eps)


def _value_exact(x: Any, eps: float) -> Any:
    return x / _root_exact(x, eps)


def _pullback_screen(_: dd.Elementary, x: Array, cotangent: Array, eps: float) -> DoubleDouble:
    s = _root_screen(x, eps)
    y = moments.quotient(dd.lift(x), s)
    return (dd.lift(cotangent) - y * (dd.total(y * cotangent, keepdims=True) / float(x.shape[-1]))) / s


def _pullback_exact(x: Any, cotangent: Any, eps: float) -> Any:
    s = _root_exact(x, eps)
    y = x / s
    return (cotangent - y * (y * cotangent).sum(-1, keepdims=True) / x.shape[-1]) / s


rms_norm_oracle = Oracle(_value_screen, _value_exact)
rms_norm_pullback = Oracle(_pullback_screen, _pullback_exact)


# Bounds


def _relative(d: int, format_: Format) -> float:
    """``e^R - 1`` of the module's notes."""
    return float(np.expm1((d + 9) / 2.0 * format_.accumulator.u + format_.u))


def value_bound(x: Array, eps: float, format_: Format) -> Array:
    """Absolute error, entry by entry."""
    return np.asarray(_relative(x.shape[-1], format_) * np.abs(_plain(x, eps)[0]) + 2.0 * format_.smallest)


def _plain(x: Array, eps: float) -> tuple[Array, Array]:
    """``y`` and ``s`` in float64, the latter keeping the last axis."""
    factor = moments.scale(x)
    s = np.hypot(np.sqrt(((x * factor) ** 2).mean(-1, keepdims=True)) / factor, np.sqrt(eps))
    with np.errstate(invalid="ignore"):
        return x / s, s


def gradient_bound(x: Array, cotangent: Array, eps: float, work: Format) -> Array:
    """Absolute error of the gradient as accumulated; means of magnitudes stand for sums that may cancel."""
    d, v = x.shape[-1], np.abs(cotangent)
    y, s = _plain(x, eps)
    k = _relative(d, work) + (d + 10) * work.u
    projected = (v * np.abs(y)).mean(-1, keepdims=True)
    underflow = 4.0 * work.smallest * (1.0 + np.abs(x) + 1.0 / s)
    return np.asarray(k * (v + 3.0 * np.abs(y) * projected) / s + underflow)


def _usual_gradient_bound(x: Array, cotangent: Array, eps: float, format_: Format) -> Array:
    """The same, with the cube of the reciprocal root underflowing, and both terms rounded to the format if narrower."""
    work, v, (y, s) = format_.accumulator, np.abs(cotangent), _plain(x, eps)
    cubed = work.smallest * np.abs(x) * (v * np.abs(x)).mean(-1, keepdims=True)
    computed = gradient_bound(x, cotangent, eps, work) + cubed
    if format_.u > work.u:
        terms = (v + np.abs(y) * (v * np.abs(y)).mean(-1, keepdims=True)) / s
        computed = computed + format_.u * (terms + computed) + 2.0 * format_.smallest
    return np.asarray(computed)


def _value_error(x: Tensor, eps: float, _: DoubleDouble, format_: Format) -> Array:
    return value_bound(to_array(x), eps, format_)


def _gradient_error(x: Tensor, cotangent: Tensor, eps: float, expected: DoubleDouble, format_: Format) -> Array:
    """Absolute error of the gradient, stored after it was accumulated."""
    computed = gradient_bound(to_array(x), to_array(cotangent), eps, format_.accumulator)
    return moments.stored(computed, expected, format_)


def _usual_gradient_error(x: Tensor, cotangent: Tensor, eps: float, expected: DoubleDouble, format_: Format) -> Array:
    """Absolute error of the gradient in the usual form, stored after it was accumulated."""
    computed = _usual_gradient_bound(to_array(x), to_array(cotangent), eps, format_)
    return moments.stored(computed, expected, format_)


_VALUE = Exact(("x",), rms_norm_oracle, _value_error, ("eps",), compare_within)
_GRADIENT = Exact(("x", "cotangent"), rms_norm_pullback, _usual_gradient_error, ("eps",), compare_within)
_SHARP_GRADIENT = Exact(("x", "cotangent"), rms_norm_pullback, _gradient_error, ("eps",), compare_within)


def _eps(normalise: Subject) -> float:
    return float(normalise.declares["eps"])


# Laws

CAUSE = (
    "the mean of squares is rounded to 16 bits or runs over the batch, the root is missing, or eps is outside it: it "
    "is the dtype's own where torch is told none"
)
OVERFLOW = "squares are summed in the 16-bit format: float16 ends at 65,504 = 256^2; compute in float32"


value = usual_laws.value(
    _VALUE,
    "value",
    "rms_norm(x) equals x / sqrt(mean(x^2) + eps), row by row.",
    source=SOURCE,
    bound="|y| (e^R - 1), R = (d + 9) u_a / 2 + u, and two subnormals",
    cause=f"{CAUSE}; or {OVERFLOW}",
    non_finite=OVERFLOW,
)


@law(
    "The mean square of a row of rms_norm(x) is at most one.",
    source="mean(x^2) / (mean(x^2) + eps)",
    bound="2 mean(|y| E) + mean(E^2), E the value's bound",
    cause="the divisor is less than the root of the mean square: a mean absolute value, or a standard deviation",
    non_finite=OVERFLOW,
    group="algebra",
)
def mean_square_at_most_one(rms_norm: Subject, x: Tensor) -> Measurement:
    """Measure the excess."""
    absolute = value_bound(to_array(x), _eps(rms_norm), rms_norm.format)
    return moments.mean_square_at_most_one(to_array(rms_norm(x)), absolute, rms_norm.format)


@law(
    "Negating a row negates its rms_norm.",
    source="the mean square is even",
    bound="twice the value's bound",
    cause="magnitudes are normalised instead of values, or one side is clipped",
    non_finite=OVERFLOW,
    group="algebra",
)
def odd(rms_norm: Subject, x: Tensor) -> Measurement:
    """Compare the row negated with the output negated."""
    bound = 2.0 * value_bound(to_array(x), _eps(rms_norm), rms_norm.format)
    return moments.in_units_of_one(to_array(rms_norm(-x)), -to_array(rms_norm(x)), bound, rms_norm.format)


@law(
    "Doubling a row moves no entry of its rms_norm towards zero, nor beyond its double.",
    source="2 sqrt((q + eps) / (4 q + eps)) with q = mean(x^2) lies between 1 and 2",
    bound="the value's bound at 2 x, and twice that at x",
    cause="the divisor is the mean square instead of its root, or grows faster than the row",
    non_finite=OVERFLOW,
    group="algebra",
)
def doubling_at_most_doubles(rms_norm: Subject, x: Tensor) -> Measurement:
    """Measure how far an entry leaves the interval."""
    eps, format_ = _eps(rms_norm), rms_norm.format
    bound = value_bound(2.0 * to_array(x), eps, format_) + 2.0 * value_bound(to_array(x), eps, format_)
    return moments.between_once_and_twice(rms_norm, x, bound)


@law(
    "A row of zeros stays a row of zeros.",
    source="0 / sqrt(eps)",
    bound="none",
    cause="eps is missing or rounds to zero, as 1e-8 does in float16: 0 / 0 is not a number",
    group="algebra",
    inputs=moments.some_zero_rows(moments.rows_and_cotangents(moments.largest_normalised)),
)
def zeros_stay(rms_norm: Subject, x: Tensor) -> Measurement:
    """Compare with zero."""
    return usual_laws.compare_rows(rms_norm(x), (x == 0.0).all(-1).numpy(), 0.0, rms_norm.format)


gradient = usual_laws.gradient(
    _GRADIENT,
    "gradient",
    "The gradient of rms_norm(x) . v is (v_i - y_i mean(v y)) / sqrt(mean(x^2) + eps).",
    source="chain rule; the bound is the value's carried through it",
    bound="k (|v| + 3 |y| mean|v y|) / sqrt(mean(x^2) + eps), k = (e^R - 1) + (d + 10) u_a, "
    "in the accumulator's format, and a subnormal times |x| mean|v x|; rounded by u, in 16 bits each term too",
    cause="the root is a constant to autograd, or its square or cube overflows in the backward pass",
)

gradient_digits_not_lost = usual_laws.gradient(
    _SHARP_GRADIENT,
    "gradient_digits_not_lost",
    "The gradient keeps its digits however large the row is.",
    source="chain rule; the bound is the value's carried through it",
    bound="k (|v| + 3 |y| mean|v y|) / sqrt(mean(x^2) + eps), k = (e^R - 1) + (d + 10) u_a, "
    "in the accumulator's format; rounded by u",
    cause="the cube of a reciprocal root underflows in its backward pass: take the root, and divide by it",
    lost_digits="autograd of a reciprocal root cubes it, and libraries ship the reciprocal root",
)


@law(
    "Beside an infinite entry all finite ones become zero, and the infinite one NaN.",
    source="x / inf = 0; inf / inf",
    bound="none",
    cause="infinities are clipped before they are squared, or one NaN spreads over the row",
    group="special",
    inputs=moments.one_infinite(moments.rows_and_cotangents(moments.largest_normalised)),
)
def infinite_entry(rms_norm: Subject, x: Tensor) -> Measurement:
    """Compare the rows that have one."""
    infinite = x.isinf().numpy()
    return usual_laws.compare_rows(rms_norm(x), infinite.any(-1), np.where(infinite, np.nan, 0.0), rms_norm.format)


# Contract

_VALUE_ON_EXTREME_NUMBERS = usual_laws.on_extreme_numbers(
    value,
    moments.extreme_rows(lambda format_: format_.max),
    cause=moments.SQUARES_OVERFLOW,
    non_finite=moments.SQUARES_OVERFLOW,
    lost_digits=moments.UNSCALED,
)

RMS_NORM = Contract(
    "rms_norm",
    aliases=("rms_normalization", "root_mean_square_norm"),
    signature="(x[n,d]) -> [n,d]",
    summary="x / sqrt(mean(x^2) + eps) over the last axis, without weight",
    domain=moments.DOMAIN,
    inputs=moments.rows_and_cotangents(moments.largest_normalised),
    laws=(
        value,
        mean_square_at_most_one,
        odd,
        doubling_at_most_doubles,
        zeros_stay,
        gradient,
        gradient_digits_not_lost,
        infinite_entry,
        _VALUE_ON_EXTREME_NUMBERS,
        on_long_rows(value, moments.long_examples, cause=moments.LONG_ROWS),
        no_drift(value, moments.many_features),
        *derivative_laws(gradient),
        *implementation_laws(value),
    ),
    axes={"x": Axes(("n", "d")), "cotangent": Axes(("n", "d"))},
    output=("n", "d"),
    rays=(
        moments.sized("size", lambda _: 0.0, moments.largest_normalised),
        moments.sized("extreme size", lambda _: 1.0, lambda format_: format_.max, _VALUE_ON_EXTREME_NUMBERS),
    ),
    conventions={"eps": moments.EPS},
)
