r"""Log-softmax over the last axis.

The bound is :math:`|\hat y_i - y_i| \le u (|y_i| + g_i) + E`, which holds for ``(x_i - m) - ln sum_j exp(x_j - m)``.
:mod:`harness.contracts.building_blocks.exponential_sums` derives it and has the exact value. The usual form has no
relative accuracy near zero, where the dominating class's log-probability is the small difference of larger numbers. A
separate law covers results that it loses completely.
"""

import numpy as np
from torch import Tensor

from harness.contracts.building_blocks import exponential_sums as sums
from harness.contracts.building_blocks import logit_rows, usual_laws
from harness.contracts.building_blocks.definition import Definition
from harness.contracts.building_blocks.usual_laws import Exact, within
from harness.floats import Array, DoubleDouble, Format, Measurement, compare_absolute, dd, to_array
from harness.laws import Contract, Subject, law

# Oracle


def _log_pullback_screen(elementary: dd.Elementary, x: Array, cotangent: Array) -> DoubleDouble:
    return dd.lift(cotangent) - sums.softmax_screen(elementary, x) * dd.total(dd.lift(cotangent), keepdims=True)


exponentials_sum = Definition("(y): sum(exp(y))").oracle()
log_softmax_pullback = Definition("(x): log_softmax(x)", by="x").oracle(_log_pullback_screen)


# Bound


def _gradient_bound(logits: Tensor, cotangent: Tensor, _: DoubleDouble, format_: Format) -> Array:
    """``A_i p_i W + 6 u |v_i|`` with ``W = sum |v|``; the maximum gets the sum of these."""
    x, v = to_array(logits), np.abs(to_array(cotangent))
    weighted = sums.backward_amplified(sums.softmax_oracle(logits).hi, x, format_)
    absolute = weighted * v.sum(-1, keepdims=True) + 6.0 * format_.u * v
    absolute = sums.through_the_maximum(absolute, x)
    return np.asarray(absolute + 4.0 * format_.smallest * (1.0 + v.sum(-1, keepdims=True)))


# Laws

UNDERFLOW = (
    "the softmax underflows to zero, whose logarithm is -inf, or exp overflows: subtract the row maximum, "
    "and work with logarithms"
)

_VALUE = Exact(("logits",), sums.log_softmax_oracle, sums.log_softmax_absolute_bound)

value = usual_laws.value(
    _VALUE,
    "log_softmax(X) equals x_i - ln sum_j exp(x_j), entry by entry.",
    source=sums.BHH,
    bound="u (|y| + g_i + 2 ln S + 3) + D + (k - 1) u_a, with D = ln sum p_j exp(u g_j)",
    cause="x - logsumexp(x) loses digits at large offsets, log(p) loses them where p is subnormal, or an epsilon "
    "in the logarithm limits the result: subtract the row maximum, then the logarithm of the sum",
    non_finite=UNDERFLOW,
)

finite_on_extreme_logits = usual_laws.finite(
    _VALUE,
    "finite_on_extreme_logits",
    "log_softmax(X) is finite for all finite X.",
    source="-2 max|x| - ln k <= y <= 0",
    cause="the softmax underflows to zero and its logarithm is -inf, or exp overflows: subtract the row maximum, "
    "and work with logarithms",
)

not_positive = usual_laws.one_sided(
    _VALUE,
    "not_positive",
    "No entry of log_softmax(X) is positive.",
    nearest=lambda actual, _: usual_laws.at_most(actual, 0.0),
    comparison=compare_absolute,
    source="p <= 1",
    cause="the logarithm of the sum is smaller than the largest term, because the sum or its shift lost it: add "
    "all terms after the shift",
)

dominating_class_not_lost = usual_laws.not_lost(
    _VALUE,
    "dominating_class_not_lost",
    "An entry of log_softmax(X) is zero only where the exact value rounds to zero.",
    source="-y = ln(1 + r) >= r / 2 > 0 for 0 < r <= 1",
    cause="1 + exp(-gap) rounds to one from a gap of p ln 2 (16.6 in float32): use log1p of the sum over the other "
    "classes",
)


