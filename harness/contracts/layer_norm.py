r"""Layer normalization of each row, without weight and bias.

:math:`y_i = (x_i - m) / s` with :math:`s = \sqrt{V + \epsilon}`, :math:`V = \mathrm{mean}\,(x - m)^2`, and the
:math:`\epsilon` that a case declares.

In the notation of :mod:`harness.contracts.building_blocks.moments`, with :math:`t = \delta / s`, the computed
deviations are :math:`(x_i - m - \delta)(1 + u_a)`. The mean of their squares is :math:`V + \delta^2` (see
:mod:`harness.contracts.variance`) up to :math:`(d + 3) u_a`. Adding a rounded :math:`\epsilon` adds :math:`2 u_a`, and
the root halves all that. The root and the quotient add :math:`2 u_a`, a reciprocal root (to one ulp) and a product
:math:`3 u_a`, the deviation :math:`u_a` and storing :math:`u`: together :math:`R = (d + 13) u_a / 2 + u`. Squares that
underflow are negligible next to :math:`\epsilon`. The remaining error is that of exact arithmetic on

.. math:: \left|\frac{x_i - m - \delta}{\sqrt{s^2 + \delta^2}} - y_i\right|
    \le |y_i| \min(1, t^2 / 2) + \min(1, t),

so that :math:`|\hat y_i - y_i| \le E_i = |y_i| \min(1, t^2 / 2) + \min(1, t) + (e^R - 1)(|y_i| + \min(1, t))`, plus
:math:`2 (1 + 1 / s)` subnormals. Rows whose spread is below the rounding error of their mean have :math:`t > 1`. Only
an error of at most :math:`|y_i| + 1` can be required of them, which a separate law checks. In the inputs of the other
laws they are scaled down.

The gradient of :math:`v \cdot y` is :math:`(v_i - \bar v - y_i\, \mathrm{mean}(v y)) / s`. Its bound carries
:math:`E_i` and the error of :math:`s`, :math:`\rho = R + \min(1, t^2 / 2)`, through each term, in the accumulator's
format. It adds :math:`(d + 10) u_a` for sums and a chain of ten operations, and one rounding. This is the bound of
``gradient_digits_not_lost``. With autograd, the last term is :math:`s^{-3} (x_i - m)\, \mathrm{mean}(v (x - m))`, with
the cube of a reciprocal root, which for large :math:`s` errs by a subnormal or underflows: the gradient's bound admits
the smaller of the two.

References
----------
J. L. Ba, J. R. Kiros, G. E. Hinton (2016), "Layer normalization", arXiv:1607.06450.
"""

from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.contracts.building_blocks import moments, normalization, usual_laws
from harness.contracts.building_blocks.definition import Definition
from harness.floats import Array, DoubleDouble, Format, Measurement, dd, exact_sum, portable, to_array
from harness.laws import Axes, Contract, Example, Subject, law
from harness.laws.strategies import Shape, make_inputs

SOURCE = "Ba, Kiros & Hinton (2016)"

# Oracle


def _deviations_and_root(x: Array, eps: float) -> tuple[DoubleDouble, DoubleDouble, Array]:
    """``c`` and ``s`` of the rows after scaling by a power of two, which is also returned."""
    factor = moments.scale(x, eps)
    deviation = moments.deviations(x * factor)
    square = dd.total(deviation * deviation, keepdims=True) / float(x.shape[-1])
    return deviation, dd.root(square + moments.scaled_eps(eps, factor)), factor


def _value_screen(_: dd.Elementary, x: Array, eps: float) -> DoubleDouble:
    deviation, s, _factor = _deviations_and_root(x, eps)
    return moments.quotient(deviation, s)


def _pullback_screen(_: dd.Elementary, x: Array, cotangent: Array, eps: float) -> DoubleDouble:
    deviation, s, factor = _deviations_and_root(x, eps)
    y = deviation / s
    projected = y * (dd.total(y * cotangent, keepdims=True) / float(x.shape[-1]))
    return (moments.deviations(cotangent) - projected) / s * factor


_VALUE_TEXT = "(x, eps: per_row): d = x - mean(x); d / sqrt(mean(d * d) + eps)"

