r"""Normalization of each row by its root mean square, without weight.

:math:`y_i = x_i / s` with :math:`s = \sqrt{\mathrm{mean}(x^2) + \epsilon}` and the :math:`\epsilon` that a case
declares; torch's default is the dtype's ``eps``, which a case must override. Other implementations add nothing, but
limit the root, or the norm of the row, from below: :math:`s = \max(\sqrt{\mathrm{mean}(x^2)}, f, f' / \sqrt{d})` with
the declared ``floor`` :math:`f` and ``norm_floor`` :math:`f'`. The maximum does not increase relative errors. A
separate factor :math:`\sqrt{d}` replaces the mean's division and the addition of :math:`\epsilon`.

Nothing cancels. In the notation of :mod:`harness.contracts.building_blocks.moments`, squares err by :math:`u_a`, their
sum by :math:`(d - 1) u_a`, the division by :math:`u_a`, and adding a rounded :math:`\epsilon` by :math:`2 u_a`; the
root halves all that. The root and the quotient add :math:`2 u_a`, a reciprocal root (to one ulp) and a product
:math:`3 u_a`, and storing :math:`u`. Together the relative error is :math:`R = (d + 9) u_a / 2 + u`, plus two
subnormals. Squares that underflow are negligible next to :math:`\epsilon`; without one they add the error of
:func:`~harness.contracts.building_blocks.moments.underflown`.

The gradient of :math:`v \cdot y` is :math:`(v_i - y_i\, \mathrm{mean}(v y)) / s`. :math:`R` enters its first term once
and its second three times, in the accumulator's format; sums and a chain of ten operations add :math:`(d + 10) u_a`,
and the result is rounded once. If the row enters twice in its 16-bit format, under the root and as the factor (as in
T5), autograd rounds each of the two terms to that format before adding them: :math:`u` of either. The derivative of a
reciprocal root is its cube, which is subnormal where :math:`s > \lambda^{-1/3}`, from :math:`2^{42}` in float32. This
adds the accumulator's smallest subnormal :math:`\lambda` times :math:`|x_i|\, \mathrm{mean}|v x|`.

References
----------
B. Zhang, R. Sennrich (2019), "Root mean square layer normalization", NeurIPS 32.
"""

from typing import Any

import numpy as np
from torch import Tensor

from harness.contracts.building_blocks import moments, normalization, usual_laws
from harness.contracts.building_blocks.definition import Definition
from harness.floats import Array, DoubleDouble, Format, Measurement, dd
from harness.laws import AnyNumber, Axes, Contract, Subject, law

SOURCE = "Zhang & Sennrich (2019)"

# Oracle


def _root_screen(x: Array, eps: float, floor: float, norm_floor: float) -> tuple[DoubleDouble, Any]:
    """The divisor, and where it is the root rather than a floor."""
    factor = moments.scale(x, eps)
    scaled = x * factor
    square = dd.total(dd.two_product(scaled, scaled), keepdims=True) / float(x.shape[-1])
    mean_square = dd.root(square + moments.scaled_eps(eps, factor)) * (1.0 / factor)
    least = _least(x, floor, norm_floor)
    above_floor = ~(mean_square.hi < least.hi)
    return dd.select(above_floor, mean_square, least), above_floor


def _least(x: Array, floor: float, norm_floor: float) -> DoubleDouble:
    """The floor of the divisor from both conventions."""
    of_norm = dd.lift(np.asarray(norm_floor)) / dd.root(dd.lift(np.asarray(float(x.shape[-1]))))
    return of_norm if of_norm.hi > floor else dd.lift(np.asarray(floor))


def _value_screen(_: dd.Elementary, x: Array, eps: float, floor: float = 0.0, norm_floor: float = 0.0) -> DoubleDouble:
    return moments.quotient(dd.lift(x), _root_screen(x, eps, floor, norm_floor)[0])


def _pullback_screen(
    _: dd.Elementary, x: Array, cotangent: Array, eps: float, floor: float = 0.0, norm_floor: float = 0.0
) -> DoubleDouble:
    s, above_floor = _root_screen(x, eps, floor, norm_floor)
    y = moments.quotient(dd.lift(x), s)
    projected = y * (dd.total(y * cotangent, keepdims=True) / float(x.shape[-1]))
    return moments.quotient(dd.lift(cotangent) - dd.select(above_floor, projected, 0.0), s)


_VALUE_TEXT = (
    "(x, eps: per_row, floor: per_row, norm_floor: per_row): "
    "x / max(sqrt(mean(x * x) + eps), floor, norm_floor / sqrt(count(x)))"
)

rms_norm_oracle = Definition(_VALUE_TEXT).oracle(_value_screen)
rms_norm_pullback = Definition(_VALUE_TEXT, by="x").oracle(_pullback_screen)


# Bounds


def _relative(d: int, format_: Format) -> float:
    """``e^R - 1`` of the module's notes."""
    return float(np.expm1((d + 9) / 2.0 * format_.accumulator.u + format_.u))


