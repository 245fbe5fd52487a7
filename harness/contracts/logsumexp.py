r"""Logsumexp over the last axis.

The bound of the shifted algorithm is :math:`|\hat y - y| \le u |y| + E`, where :math:`E` is the error of
:math:`\ln S`. :mod:`harness.contracts.building_blocks.exponential_sums` derives it and has the exact value.

The gradient is the softmax. Autograd carries :math:`1 / S` and the exponentials through two products, so an entry errs
by the softmax's bound and :math:`2u`; the maximum also accumulates the errors of all entries. A handwritten backward
pass computes the gradient as the exponential of the log-softmax, :math:`e^{-g_i - \ln S}`. The gap is rounded when it
is formed and again when the logarithm is subtracted, :math:`u (2 g_i + \ln S)`. The logarithm itself errs by
:math:`E`; the exponential and the product with :math:`v` add :math:`3u`. The bound is the larger of the two.
"""

import numpy as np
import torch
from torch import Tensor

from harness.contracts.building_blocks import exponential_sums as sums
from harness.contracts.building_blocks import logit_rows, usual_laws
from harness.contracts.building_blocks.usual_laws import Exact
from harness.floats import Array, DoubleDouble, Format, Measurement, compare, dd, to_array
from harness.laws import Axes, Contract, Subject, law, many_rows

# Bounds


def _gradient_bound(logits: Tensor, cotangent: Tensor, _: DoubleDouble, format_: Format) -> Array:
    """Absolute error of the gradient: ``|v| p_i`` times the larger relative error; the maximum gets their sum."""
    x, weight, probability = to_array(logits), np.abs(to_array(cotangent))[..., None], sums.softmax_oracle(logits).hi
    through_sum = sums.softmax_relative_bound(x, format_) + 2.0 * format_.u
    with np.errstate(invalid="ignore"):
        relative = np.nan_to_num(probability * np.maximum(through_sum, _through_logarithm(x, format_)), nan=0.0)
    absolute = weight * relative + 2.0 * format_.smallest * (1.0 + weight)
    # v - sum(v p) + v p: the sum is formed in the accumulator, stored, and used in two additions.
    summing = weight * (5.0 * format_.u + (x.shape[-1] - 1) * format_.u_accumulator)
    at_maximum = x == x.max(-1, keepdims=True)
    return np.asarray(absolute + np.where(at_maximum, absolute.sum(-1, keepdims=True) + summing, 0.0))


def _through_logarithm(x: Array, format_: Format) -> Array:
    """Relative error of the exponential of the log-softmax, and of its product with the cotangent."""
    rows = sums.Weighed.of(x)
    with np.errstate(over="ignore", invalid="ignore"):
        in_u = format_.u * (2.0 * rows.g + np.log(rows.total) + 3.0)
        exponent = in_u + sums.log_total_error(rows, format_)[..., None]
        return np.asarray(np.expm1(exponent * (1.0 + 2.0 * format_.u)))


def _gradient(logits: Tensor, cotangent: Tensor) -> DoubleDouble:
    return sums.softmax_oracle(logits) * to_array(cotangent)[..., None]


# Inputs


_inputs = logit_rows.logits_and_weights(sums.normalised, sums.dominated, sums.at_the_limits)
_masked = logit_rows.some_masked(_inputs)


# Laws

OVERFLOW_OR_UNDERFLOW = (
    f"{sums.OVERFLOW}; or all exponentials underflow, and ln 0 = -inf: subtract the row maximum first"
)

_VALUE = Exact(("logits",), sums.logsumexp_oracle, sums.logsumexp_absolute_bound)

value = usual_laws.value(
    _VALUE,
    "logsumexp(X) equals ln sum_j exp(x_j), row by row.",
    source=sums.BHH,
    bound="u |y| + 2 u ln S + D + 3 u + (k - 1) u_a, with D = ln sum p_j exp(u g_j)",
    cause="a constant is added to the sum or to its logarithm, or the exponent is clipped: subtract the row "
    "maximum only",
    non_finite=OVERFLOW_OR_UNDERFLOW,
)

finite_on_extreme_logits = usual_laws.finite(
    _VALUE,
    "finite_on_extreme_logits",
    "logsumexp(X) is finite for all finite X.",
    source="max x <= y <= max x + ln k",
    cause=OVERFLOW_OR_UNDERFLOW,
)

at_least_the_maximum = usual_laws.one_sided(
    _VALUE,
    "at_least_the_maximum",
    "logsumexp(X) is at least the largest logit.",
    nearest=lambda actual, logits: usual_laws.at_least(actual, to_array(logits).max(-1)),
    source="the sum is at least its largest term, and rounding is monotone",
    cause="the shift is larger than the maximum, or the mean of the exponentials replaces their sum: shift by the "
    "maximum, and sum",
    non_finite=sums.OVERFLOW,
)


@law(
    "If the largest logit is zero, logsumexp(X) is zero only if the exact value rounds to zero.",
    source="ln(1 + r) >= r / 2 > 0 for 0 < r <= 1",
    cause="1 + exp(-gap) rounds to one from a gap of p ln 2 (16.6 in float32): use log1p of the sum over the other "
    "terms",
    group="value",
    lost_digits=usual_laws.ABSORBED,
)
def excess_not_lost(logsumexp: Subject, logits: Tensor) -> Measurement:
    """Measure ``inf`` where the result is zero and the exact value is a normal number; elsewhere terms may cancel."""
    expected = sums.logsumexp_oracle(logits)
    actual = to_array(logsumexp(logits))
    lost = (actual == 0.0) & (to_array(logits).max(-1) == 0.0) & (expected.hi >= logsumexp.format.tiny)
    return Measurement(np.where(lost, np.inf, 0.0), np.zeros(actual.shape), actual, expected.hi)