layer_norm_oracle = Definition(_VALUE_TEXT).oracle(_value_screen)
layer_norm_pullback = Definition(_VALUE_TEXT, by="x").oracle(_pullback_screen)


# Bounds


def _relative(d: int, format_: Format) -> float:
    """``e^R - 1`` of the module's notes."""
    return float(np.expm1((d + 13) / 2.0 * format_.accumulator.u + format_.u))


def _normalised(x: Array, eps: float, format_: Format) -> tuple[Array, Array, Array]:
    """``y``, ``s`` and ``t`` of the module's notes, the latter two with the last axis retained."""
    factor = moments.scale(x, eps)
    deviation = moments.deviations(x * factor).hi
    scaled = np.hypot(np.sqrt((deviation**2).mean(-1, keepdims=True)), np.sqrt(eps) * factor)
    s = scaled / factor
    with np.errstate(divide="ignore", invalid="ignore"):
        return deviation / scaled, s, moments.mean_error(x, format_) / s


def _half_square(t: Array) -> Array:
    """``min(1, t^2 / 2)``: the relative reduction of the values by the mean's error."""
    return np.asarray(np.minimum(np.sqrt(2.0), t) ** 2 / 2.0)


def value_bound(x: Array, eps: float, format_: Format) -> Array:
    """Absolute error of the two-pass layer normalization, entry by entry.

    Without ``eps`` it is ``inf`` where underflowing squares may leave a divisor of zero.
    """
    y, s, t = _normalised(x, eps, format_)
    shifted, of_squares = np.minimum(1.0, t), moments.underflown(s, eps, format_)
    with np.errstate(divide="ignore", invalid="ignore"):
        rounded = (_relative(x.shape[-1], format_) + of_squares) * (np.abs(y) + shifted)
        underflow = 2.0 * format_.smallest + 2.0 * format_.accumulator.smallest / s
        total = np.abs(y) * _half_square(t) + shifted + rounded + underflow
    return np.where(np.isinf(of_squares), np.inf, total)


def gradient_bound(x: Array, cotangent: Array, eps: float, format_: Format) -> Array:
    """Absolute error of the gradient as accumulated; means of magnitudes replace sums that may cancel.

    Without ``eps`` it is ``inf`` where squares underflow to zero, or the cube of a reciprocal root overflows.
    """
    d, v, work = x.shape[-1], np.abs(cotangent), format_.accumulator
    y, s, t = _normalised(x, eps, work)
    error, size = value_bound(x, eps, work), np.abs(y)
    k = _relative(d, work) + _half_square(t) + (d + 10) * work.u + moments.underflown(s, eps, work)
    with np.errstate(divide="ignore", invalid="ignore"):
        projected, lost = (v * size).mean(-1, keepdims=True), (v * error).mean(-1, keepdims=True)
        local_error = k * (v + v.mean(-1, keepdims=True)) + 3.0 * k * (size + 1.0) * projected
        carried = (error + error.mean(-1, keepdims=True)) * projected + (size + error) * lost
        total = (local_error + carried) / s + 4.0 * work.smallest * (1.0 + s + 1.0 / s)
    return np.where(np.isinf(k) | moments.cube_overflows(s, work), np.inf, total)


def _cubed(x: Array, cotangent: Array, eps: float, format_: Format) -> Array:
    """Loss in the gradient, including its subtracted mean, where the cube of the reciprocal root underflows.

    It is a subnormal of the cube, but at most the term in which the cube is a factor.
    """
    work = format_.accumulator
    y, s, _ = _normalised(x, eps, work)
    size, projected = np.abs(y), (np.abs(cotangent) * np.abs(y)).mean(-1, keepdims=True)
    size = size + size.mean(-1, keepdims=True)
    # Split the exponent between the factors, because the smallest float64 times a small number underflows to zero.
    half = np.sqrt(work.smallest) * s
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        lost = np.fmin(half * size * half * projected, size * projected / s)
    # Without eps a constant row has the root zero; its bound is infinite already.
    return np.where(s > 0.0, lost, 0.0)


def _typical_gradient_bound(*arguments: Any) -> Array:
    """:func:`gradient_bound` through a reciprocal root."""
    return np.asarray(gradient_bound(*arguments) + _cubed(*arguments))