def value_bound(x: Array, eps: float, floor: float, norm_floor: float, format_: Format) -> Array:
    """Absolute error, entry by entry; ``inf`` where underflowing squares may leave a divisor of zero."""
    y, s = _plain(x, eps, floor, norm_floor)
    underflow = moments.underflown(s, eps, format_)
    with np.errstate(invalid="ignore"):
        rounded = (_relative(x.shape[-1], format_) + underflow) * np.abs(y) + _subnormals(x, norm_floor, format_)
    return np.where(np.isinf(underflow), np.inf, rounded)


def _subnormals(x: Array, norm_floor: float, format_: Format) -> float:
    """Two subnormals of the format; a norm floor adds a subnormal of the accumulator times the root of the length."""
    multiplied = format_.accumulator.smallest * np.sqrt(x.shape[-1]) if norm_floor else 0.0
    return float(2.0 * format_.smallest + multiplied)


def _plain(x: Array, eps: float, floor: float, norm_floor: float) -> tuple[Array, Array]:
    """``y`` and ``s`` in float64, the latter with the last axis retained."""
    factor = moments.scale(x, eps)
    s = np.hypot(np.sqrt(((x * factor) ** 2).mean(-1, keepdims=True)) / factor, np.sqrt(eps))
    s = np.maximum(s, max(floor, norm_floor / np.sqrt(x.shape[-1])))
    with np.errstate(invalid="ignore"):
        return x / s, s