@law(
    "The exponentials of each row of log_softmax(X) sum to one.",
    source="they are probabilities",
    bound="sum over the row of p_i (exp(b_i) - 1), where b_i is the value's bound",
    cause="the logarithm of the sum belongs to another axis, or to other exponentials: sum the exponentials of the "
    "row itself",
    non_finite=UNDERFLOW,
)
def exponentials_sum_to_one(log_softmax: Subject, logits: Tensor) -> Measurement:
    """Exponentiate and sum without rounding, so that the deviation is the implementation's."""
    actual, p = exponentials_sum(log_softmax(logits)), sums.softmax_oracle(logits).hi
    b = _VALUE.error_at(log_softmax, logits)
    with np.errstate(invalid="ignore", over="ignore"):
        absolute = np.where(p > 0.0, p * np.expm1(b), 0.0).sum(-1) + log_softmax.format.smallest
    return within(actual.hi + actual.lo, dd.lift(np.ones(absolute.shape)), absolute, log_softmax.format)


shift_invariant = usual_laws.unchanged(
    _VALUE,
    "shift_invariant",
    "Adding the same number to every logit of a row does not change its log-softmax.",
    other=lambda log_softmax, logits: log_softmax(sums.exact_shift(logits)),
    comparison=compare_absolute,
    source="exp(x + c) = exp(x) exp(c)",
    cause="x - logsumexp(x) depends on the offset: subtract the row maximum first",
    non_finite="exp overflows: subtract the row maximum first",
)

columns_in_any_order = logit_rows.columns_law(
    _VALUE,
    "Reversing the order of the columns reverses the log-softmax.",
    lambda log_softmax, logits: log_softmax(logits.flip(-1)).flip(-1),
    non_finite=UNDERFLOW,
)

gradient = usual_laws.gradient(
    Exact(("logits", "cotangent"), log_softmax_pullback, _gradient_bound),
    "The gradient of log_softmax(X) . v is v - p (sum of v).",
    source="chain rule; the bound of the softmax, carried through it",
    bound="A_i p_i W + 6 u |v_i| and, at the maximum, their sum; A_i = 2 (e^T - 1) + (k + 8) u, W = sum |v|",
    cause="the logarithm comes before the shift, and 0 * inf in the backward pass is NaN although the value is "
    "finite: subtract the row maximum first",
)


# Special values


masked_entries = logit_rows.masked_entries_law(
    _VALUE,
    "A logit of -inf has log-probability -inf; the other entries equal the log-softmax without it.",
    "ln 0 = -inf",
)

gradient_of_masked_rows = logit_rows.of_masked_rows(
    gradient,
    logit_rows.masked_logits,
    "If some logits are -inf, the gradient equals that of the others, and the cotangent itself where masked.",
)

fully_masked_row = logit_rows.fully_masked_law(
    _VALUE,
    "A row of only -inf gives the declared result: NaN, or the logarithms of zeros or of the uniform distribution.",
    lambda logits: {"nan": np.nan, "zeros": -np.inf, "uniform": -np.log(float(logits.shape[-1]))},
)

infinite_logit = logit_rows.infinite_logit_law(
    _VALUE,
    "A row with one logit of +inf gives the declared result: NaN; zero at that logit and -inf elsewhere; or x - "
    "logsumexp(x), which is NaN at that logit and -inf elsewhere.",
    lambda logits: {
        "nan": np.nan,
        "limit": np.where(np.isposinf(to_array(logits)), 0.0, -np.inf),
        "difference": np.where(np.isposinf(to_array(logits)), np.nan, -np.inf),
    },
    cause=logit_rows.OR_DIFFERENCE,
)


# Contract

LOG_SOFTMAX = Contract(
    "log_softmax",
    signature="(logits[n,k]) -> [n,k]",
    summary="x_i - ln sum_j exp(x_j) along the last axis",
    domain=logit_rows.DOMAIN,
    inputs=logit_rows.logits_and_cotangents,
    laws=(
        *usual_laws.defined_in(globals()),
        *logit_rows.of_every_operation(value, gradient, logit_rows.long_logits),
    ),
    axes=logit_rows.AXES,
    total=logit_rows.sum_of_exponentials(lambda log_softmax, logits: np.exp(-float(log_softmax(logits)[0, 0]))),
    output=("n", "k"),
    conventions={"fully_masked": ("nan", "zeros", "uniform"), "infinite_logit": ("nan", "limit", "difference")},
)