_VALUE = moments.exact_value(layer_norm_oracle, value_bound, "eps")
_GRADIENT = moments.exact_gradient(layer_norm_pullback, _typical_gradient_bound, "eps")
_SHARP_GRADIENT = moments.exact_gradient(layer_norm_pullback, gradient_bound, "eps")


# Inputs

_rows = moments.rows_and_cotangents(moments.largest_normalised)


def _conditioned(format_: Format) -> st.SearchStrategy[Example]:
    """Rows, scaled down by a power of two if their spread would be below the rounding error of their mean."""

    def expand(example: Example) -> Example:
        x = to_array(example["x"])
        drowned = _normalised(x, moments.EPS[0], format_)[2] > 1.0
        error = np.where(drowned, moments.mean_error(x, format_) / np.sqrt(moments.EPS[0]), 0.5)
        down = portable.exp2(-np.ceil(portable.log2(error) + 1.0))
        return {**example, "x": torch.from_numpy(x * down).to(format_.dtype)}

    return _rows(format_).map(expand)


@make_inputs(st.integers(1, 4))
def _drowned(format_: Format, columns: int, rng: np.random.Generator) -> Example:
    """A few adjacent numbers, so large that the ulp of their mean is at least of the size of ``sqrt(eps)``."""
    low = float(portable.log2(np.sqrt(moments.EPS[0]) / format_.accumulator.u)) - 2.0
    high = float(portable.log2(moments.largest_normalised(format_))) - 1.0
    magnitude = portable.exp2(rng.uniform(low, high, size=(64, 1)))
    rows = moments.neighbours(rng, Shape(64, columns), magnitude, format_)
    return {"x": torch.from_numpy(rows).to(format_.dtype)}


# Laws

CANCELS = (
    "the mean is not subtracted, or loses its digits (in 16 bits, or as mean(x^2) - mean(x)^2); the variance is "
    "unbiased or runs over the batch; or eps is outside the root: use the biased variance of x - mean over the "
    "features"
)
OVERFLOW = "squares are summed in a 16-bit format, and float16 ends at 65,504 = 256^2: compute in float32"


_NORMALIZATION = normalization.Normalization("layer_norm", value_bound, ("eps",), OVERFLOW)

value = usual_laws.value(
    _VALUE,
    "layer_norm(x) equals (x - mean) / sqrt(variance + eps), row by row, with the biased variance.",
    source=SOURCE,
    bound="|y| min(1, t^2/2) + min(1, t) + (e^R - 1)(|y| + min(1, t)), t = d u_a mean|x| / sqrt(variance + eps), R "
    "= (d + 13) u_a / 2 + u; plus subnormals",
    cause=CANCELS,
    non_finite=OVERFLOW,
)


@law(
    "Each row of layer_norm(x) has mean zero.",
    source="sum_i (x_i - m) = 0",
    bound="the sum of the value's bound over the row",
    cause="the mean is not subtracted, or belongs to another axis: subtract the mean over the last axis",
    non_finite=OVERFLOW,
)
def rows_have_mean_zero(layer_norm: Subject, x: Tensor) -> Measurement:
    """Sum without rounding, so that the deviation is the implementation's."""
    absolute = _NORMALIZATION.error(layer_norm, x).sum(-1)
    summed = exact_sum(layer_norm(x))
    return moments.in_units_of_one(summed.hi, np.zeros(summed.shape), absolute, layer_norm.format)


mean_square_at_most_one = _NORMALIZATION.mean_square_at_most_one(
    source="variance / (variance + eps)",
    cause="the divisor is less than the root of the mean square, as with a mean absolute deviation or a variance "
    "that cancels: divide by the root of the mean square of x - mean",
)


@law(
    "Subtracting the first entry from a row does not change its layer_norm, where the subtraction is exact.",
    source="(x + c) - (m + c) = x - m",
    bound="the value's bounds at both inputs",
    cause="mean(x^2) - mean(x)^2 cancels at an offset: subtract the mean first",
    non_finite=OVERFLOW,
)
def shift_invariant(layer_norm: Subject, x: Tensor) -> Measurement:
    """Compare both rows; where the shift is not exact, a row is compared with itself."""
    shifted = moments.exact_shift(x)
    bound = _NORMALIZATION.error(layer_norm, x) + _NORMALIZATION.error(layer_norm, shifted)
    return moments.in_units_of_one(to_array(layer_norm(x)), to_array(layer_norm(shifted)), bound, layer_norm.format)


