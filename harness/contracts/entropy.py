r"""Shannon entropy, in nats, of the distribution that a row of logits defines.

With :math:`g_i = \max_j x_j - x_i`, :math:`R` the sum of :math:`e^{-g_i}` over all classes but one maximum,
:math:`S = 1 + R`, :math:`p_i = e^{-g_i} / S` and :math:`G = \sum_i p_i g_i`,

.. math:: H = \ln(1 + R) + G,

two non-negative terms. The entropy therefore has a small *relative* error even if one class dominates the row. The
form :math:`-\sum p \ln p` has no such accuracy, because :math:`\ln p` of the dominating class is itself a small
difference. The gradient is :math:`-p_i (\ln p_i + H) = p_i (g_i - G)`.

The bound of ``digits_not_lost`` holds for this form in the format itself, with an exponential and a logarithm accurate
to one ulp (:math:`2u`); :math:`u_a` is the accumulator's roundoff:

* :math:`e^{-g_i}` errs relatively by :math:`u (g_i + 2)`, where the subtraction contributes :math:`u g_i`; its
  product with :math:`g_i`, which errs by :math:`u`, errs by :math:`u (g_i + 4)`;
* :math:`S` errs by the mean :math:`\tau = \sum_i p_i u (g_i + 2) + (k - 1) u_a + u`, and :math:`\sum e^{-g_i} g_i`
  by the mean of its terms' errors, :math:`(k - 1) u_a` and :math:`u`; the quotient adds :math:`u`. To first order,
  :math:`G` errs by :math:`u (\sum_i p_i g_i^2 + G^2 + 8 G) + 2 (k - 1) u_a G`;
* :math:`\ln(1 + R)` errs by :math:`\delta R / S`, that is :math:`u (G + 3 R/S) + (k - 2) u_a R/S`, and by :math:`2u`
  of itself; the last addition errs by :math:`u H`.

A subnormal exponential errs by a smallest subnormal, which is multiplied by at most :math:`1 + g_i`.

The bound of ``value`` holds for the usual form :math:`-\sum p \ln p` computed from the log-softmax, whose absolute
error is :math:`\delta_i`: :math:`\sum_i p_i (\delta_i + |\ln p_i| (e^{\delta_i} - 1 + 3u)) + ((k - 1) u_a + u) H`. It
is absolute, like the error of a logarithm of a sum near one.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from harness.contracts.building_blocks import exponential_sums as sums
from harness.contracts.building_blocks import logit_rows, usual_laws
from harness.contracts.building_blocks.definition import Definition
from harness.contracts.building_blocks.usual_laws import Exact, within
from harness.floats import Array, DoubleDouble, Format, Measurement, compare, convert_to_ulp, dd, portable, to_array
from harness.laws import Contract, Subject, law
from harness.laws.strategies import Shape

SOURCE = "Shannon's definition; the module documentation derives the bound"

# Oracle


def _halves(elementary: dd.Elementary, x: Array) -> tuple[DoubleDouble, DoubleDouble]:
    """``exp(-g / 2)``, whose square underflows only in the last step, and ``g`` where ``exp(-g / 2)`` is not zero."""
    gap = sums.gaps(x)
    half = elementary.exp(gap * 0.5)
    return half, dd.select(half.hi > 0.0, -gap, 0.0)


def _entropy_screen(elementary: dd.Elementary, x: Array) -> DoubleDouble:
    half, g = _halves(elementary, x)
    rest = sums.sum_of_others(elementary, half * half, x)
    mean = dd.total(half * g * half, keepdims=True) / (rest + 1.0)
    return (elementary.log1p(rest) + mean)[..., 0]


def _pullback_screen(elementary: dd.Elementary, x: Array, cotangent: Array) -> DoubleDouble:
    """``v p_i (g_i - G)``."""
    half, g = _halves(elementary, x)
    total = sums.sum_of_others(elementary, half * half, x) + 1.0
    mean = dd.total(half * g * half, keepdims=True) / total
    return half * ((g - mean) / total * cotangent[..., None]) * half


_VALUE_TEXT = "(x): g = stop(max(x)) - x; e = exp(-g); log(sum(e)) + sum(where(e <= 0, 0, e * g)) / sum(e)"

entropy_oracle = Definition(_VALUE_TEXT).oracle(_entropy_screen)
entropy_pullback = Definition(_VALUE_TEXT, by="x").oracle(_pullback_screen)


# Bounds


class Moments(NamedTuple):
    """Gaps ``g`` of a row, the sum of their exponentials without one maximum, and means under the softmax."""

    gap: Array
    g: Array
    others: Array
    p: Array
    mean: Array
    square: Array


def moments(x: Array) -> Moments:
    """Return them in float64, with the last axis retained; gaps of classes without probability are zero."""
    with np.errstate(over="ignore", invalid="ignore"):
        gap = x.max(-1, keepdims=True) - x
    exponentials = np.exp(-gap)
    g = np.where(exponentials > 0.0, gap, 0.0)
    rest = sums.sum_of_others(dd.COMPENSATED, dd.lift(exponentials), x).hi
    p = exponentials / (1.0 + rest)
    return Moments(gap, g, rest, p, (p * g).sum(-1, keepdims=True), (p * g * g).sum(-1, keepdims=True))


def _subnormals(row: Moments, format_: Format) -> Array:
    """Errors by subnormals: for each exponential below ``tiny``, weighted by its gap, and for three results."""
    # Beyond twice the gap of underflow, an exponential times its gap is negligible next to a subnormal.
    small = (row.gap > -math.log(2.0 * format_.tiny)) & (row.gap < -2.0 * format_.log_smallest)
    return np.asarray(format_.smallest * (3.0 + np.where(small, 2.0 + row.gap, 0.0).sum(-1)))


def entropy_absolute_bound(logits: Tensor, expected: DoubleDouble, format_: Format) -> Array:
    """Absolute error of ``ln(1 + R) + G``, in the order of the module's notes."""
    row = moments(to_array(logits))
    u, adding = format_.u, (row.g.shape[-1] - 1) * format_.u_accumulator + format_.u
    tau = (row.p * np.expm1(u * (row.g + 2.0))).sum(-1) + adding
    mean, rest = row.mean[..., 0], row.others[..., 0]
    weighted = (row.p * row.g * np.expm1(u * (row.g + 4.0))).sum(-1) + mean * (adding + tau + u)
    # The error of R equals the error of S without the maximum, which is exact.
    share = (row.p * np.expm1(u * (row.g + 2.0))).sum(-1) - row.p.max(-1) * np.expm1(2.0 * u)
    logarithm = np.maximum(share, 0.0) + rest / (1.0 + rest) * adding
    error = (weighted + logarithm) / (1.0 - tau) + 2.0 * u * np.log1p(rest) + u * expected.hi
    return np.asarray(error * (1.0 + 4.0 * u) + _subnormals(row, format_))


