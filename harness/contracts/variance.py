r"""Variance of each row.

:math:`V = \sum_i (x_i - m)^2 / (d - c)` with the correction :math:`c` that a case declares. The correction 0 gives the
mean square, which normalizations use and which is defined for a single entry. The correction 1 gives the unbiased
estimate and is torch's default.

In the notation of :mod:`harness.contracts.building_blocks.moments`, with :math:`D = d / (d - c)` and
:math:`\sigma^2 = V / D`:

* **two passes.** :math:`\sum_i (x_i - m - \delta)^2 = \sum_i (x_i - m)^2 + d \delta^2`, because the deviations sum to
  zero: the mean's error enters squared. The differences err by :math:`u_a` each, which the square doubles, the squares
  by :math:`u_a`, the sum by :math:`(d - 1) u_a`, the division by :math:`u_a`, storing by :math:`u`. Together
  :math:`|\hat V - V| \le (e^T - 1)(V + D \delta^2) + D \delta^2` with :math:`T = (d + 3) u_a + u`, plus
  :math:`D \lambda` for squares that underflow and one subnormal for a result that underflows.
* **updating** (Welford). The running mean :math:`m_k` errs by at most :math:`\delta` again, and
  :math:`M_k = M_{k-1} + (x_k - m_{k-1})(x_k - m_k)` by twice :math:`\delta |x_k - m_{k-1}|` per step. Because
  :math:`\sum_k (x_k - m_{k-1})^2 (k - 1) / k = \sum_i (x_i - m)^2`, these errors sum to
  :math:`2 \sqrt 2\, d \delta \sigma`: the mean's error enters linearly.

The law of the value allows both, with :math:`3 D \delta \sigma` for the second. Another law requires the digits that
only the first keeps. The textbook's :math:`\mathrm{mean}(x^2) - m^2` errs by :math:`u\, \mathrm{mean}(x^2)`, and
satisfies neither.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from harness.contracts.building_blocks import moments, usual_laws
from harness.contracts.building_blocks.definition import Definition
from harness.floats import Array, DoubleDouble, Format, Measurement, compare, dd, to_array
from harness.laws import Axes, Contract, Example, Subject, law

# Oracle


def _value_screen(_: dd.Elementary, x: Array, correction: int) -> DoubleDouble:
    deviation = moments.deviations(x)
    return dd.total(deviation * deviation) / float(x.shape[-1] - correction)


def _pullback_screen(_: dd.Elementary, x: Array, cotangent: Array, correction: int) -> DoubleDouble:
    return moments.deviations(x) * (2.0 * cotangent[..., None]) / float(x.shape[-1] - correction)


_VALUE_TEXT = "(x, correction: per_row): sum((x - mean(x)) ** 2) / (count(x) - correction)"

variance_oracle = Definition(_VALUE_TEXT).oracle(_value_screen)
variance_pullback = Definition(_VALUE_TEXT, by="x").oracle(_pullback_screen)


# Bounds


def two_pass_bound(x: Array, correction: int, format_: Format) -> Array:
    """Absolute error of the variance by two passes."""
    work, d = format_.accumulator, x.shape[-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.divide(d, d - correction)
        lost = moments.mean_error(x, format_)[..., 0] ** 2
        relative = np.expm1((d + 3) * work.u + format_.u)
        truth = moments.spread(x)[1][..., 0] ** 2
        return np.asarray(factor * (relative * (truth + lost) + lost + work.smallest) + format_.smallest)


def updating_bound(x: Array, correction: int, format_: Format) -> Array:
    """Absolute error of the variance by updating; it includes the error of two passes."""
    d = x.shape[-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        linear = 3.0 * np.divide(d, d - correction) * moments.mean_error(x, format_) * moments.spread(x)[1]
    return np.asarray(two_pass_bound(x, correction, format_) + linear[..., 0])


def _gradient_bound(x: Array, cotangent: Array, correction: int, format_: Format) -> Array:
    """Absolute error of the gradient in the format of the accumulator."""
    d, work = x.shape[-1], format_.accumulator
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.divide(2.0 * np.abs(cotangent), d - correction)[..., None]
    c = np.abs(moments.spread(x)[0])
    mean = c.mean(-1, keepdims=True)
    error = 8.0 * work.u * c + 2.0 * moments.mean_error(x, work) + (d + 8) * work.u * mean
    return np.asarray(weight * error + 4.0 * work.smallest * (1.0 + c + mean))


def _correction(variance: Subject) -> int:
    return int(variance.declares["correction"])


# Laws

CANCELS = (
    "mean(x^2) - mean(x)^2 cancels where the mean is large compared with the spread, a mean is rounded to 16 bits, "
    "or the divisor d - correction is not the declared one: subtract the mean first, in float32 or wider"
)
OVERFLOW = "squares are summed in float16, which ends at 65,504 (32 times 46^2): accumulate in float32"


_VALUE = moments.exact_value(variance_oracle, updating_bound, "correction")

value = usual_laws.value(
    _VALUE,
    "variance(x) equals sum((x_i - mean)^2) / (d - correction).",
    source=f"{moments.CGL}: two passes and updating",
    bound="the bound of two passes plus 3 D delta sigma, delta = d u_a mean|x|",
    cause=CANCELS,
    non_finite=OVERFLOW,
)

digits_kept_at_an_offset = usual_laws.value(
    moments.exact_value(variance_oracle, two_pass_bound, "correction"),
    "variance(x) loses no digits to an offset: the mean is subtracted in a separate pass.",
    name="digits_kept_at_an_offset",
    source=f"{moments.CGL}: two passes",
    bound="(e^T - 1)(V + D delta^2) + D delta^2, T = (d + 3) u_a + u, delta = d u_a mean|x|; plus subnormals",
    cause="updating (Welford) has an error of the mean's rounding times the spread: compute the mean first, then "
    "the squares",
    non_finite=OVERFLOW,
    loses_digits_only=True,
    lost_digits="libraries also use updating, which is acceptable: its error is that of the mean, not of the "
    "squared mean",
)


@law(
    "variance(x) is never negative or NaN.",
    source="a square is not negative",
    cause="mean(x^2) - mean(x)^2 cancels below zero: square the deviations",
    non_finite=OVERFLOW,
)
def not_negative(variance: Subject, x: Tensor) -> Measurement:
    """Measure how far below zero the variance is; rows without degrees of freedom are not checked."""
    actual = to_array(variance(x))
    undefined = x.shape[-1] <= _correction(variance)
    reference = np.where(np.isnan(actual), np.nan if undefined else 0.0, np.maximum(actual, 0.0))
    return compare(actual, reference, 0.0, variance.format)


@law(
    "Subtracting the first entry from a row does not change its variance, where the subtraction is exact.",
    source="(x + c) - (m + c) = x - m",
    bound="the value's bounds at both inputs",
    cause="the squares of the offset are added and subtracted again: subtract the mean first",
    non_finite=OVERFLOW,
)
def shift_invariant(variance: Subject, x: Tensor) -> Measurement:
    """Compare both rows; where the shift is not exact, a row is compared with itself."""
    correction, shifted = _correction(variance), moments.exact_shift(x)
    bound = sum(updating_bound(to_array(rows), correction, variance.format) for rows in (x, shifted))
    moved = dd.lift(to_array(variance(shifted)))
    reference = dd.lift(np.where(np.isfinite(moved.hi), moved.hi, variance_oracle(x, correction).hi))
    return moments.compare_within(variance(x), reference, np.asarray(bound), variance.format)


@law(
    "Doubling a row multiplies its variance by four, to the last bit.",
    source="multiplying by a power of two is exact unless it underflows",
    bound="no tolerance; twice the value's bound where a square or the result may underflow",
    cause="a constant is added to the variance, or it is clamped: leave that to the code that divides by it",
    non_finite=OVERFLOW,
)
def doubling_quadruples(variance: Subject, x: Tensor) -> Measurement:
    """Compare the doubled row with four times the row."""
    correction, format_ = _correction(variance), variance.format
    fourfold = dd.lift(4.0 * to_array(variance(x)))
    expected = variance_oracle(x, correction)
    reference = dd.lift(np.where(np.isfinite(fourfold.hi), fourfold.hi, 4.0 * expected.hi))
    exact = np.logical_and(_never_underflows(to_array(x), format_), expected.hi >= 2.0 * format_.tiny)
    absolute = np.where(exact, 0.0, 8.0 * updating_bound(to_array(x), correction, format_))
    return moments.compare_within(variance(2.0 * x), reference, absolute, format_)


def _never_underflows(x: Array, format_: Format) -> Array:
    """Return whether the square of the smallest possible deviation is normal.

    Entries are multiples of the ulp ``g`` of the smallest one, so their mean is zero or at least ``g / d``. Deviations
    from the mean are multiples of its ulp, at least ``u_a g / d``.
    """
    work = format_.accumulator
    least = np.where(x == 0.0, np.inf, np.abs(x)).min(-1)
    g = np.where(np.isinf(least), 1.0, least) * format_.u
    with np.errstate(under="ignore"):
        return np.asarray(work.u * g / x.shape[-1] >= np.sqrt(work.tiny))


@law(
    "A row of equal entries whose sum is exact has variance zero; a single entry with correction 1 has variance NaN.",
    source="the mean and all differences are exact; 0 / 0",
    cause="mean(x^2) - mean(x)^2 leaves rounding errors, a lower limit is applied, or the division by zero is "
    "silently avoided: square the deviations, and divide by d - correction",
    inputs=moments.constant_rows,
)
def constant_rows_vary_by_nothing(variance: Subject, x: Tensor) -> Measurement:
    """Compare with zero, or with NaN for rows without degrees of freedom."""
    variance_of_equals = 0.0 if x.shape[-1] > _correction(variance) else np.nan
    constant = (x == x[:, :1]).all(-1).numpy()
    return usual_laws.compare_rows(variance(x), constant, variance_of_equals, variance.format)


gradient = usual_laws.gradient(
    moments.exact_gradient(variance_pullback, _gradient_bound, "correction"),
    "The gradient of variance(x) is 2 (x_i - mean) / (d - correction).",
    source="chain rule; the mean also depends on x, but the deviations sum to zero",
    bound="w (8 u_a |c_i| + 2 delta + (d + 8) u_a mean|c|), w = 2 |v| / (d - correction), c = x - mean; rounded by u",
    cause="the backward pass uses a mean rounded to 16 bits, or cancels as the value does: use the deviations x - "
    "mean in float32",
)


infinite_entry = moments.infinite_entry(
    _VALUE,
    "A row with an infinite entry has variance NaN.",
    moments.rows_and_cotangents(lambda format_: _largest(format_)),
)


# Contract


def _largest(format_: Format) -> float:
    """Bound on entries so that squared differences do not overflow, also for the doubled row and in float16."""
    return min(moments.largest_square_root(format_), float(np.sqrt(format_.max)) / 4.0)


def _of_rows(example: Callable[[Tensor, Format], Example]) -> Callable[[Tensor, Format], Example]:
    """Add a cotangent of one to the rows of a ray."""
    return lambda t, format_: {**example(t, format_), "cotangent": torch.ones_like(t)}


VARIANCE = Contract(
    "variance",
    aliases=("var",),
    signature="(x[n,d]) -> [n]",
    summary="sum of squared deviations from the mean of the row, divided by d - correction",
    domain="finite rows, |x| <= sqrt(max) / 32, and sqrt(max) / 4 in float16, so that a sum of 32 squares does not "
    "overflow float32; some laws also use infinities and NaN",
    inputs=moments.rows_and_cotangents(_largest, cotangent=lambda rows: rows[:, 0]),
    laws=(
        *usual_laws.defined_in(globals()),
        usual_laws.on_extreme_numbers(
            value,
            moments.extreme_rows(_largest),
            "The value is right for the largest numbers of the domain, for the smallest ones and for both zeros.",
        ),
        *moments.of_every_operation(value, gradient),
    ),
    axes={"x": Axes(("n", "d")), "cotangent": Axes(("n",))},
    output=("n",),
    rays=tuple(
        replace(ray, example=_of_rows(ray.example))
        for ray in (moments.sized("size", lambda _: 0.0, _largest), moments.moved(_largest))
    ),
    conventions={"correction": (0, 1)},
)