odd = _NORMALIZATION.odd(source="mean(-x) = -mean(x), and the variance is even")

doubling_at_most_doubles = _NORMALIZATION.doubling_at_most_doubles(
    source="2 sqrt((V + eps) / (4 V + eps)) lies between 1 and 2",
    cause="the divisor is the variance instead of its root, or grows faster than the row: divide by sqrt(variance "
    "+ eps)",
)


@law(
    "A row of equal entries whose sum is exact becomes zeros.",
    source="the mean and all differences are exact",
    cause="x * rstd - mean * rstd rounds its products, one of them in a fused multiply-add: subtract the mean first",
    inputs=moments.constant_rows,
)
def constant_rows_become_zeros(layer_norm: Subject, x: Tensor) -> Measurement:
    """Compare with zero; NaN is also right if no ``eps`` prevents 0 / 0."""
    constant = (x == x[:, :1]).all(-1).numpy()
    actual = layer_norm(x) if layer_norm.declares["eps"] else layer_norm(x).nan_to_num(nan=0.0)
    return usual_laws.compare_rows(actual, constant, 0.0, layer_norm.format)


gradient = usual_laws.gradient(
    _GRADIENT,
    "The gradient of layer_norm(x) . v is (v_i - mean(v) - y_i mean(v y)) / sqrt(variance + eps).",
    source="chain rule; the bound of the value, carried through it",
    bound="(k (|v| + mean|v|) + 3 k (|y| + 1) P + (E + mean E) P + (|y| + E) mean(|v| E)) / sqrt(variance + eps), "
    "P = mean|v y|, k = (e^R - 1) + min(1, t^2/2) + (d + 10) u_a, all in the accumulator's format, plus a "
    "subnormal times |x - mean| mean|v (x - mean)|, at most |y| P / sqrt(variance + eps); rounded by u",
    cause="the backward pass uses a mean or a reciprocal root rounded to 16 bits, or one of the two means is "
    "detached: keep both in float32, in the autograd graph",
)

gradient_digits_not_lost = normalization.gradient_digits_not_lost(
    _SHARP_GRADIENT,
    "The gradient keeps its digits, however large the spread of the row.",
    bound="the bound of the gradient, without the subnormal",
)


# Contract

_DROWNED_ROWS_STAY_BOUNDED = value.derive(
    _drowned,
    "drowned_rows_stay_bounded",
    "Entries stay of order one if the spread of a row is smaller than the rounding of its mean.",
    cause="the variance is taken around a running mean instead of from the deviations that are divided, or x * "
    "rstd - mean * rstd rounds its products: square the deviations themselves, and divide them",
)


infinite_entry = moments.infinite_entry(_VALUE, "A row with an infinite entry is NaN.", _conditioned)

_VALUE_ON_EXTREME_NUMBERS = normalization.value_on_extreme_rows(value)

LAYER_NORM = Contract(
    "layer_norm",
    aliases=("layer_normalization", "layer_normalisation"),
    signature="(x[n,d]) -> [n,d]",
    summary="(x - mean) / sqrt(variance + eps) over the last axis, without weight and bias",
    domain=moments.DOMAIN,
    inputs=_conditioned,
    laws=(
        *usual_laws.defined_in(globals()),
        *moments.of_every_operation(value, gradient),
    ),
    axes={"x": Axes(("n", "d")), "cotangent": Axes(("n", "d"))},
    output=("n", "d"),
    rays=(
        *normalization.sizes(gradient_digits_not_lost, _VALUE_ON_EXTREME_NUMBERS),
        moments.moved(moments.largest_normalised, _DROWNED_ROWS_STAY_BOUNDED, gradient),
        moments.neighbouring(moments.largest_normalised, _DROWNED_ROWS_STAY_BOUNDED),
    ),
    conventions={"eps": moments.EPS},
    telling=moments.sizes_of_rows,
)