def subnormals(logits: Tensor, format_: Format) -> Array:
    """Return the largest loss from underflowing exponentials."""
    return _subnormals(moments(to_array(logits)), format_)


def log_softmax_form_bound(logits: Tensor, expected: DoubleDouble, format_: Format) -> Array:
    """Absolute error of the usual form for finite logits, or of the accurate form if larger."""
    row = moments(to_array(logits))
    log_p = np.where(row.p > 0.0, -row.g - np.log1p(row.others), 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        delta = np.where(row.p > 0.0, sums.log_softmax_absolute_bound(logits, dd.lift(log_p), format_), 0.0)
    terms = (row.p * (delta + np.abs(log_p) * (np.expm1(delta) + 3.0 * format_.u))).sum(-1)
    adding = ((row.g.shape[-1] - 1) * format_.u_accumulator + format_.u) * expected.hi
    return np.asarray(np.maximum(terms + adding, entropy_absolute_bound(logits, expected, format_)))


def gradient_bound(logits: Tensor, cotangent: Tensor, _: DoubleDouble, format_: Format) -> Array:
    """Absolute error of the gradient; see the law."""
    x, v = to_array(logits), np.abs(to_array(cotangent))[..., None]
    row, k = moments(x), x.shape[-1]
    with np.errstate(invalid="ignore"):
        relative = np.where(row.p > 0.0, sums.softmax_relative_bound(x, format_), 0.0)
    amplified = 2.0 * relative + (k + 8.0) * format_.u
    terms = 2.0 + row.g + row.mean + np.log1p(row.others)
    absolute = v * row.p * (amplified * terms + 2.0 * format_.u * row.square)
    absolute = sums.through_the_maximum(absolute, x)
    return np.asarray(absolute + 4.0 * format_.smallest * (1.0 + v) * k * (2.0 - format_.log_smallest))


# Inputs


def near_certain(rng: np.random.Generator, shape: Shape, magnitude: Array, format_: Format) -> Array:
    """One class ahead of the others, up to the underflow of their probabilities; the others are close to each other."""
    ahead = -format_.log_smallest * rng.random((shape.rows, 1)) * 1.1
    rows = portable.standard_normal(rng, shape) * np.minimum(magnitude, 1.0) - ahead
    rows[np.arange(shape.rows), rng.integers(shape.columns, size=shape.rows)] = 0.0
    return np.asarray(rows)


_inputs = logit_rows.logits_and_weights(near_certain)
_masked = logit_rows.some_masked(_inputs)


# Laws

DOMINATED = (
    "ln p of the dominating class is rounded before the multiplication, and the error is large compared with the "
    "entropy: add ln(1 + R) by log1p and the mean gap, which have the same sign"
)
IMPOSSIBLE = "0 * -inf = NaN where a probability is zero: exclude the class with torch.where on the *logarithm*"


@dataclass(frozen=True)
class _OfSomeClasses(Exact):
    """Exact values that ignore rows of only -inf, because another law covers them."""

    def measure(self, subject: Subject, actual: Tensor, *inputs: Any) -> Measurement:
        """Compare the other rows with the exact value."""
        expected, values = self.value(subject, *inputs), to_array(actual)
        nothing = np.isneginf(to_array(inputs[0])).all(-1).reshape((-1,) + (1,) * (values.ndim - 1))
        reference = dd.select(nothing, values, expected)
        bound = convert_to_ulp(self._error(subject, expected, *inputs), expected, subject.format)
        return compare(values, reference, np.where(nothing, 0.0, bound), subject.format)


_VALUE = _OfSomeClasses(("logits",), entropy_oracle, log_softmax_form_bound)
_ACCURATE_VALUE = _OfSomeClasses(("logits",), entropy_oracle, entropy_absolute_bound)

value = usual_laws.value(
    _VALUE,
    "entropy(X) equals -sum_i p_i ln p_i with p = softmax(x), row by row.",
    source=SOURCE,
    bound="sum p (d + |ln p| (e^d - 1 + 3 u)) + ((k - 1) u_a + u) H, where d is the error of ln p in the log-softmax",
    cause="an offset that is not subtracted, an epsilon in the logarithm, or a base other than e: subtract the row "
    "maximum first, and use the natural logarithm",
    non_finite=f"{IMPOSSIBLE}; or {sums.OVERFLOW}",
)

digits_not_lost = usual_laws.value(
    _ACCURATE_VALUE,
    "entropy(X) keeps its digits, even if one class dominates the row.",
    name="digits_not_lost",
    source=SOURCE,
    bound="u (M + G^2 + 9 G + 3 R/S + 2 ln S + H) + (k - 1) u_a (2 G + R/S), M = sum p g^2; plus subnormals",
    cause=DOMINATED,
    non_finite=f"{IMPOSSIBLE}; or {sums.OVERFLOW}",
    lost_digits=usual_laws.ABSORBED,
)


@law(
    "entropy(X) is zero only where the exact entropy underflows.",
    source="H >= p ln(1/p) > 0 for any class with 0 < p < 1",
    cause="the small terms are lost in larger ones that cancel, as in logsumexp(x) - sum p x: add terms of the "
    "same sign",
    group="value",
    lost_digits=usual_laws.ABSORBED,
)
def entropy_not_lost(entropy: Subject, logits: Tensor) -> Measurement:
    """Measure ``inf`` where the entropy is lost; exponentials that underflow are lost together with their gaps."""
    underflow = subnormals(logits, entropy.format)
    return usual_laws.measure_not_lost(entropy(logits), entropy_oracle(logits), entropy.format, underflow)


not_negative = usual_laws.one_sided(
    _VALUE,
    "not_negative",
    "entropy(X) is never negative.",
    nearest=usual_laws.not_below_zero,
    source="p <= 1",
    cause="a difference such as logsumexp(x) - sum p x cancels below zero: add terms of the same sign",
)


@law(
    "entropy(X) is at most ln k.",
    source="the uniform distribution has the largest entropy: Jensen's inequality",
    bound="the bound of -sum p ln p computed through the log-softmax",
    cause="a base other than e, or probabilities that do not sum to one: use the natural logarithm, and normalize",
)
def at_most_ln_k(entropy: Subject, logits: Tensor) -> Measurement:
    """Measure the excess of the entropy over ln k."""
    actual = to_array(entropy(logits))
    largest = dd.log(dd.lift(np.full(actual.shape, float(logits.shape[-1]))))
    reference = dd.select(actual <= largest.hi, actual, largest)
    absolute = log_softmax_form_bound(logits, entropy_oracle(logits), entropy.format)
    return within(actual, reference, absolute, entropy.format)


finite_on_extreme_logits = usual_laws.finite(
    _VALUE,
    "finite_on_extreme_logits",
    "entropy(X) is finite for all finite X.",
    source="0 <= H <= ln k",
    cause=f"{IMPOSSIBLE}; or {sums.OVERFLOW}",
)


shift_invariant = usual_laws.unchanged(
    _ACCURATE_VALUE,
    "shift_invariant",
    "Adding the same number to every logit of a row does not change its entropy.",
    other=lambda entropy, logits: entropy(sums.exact_shift(logits)),
    source="softmax(x + c) = softmax(x)",
    cause="logits - logsumexp(logits) rounds at the size of the offset: subtract the row maximum first",
    non_finite=sums.OVERFLOW,
)


@law(
    "The order of the classes does not change the entropy.",
    source="a sum does not depend on the order of its terms",
    bound="twice the bound of -sum p ln p through the log-softmax; other laws cover dominating classes and offsets",
    cause="a class is excluded by its position, like the reference class of a multinomial model: exclude one "
    "maximum instead",
)
def class_order_invariant(entropy: Subject, logits: Tensor) -> Measurement:
    """Reverse the classes of rows that are shifted exactly; other rows are compared with themselves."""
    shifted = sums.exact_shift(logits)
    reversed_ = torch.where(shifted.amax(-1, keepdim=True) == 0.0, shifted.flip(-1), shifted)
    expected, swapped = entropy_oracle(shifted), to_array(entropy(reversed_))
    reference = np.where(np.isfinite(swapped), swapped, expected.hi)
    absolute = 2.0 * log_softmax_form_bound(shifted, expected, entropy.format)
    return within(entropy(shifted), reference, absolute, entropy.format)


gradient = usual_laws.gradient(
    _OfSomeClasses(("logits", "cotangent"), entropy_pullback, gradient_bound),
    "The gradient of entropy(X) . v is -v p_i (ln p_i + H), which equals v p_i (g_i - G).",
    source="d(-sum p ln p)/dx; the bound of the value, carried through it",
    bound="|v| p_i (A_i (2 + g_i + G + ln S) + 2 u M), A_i = 2 (e^T - 1) + (k + 8) u; the maximum gets the sum "
    "over all entries",
    cause="the normalizer or the probabilities are detached, or a clamp stops the gradient: keep them in the "
    "autograd graph, without a clamp",
    non_finite="0 * inf in the backward pass of a logarithm of zero: choose the safe argument *before* the logarithm",
)

impossible_classes_are_ignored = value.derive_special(
    _masked,
    "impossible_classes_are_ignored",
    "A class with a logit of -inf adds nothing to the entropy.",
)


gradient_of_masked_rows = logit_rows.of_masked_rows(gradient, _masked)


# Special values


fully_masked_row = logit_rows.fully_masked_law(
    _VALUE,
    "A row of only -inf gives the declared result: NaN or zero.",
    lambda _: {"nan": np.nan, "zero": 0.0},
    bound="no tolerance",
    cause="`fully_masked` is a convention (nan or zero): declare the one you intend",
)

infinite_logit = logit_rows.infinite_logit_law(
    _VALUE,
    "A row with one logit of +inf gives the declared result: NaN, or the limit, which is zero.",
    lambda _: {"nan": np.nan, "limit": 0.0},
)


# Contract

ENTROPY = Contract(
    "entropy",
    signature="(logits[n,k]) -> [n]",
    summary="-sum p ln p of softmax(logits), in nats, row by row",
    domain=logit_rows.DOMAIN,
    inputs=_inputs,
    laws=(
        *usual_laws.defined_in(globals()),
        *logit_rows.of_every_operation(value, gradient),
    ),
    axes=logit_rows.REDUCED_AXES,
    output=("n",),
    conventions={"fully_masked": ("nan", "zero"), "infinite_logit": ("nan", "limit")},
)