def gradient_bound(x: Array, cotangent: Array, eps: float, floor: float, norm_floor: float, format_: Format) -> Array:
    """Absolute error of the gradient as accumulated; means of magnitudes replace sums that may cancel.

    Near a floor it may be the error of either side. It is ``inf`` where squares may underflow to zero.
    """
    d, v, work = x.shape[-1], np.abs(cotangent), format_.accumulator
    y, s = _plain(x, eps, floor, norm_floor)
    k = _relative(d, work) + (d + 10) * work.u + moments.underflown(s, eps, work)
    projected = (v * np.abs(y)).mean(-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        underflow = 4.0 * work.smallest * (1.0 + np.abs(x) + 1.0 / s)
        rounded = k * (v + 3.0 * np.abs(y) * projected) / s
        least = max(floor, norm_floor / np.sqrt(d))
        is_near = np.abs(_plain(x, eps, 0.0, 0.0)[1] - least) <= 2.0 * k * least
        either = np.where(is_near, np.abs(y) * projected / s, 0.0)
        return np.where(np.isinf(k) | (s == 0.0), np.inf, rounded + either + underflow)


def _typical_gradient_bound(x: Array, cotangent: Array, *declared: Any) -> Array:
    """:func:`gradient_bound` plus the underflow of the reciprocal root's cube, and two roundings in a narrower format.

    It is ``inf`` where the cube overflows, which an ``eps`` prevents.
    """
    *divisor, format_ = declared
    work, v, (y, s) = format_.accumulator, np.abs(cotangent), _plain(x, *divisor)
    # Split the exponent between the factors, because the smallest float64 times a small entry underflows to zero.
    half = np.sqrt(work.smallest)
    cubed = (half * np.abs(x)) * (half * (v * np.abs(x)).mean(-1, keepdims=True))
    computed = gradient_bound(x, cotangent, *declared) + cubed
    computed = np.where(moments.cube_overflows(s, work), np.inf, computed)
    if format_.u > work.u:
        with np.errstate(invalid="ignore", divide="ignore"):
            terms = (v + np.abs(y) * (v * np.abs(y)).mean(-1, keepdims=True)) / s
            rounded = computed + format_.u * (terms + computed) + 2.0 * format_.smallest
        computed = np.where(np.isposinf(computed), np.inf, rounded)
    return np.asarray(computed)


def _bound_of_all(x: Array, eps: float, floor: float, norm_floor: float, format_: Format) -> Array:
    """Admissible error of an implementation that scales small rows up, so that its squares do not underflow."""
    y = np.abs(_plain(x, eps, floor, norm_floor)[0])
    rounded = _relative(x.shape[-1], format_) * y + _subnormals(x, norm_floor, format_)
    return np.where(np.isnan(y), np.inf, rounded)


DECLARED = ("eps", "floor", "norm_floor")
"""Conventions that the divisor follows."""

_VALUE = moments.exact_value(rms_norm_oracle, value_bound, *DECLARED)
_VALUE_OF_ALL = moments.exact_value(rms_norm_oracle, _bound_of_all, *DECLARED)
_GRADIENT = moments.exact_gradient(rms_norm_pullback, _typical_gradient_bound, *DECLARED)
_SHARP_GRADIENT = moments.exact_gradient(rms_norm_pullback, gradient_bound, *DECLARED)

_rows = moments.rows_and_cotangents(moments.largest_normalised)

# Laws

CAUSE = (
    "the mean of squares is rounded to 16 bits or runs over the batch, the root is missing, or eps is outside it: "
    "divide by sqrt(mean(x^2) + eps) over the features (without an argument, torch uses the eps of the dtype)"
)
OVERFLOW = "squares are summed in a 16-bit format, and float16 ends at 65,504 = 256^2: compute in float32"


_NORMALIZATION = normalization.Normalization("rms_norm", value_bound, DECLARED, OVERFLOW)

value = usual_laws.value(
    _VALUE,
    "rms_norm(x) equals x / sqrt(mean(x^2) + eps), row by row.",
    source=SOURCE,
    bound="|y| (e^R - 1), R = (d + 9) u_a / 2 + u, plus two subnormals",
    cause=f"{CAUSE}; or {OVERFLOW}",
    non_finite=OVERFLOW,
)


mean_square_at_most_one = _NORMALIZATION.mean_square_at_most_one(
    source="mean(x^2) / (mean(x^2) + eps)",
    cause="the divisor is less than the root of the mean square, as with a mean absolute value or a standard "
    "deviation: divide by the root of the mean square",
)

odd = _NORMALIZATION.odd(source="the mean square is even")

doubling_at_most_doubles = _NORMALIZATION.doubling_at_most_doubles(
    source="2 sqrt((q + eps) / (4 q + eps)) with q = mean(x^2) lies between 1 and 2",
    cause="the divisor is the mean square instead of its root, or grows faster than the row: divide by "
    "sqrt(mean(x^2) + eps)",
)


@law(
    "A row of zeros stays a row of zeros.",
    source="0 / sqrt(eps)",
    cause="eps is missing or rounds to zero, as 1e-8 does in float16, and 0 / 0 is NaN: choose an eps that the "
    "format represents",
    inputs=moments.some_zero_rows(_rows),
)
def zeros_stay(rms_norm: Subject, x: Tensor) -> Measurement:
    """Compare with zero; NaN is also right if no declared convention prevents 0 / 0."""
    actual = rms_norm(x)
    if not any(rms_norm.declares[name] for name in DECLARED):
        actual = actual.nan_to_num(nan=0.0)
    return usual_laws.compare_rows(actual, (x == 0.0).all(-1).numpy(), 0.0, rms_norm.format)


gradient = usual_laws.gradient(
    _GRADIENT,
    "The gradient of rms_norm(x) . v is (v_i - y_i mean(v y)) / sqrt(mean(x^2) + eps).",
    source="chain rule; the bound of the value, carried through it",
    bound="k (|v| + 3 |y| mean|v y|) / sqrt(mean(x^2) + eps), k = (e^R - 1) + (d + 10) u_a, in the accumulator's "
    "format, plus a subnormal times |x| mean|v x|; rounded by u, in 16 bits for each term",
    cause="the root is detached, or its square or cube overflows in the backward pass: keep it in the autograd "
    "graph, and divide by it",
)

gradient_digits_not_lost = normalization.gradient_digits_not_lost(
    _SHARP_GRADIENT,
    "The gradient keeps its digits, however large the row.",
    bound="k (|v| + 3 |y| mean|v y|) / sqrt(mean(x^2) + eps), k = (e^R - 1) + (d + 10) u_a, "
    "in the accumulator's format; rounded by u",
)

infinite_entry = usual_laws.rows_become(
    _VALUE,
    "infinite_entry",
    "In a row with an infinite entry all finite entries become zero, and the infinite one NaN.",
    rows=lambda x: x.isinf().any(-1).numpy(),
    expected=lambda x: np.where(x.isinf().numpy(), np.nan, 0.0),
    source="x / inf = 0; inf / inf",
    cause="infinities are clipped before squaring, or one NaN spreads over the row: let IEEE arithmetic decide",
    inputs=moments.one_infinite(_rows),
)

# Contract

_VALUE_ON_EXTREME_NUMBERS = normalization.value_on_extreme_rows(
    usual_laws.value(_VALUE_OF_ALL, value.statement, source=SOURCE, bound=value.bound, cause=value.cause)
)

RMS_NORM = Contract(
    "rms_norm",
    aliases=("rms_normalization", "root_mean_square_norm"),
    signature="(x[n,d]) -> [n,d]",
    summary="x / sqrt(mean(x^2) + eps) over the last axis, without weight",
    domain=moments.DOMAIN,
    inputs=_rows,
    laws=(
        *usual_laws.defined_in(globals()),
        *moments.of_every_operation(value, gradient),
    ),
    axes={"x": Axes(("n", "d")), "cotangent": Axes(("n", "d"))},
    output=("n", "d"),
    rays=normalization.sizes(gradient_digits_not_lost, _VALUE_ON_EXTREME_NUMBERS),
    conventions={
        "eps": moments.EPS,
        "floor": AnyNumber((0.0, 1e-8), least=0.0, most=1e3),
        "norm_floor": AnyNumber((0.0, 1e-12), least=0.0, most=1e3),
    },
    telling=moments.sizes_of_rows,
)