@law(
    "logsumexp of a row is the logaddexp of the logsumexps of its two halves.",
    source="the sum of exp(x_j) splits into two sums; ln(exp(a) + exp(b)) changes by at most the change of a and b",
    bound="the value's bound of the row, plus the larger bound of the two halves",
    unit="ulp of 1",
    cause="the result depends on the number of terms, as with a mean, or a term is omitted or counted twice: sum "
    "each term once",
    non_finite=sums.OVERFLOW,
)
def splits_into_halves(logsumexp: Subject, logits: Tensor) -> Measurement:
    """Add the outputs for both halves without rounding."""
    middle = max(logits.shape[-1] // 2, 1)
    halves = [half for half in (logits[:, :middle], logits[:, middle:]) if half.shape[-1]]
    parts = torch.stack([logsumexp(half) for half in halves], -1)
    errors = [_VALUE.error_at(logsumexp, half) for half in halves]
    absolute = _VALUE.error_at(logsumexp, logits) + np.maximum.reduce(errors)
    return sums.compare_near(logsumexp(logits), sums.logsumexp_oracle(parts), absolute, logsumexp.format)


@law(
    "Adding the same number to every logit of a row adds it to its logsumexp.",
    source="exp(x + c) = exp(x) exp(c)",
    bound="the value's bounds at both inputs",
    unit="ulp of 1",
    cause="a constant is added inside the logarithm, or the exponent is clipped: subtract the row maximum only",
    non_finite=sums.OVERFLOW,
)
def shift_equivariant(logsumexp: Subject, logits: Tensor) -> Measurement:
    """Shift by the row's maximum where that is exact in the format; other rows are compared with themselves."""
    shifted = sums.exact_shift(logits)
    x, moved = to_array(logits), to_array(shifted)
    expected = dd.two_sum(to_array(logsumexp(shifted)), x.max(-1) - moved.max(-1))
    absolute = _VALUE.error_at(logsumexp, logits) + _VALUE.error_at(logsumexp, shifted)
    return sums.compare_near(logsumexp(logits), expected, absolute, logsumexp.format)


columns_in_any_order = logit_rows.columns_law(
    _VALUE,
    "The order of a row's logits does not change its logsumexp.",
    lambda logsumexp, logits: logsumexp(logits.flip(-1)),
    non_finite=sums.OVERFLOW,
)

gradient = usual_laws.gradient(
    Exact(("logits", "cotangent"), _gradient, _gradient_bound),
    "The gradient of logsumexp(X) . v is v times softmax(X).",
    source="chain rule; the bound of the softmax, carried through it",
    bound="|v| p_i times the larger of e^T - 1 + 2 u and e^(u (2 g + ln S + 3) + E) - 1; at the maximum, the sum "
    "of these plus |v| (5 u + (k - 1) u_a)",
    cause="exp(x - y) in the backward pass loses the digits of y below |y| u, so it does not sum to one at large "
    "offsets: subtract the row maximum first",
    non_finite="infinity minus infinity or infinity over infinity in the backward pass: subtract the row maximum",
)


# Special values


@law(
    "The logsumexp of a single logit is the logit itself.",
    source="ln exp(x) = x",
    cause="an epsilon is added to the sum, or the maximum is not subtracted first: shift by the maximum",
    group="special",
)
def one_column(logsumexp: Subject, logits: Tensor) -> Measurement:
    """Use the first column only."""
    return compare(logsumexp(logits[:, :1]), to_array(logits)[:, 0], 0.0, logsumexp.format)


masked_entries_ignored = value.derive_special(
    _masked,
    "masked_entries_ignored",
    "A logit of -inf adds nothing: the logsumexp equals that of the other logits.",
    cause="0 * -inf is NaN, a large negative constant replaces -inf, or a masked row is not shifted by its "
    "maximum: use -inf, and subtract the maximum",
)


gradient_of_masked_rows = logit_rows.of_masked_rows(gradient, _masked)


fully_masked_row = usual_laws.rows_become(
    _VALUE,
    "fully_masked_row",
    "A row of only -inf has logsumexp -inf.",
    rows=lambda logits: np.isneginf(to_array(logits)).all(-1),
    expected=-np.inf,
    source="ln 0 = -inf",
    cause="-inf minus a maximum of -inf is NaN: shift by a finite number there",
    inputs=logit_rows.every_third_row(logit_rows.all_masked),
)

infinite_logit = usual_laws.rows_become(
    _VALUE,
    "infinite_logit",
    "A row with a logit of +inf has logsumexp +inf.",
    rows=lambda logits: np.isposinf(to_array(logits)).any(-1),
    expected=np.inf,
    source="the sum is at least its largest term",
    cause="+inf minus a maximum of +inf is NaN: shift by a finite number there",
    inputs=logit_rows.every_third_row(logit_rows.one_infinite),
)


# Contract

LOGSUMEXP = Contract(
    "logsumexp",
    signature="(logits[n,k]) -> [n]",
    summary="ln sum_j exp(x_j) along the last axis",
    domain=logit_rows.DOMAIN,
    inputs=_inputs,
    laws=(
        *usual_laws.defined_in(globals()),
        *logit_rows.of_every_operation(value, gradient, many=many_rows({"logits": Axes(("n", "k"))}, largest=1.0)),
    ),
    axes=logit_rows.REDUCED_AXES,
    output=("n",),
    total=logit_rows.sum_of_exponentials(lambda logsumexp, logits: np.exp(float(logsumexp(logits)[0]))),
)
