r"""Logsumexp over the last axis.

The bound is that of the shifted algorithm, :math:`|\hat y - y| \le u |y| + E`, where :math:`E` is the error of
:math:`\ln S`: it is derived in :mod:`harness.contracts.building_blocks.log_domain`, where the exact value is, too.

The gradient is the softmax. Autograd carries :math:`1 / S` and the exponentials through two products, so an entry errs
by the softmax's bound and :math:`2u`; the maximum also takes up the sum of all entries' errors.
"""

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.contracts.building_blocks.log_domain import (
    at_the_limits,
    compare_near,
    dominated,
    logsumexp_absolute_bound,
    logsumexp_oracle,
    normalised,
)
from harness.contracts.building_blocks.logits import (
    DOMAIN,
    LONG_ROWS,
    all_masked,
    every_third_row,
    extreme_logits,
    largest_logit,
    largest_weight,
    logarithms,
    long_logits,
    one_infinite,
)
from harness.contracts.building_blocks.softmax_function import (
    BHH,
    OVERFLOW,
    exact_shift,
    softmax_oracle,
    softmax_relative_bound,
)
from harness.contracts.building_blocks.usual_laws import finite
from harness.floats import (
    Array,
    Format,
    Measurement,
    compare,
    compare_absolute,
    in_ulp,
    to_array,
)
from harness.floats import double_double as dd
from harness.laws import Axes, Contract, Example, Subject, implementation_laws, law, on_long_rows
from harness.laws.strategies import SEEDS, STRUCTURES, batches, companions, masked

# Bounds


def _gradient_bound(x: Array, cotangent: Array, probability: Array, format_: Format) -> Array:
    """Absolute error of the gradient: ``|v| p_i (e^T - 1 + 2u)``, and at the maximum the sum of these."""
    weight = np.abs(cotangent)[..., None]
    with np.errstate(invalid="ignore"):
        relative = np.nan_to_num(probability * (softmax_relative_bound(x, format_) + 2.0 * format_.u), nan=0.0)
    absolute = weight * relative + 2.0 * format_.smallest * (1.0 + weight)
    # v - sum(v p) + v p: the sum is added in the accumulator, stored, and added to twice.
    summing = weight * (5.0 * format_.u + (x.shape[-1] - 1) * format_.u_accumulator)
    at_maximum = x == x.max(-1, keepdims=True)
    return np.asarray(absolute + np.where(at_maximum, absolute.sum(-1, keepdims=True) + summing, 0.0))


# Inputs


def logits_and_weights(format_: Format) -> st.SearchStrategy[Example]:
    """Structured logits ``[n, k]``, and weights ``[n]`` of the outputs for the gradient's law."""

    def expand(logits: Tensor, seed: int) -> Example:
        return {"logits": logits, "cotangent": companions(logits[:, 0], np.random.default_rng(seed))}

    structures = (*STRUCTURES, normalised, dominated, at_the_limits)
    return st.builds(expand, batches(format_, largest=largest_logit(format_), structures=structures), SEEDS)


def _masked(format_: Format) -> st.SearchStrategy[Example]:
    def expand(example: Example, seed: int) -> Example:
        return {**example, "logits": masked(example["logits"], np.random.default_rng(seed))}

    return st.builds(expand, logits_and_weights(format_), SEEDS)


# Laws


@law(
    "logsumexp(X) equals ln sum_j exp(x_j), row by row.",
    source=BHH,
    bound="u |y| + 2 u ln S + D + 3 u + (k - 1) u_a, with D = ln sum p_j exp(u g_j)",
    cause="something is added to the sum or to its logarithm, or the exponent is clipped",
    non_finite=f"{OVERFLOW}; or all exponentials underflow, and ln 0 = -inf",
    group="value",
)
def value(logsumexp: Subject, logits: Tensor) -> Measurement:
    """Compare with the oracle."""
    expected = logsumexp_oracle(logits)
    absolute = logsumexp_absolute_bound(to_array(logits), expected.hi, logsumexp.format)
    return compare(logsumexp(logits), expected, in_ulp(absolute, expected, logsumexp.format), logsumexp.format)


@law(
    "logsumexp(X) is finite wherever X is.",
    source="max x <= y <= max x + ln k",
    bound="none",
    cause=f"{OVERFLOW}; or all exponentials underflow, and ln 0 = -inf",
    group="finite",
)
def finite_on_extreme_logits(logsumexp: Subject, logits: Tensor) -> Measurement:
    """Any finite value passes."""
    return finite(logsumexp(logits), logsumexp_oracle(logits), logsumexp.format)


@law(
    "logsumexp(X) is at least the largest logit.",
    source="the sum is at least its largest term, and rounding is monotone",
    bound="none",
    cause="the shift is larger than the maximum, or a mean of exponentials is taken for their sum",
    non_finite=OVERFLOW,
    group="algebra",
)
def at_least_the_maximum(logsumexp: Subject, logits: Tensor) -> Measurement:
    """Measure how far below the maximum it is."""
    actual, maximum = to_array(logsumexp(logits)), to_array(logits).max(-1)
    expected = np.where(np.isnan(actual), maximum, np.fmax(actual, maximum))
    return compare(actual, expected, 0.0, logsumexp.format)


@law(
    "Where the largest logit is zero, logsumexp(X) is zero only if the exact value rounds to zero.",
    source="ln(1 + r) >= r / 2 > 0 for 0 < r <= 1",
    bound="none",
    cause="1 + exp(-gap) rounds to one from a gap of p ln 2 (16.6 in float32): use log1p of the other terms' sum",
    group="value",
)
def excess_not_lost(logsumexp: Subject, logits: Tensor) -> Measurement:
    """Measure ``inf`` where it is exactly zero and the truth is a normal number; elsewhere terms may cancel."""
    expected = logsumexp_oracle(logits)
    actual = to_array(logsumexp(logits))
    lost = (actual == 0.0) & (to_array(logits).max(-1) == 0.0) & (expected.hi >= logsumexp.format.tiny)
    return Measurement(np.where(lost, np.inf, 0.0), np.zeros(actual.shape), actual, expected.hi)


@law(
    "logsumexp of a row is the logaddexp of the logsumexps of its two halves.",
    source="exp(x_1) + ... + exp(x_k) splits; ln(exp(a) + exp(b)) moves by no more than a and b do",
    bound="the row's value bound, and the larger of the two halves'",
    unit="ulp of 1",
    cause="the result depends on how many terms there are: a mean for a sum, or a term left out or counted twice",
    non_finite=OVERFLOW,
    group="algebra",
)
def splits_into_halves(logsumexp: Subject, logits: Tensor) -> Measurement:
    """Add the halves' outputs without rounding."""
    x, format_ = to_array(logits), logsumexp.format
    middle = max(x.shape[-1] // 2, 1)
    halves = [half for half in (logits[:, :middle], logits[:, middle:]) if half.shape[-1]]
    parts = torch.stack([logsumexp(half) for half in halves], -1)
    expected = logsumexp_oracle(parts)
    errors = [logsumexp_absolute_bound(to_array(half), logsumexp_oracle(half).hi, format_) for half in halves]
    absolute = logsumexp_absolute_bound(x, logsumexp_oracle(logits).hi, format_) + np.maximum.reduce(errors)
    return compare_near(logsumexp(logits), expected, absolute, format_)


@law(
    "Adding the same number to every logit of a row adds it to its logsumexp.",
    source="exp(x + c) = exp(x) exp(c)",
    bound="the value's bounds at both inputs",
    unit="ulp of 1",
    cause="a constant is added inside the logarithm, or the exponent is clipped: subtract the row maximum",
    non_finite=OVERFLOW,
    group="algebra",
)
def shift_equivariant(logsumexp: Subject, logits: Tensor) -> Measurement:
    """Shift by the row's maximum where that is exact in the format; other rows are compared with themselves."""
    format_ = logsumexp.format
    shifted = exact_shift(logits)
    x, moved = to_array(logits), to_array(shifted)
    expected = dd.two_sum(to_array(logsumexp(shifted)), x.max(-1) - moved.max(-1))
    absolute = logsumexp_absolute_bound(x, logsumexp_oracle(logits).hi, format_)
    absolute = absolute + logsumexp_absolute_bound(moved, logsumexp_oracle(shifted).hi, format_)
    return compare_near(logsumexp(logits), expected, absolute, format_)


@law(
    "The order of a row's logits does not change its logsumexp.",
    source="a sum has no order",
    bound="twice the value's bound",
    unit="ulp of 1",
    cause="the columns are not treated alike: one is dropped, weighted, or taken for the maximum",
    non_finite=OVERFLOW,
    group="algebra",
)
def columns_in_any_order(logsumexp: Subject, logits: Tensor) -> Measurement:
    """Reverse the columns."""
    exact, reversed_ = logsumexp_oracle(logits).hi, to_array(logsumexp(logits.flip(-1)))
    reference = np.where(np.isnan(reversed_), exact, reversed_)
    absolute = 2.0 * logsumexp_absolute_bound(to_array(logits), exact, logsumexp.format)
    return compare_absolute(logsumexp(logits), reference, absolute, logsumexp.format)


@law(
    "The gradient of logsumexp(X) . v is v times softmax(X).",
    source="chain rule; the bound is the softmax's carried through it",
    bound="|v| p_i (e^T - 1 + 2 u) and, at the maximum, the sum of these and of |v| (5 u + (k - 1) u_a)",
    cause="exp(x - y) in the backward pass loses the digits of y below |y| u: at large offsets it does not sum to one",
    non_finite="infinity minus infinity, or infinity over infinity, in the backward pass: subtract the row maximum",
    group="gradient",
)
def gradient(logsumexp: Subject, logits: Tensor, cotangent: Tensor) -> Measurement:
    """Compare the gradient by autograd, in the case's own dtype, with the analytic one."""
    v, p = to_array(cotangent), softmax_oracle(logits)
    expected = p * v[..., None]
    bound = in_ulp(_gradient_bound(to_array(logits), v, p.hi, logsumexp.format), expected, logsumexp.format)
    return compare(logsumexp.gradient((logits,), cotangent), expected, bound, logsumexp.format)


# Special values


@law(
    "The logsumexp of one number is that number.",
    source="ln exp(x) = x",
    bound="none",
    cause="an epsilon is added to the sum, or the exponential and the logarithm are taken where nothing need be",
    group="special",
)
def one_column(logsumexp: Subject, logits: Tensor) -> Measurement:
    """Keep the first column only."""
    return compare(logsumexp(logits[:, :1]), to_array(logits)[:, 0], 0.0, logsumexp.format)


@law(
    "A row of nothing but -inf has the logsumexp -inf.",
    source="ln 0 = -inf",
    bound="none",
    cause="-inf minus a maximum of -inf is NaN: shift by a finite number there",
    group="special",
    inputs=every_third_row(all_masked),
)
def fully_masked_row(logsumexp: Subject, logits: Tensor) -> Measurement:
    """Look at those rows; the others are the business of other laws."""
    actual = to_array(logsumexp(logits))
    masked_rows = np.isneginf(to_array(logits)).all(-1)
    return compare(actual, np.where(masked_rows, -np.inf, actual), 0.0, logsumexp.format)


@law(
    "A row with a logit of +inf has the logsumexp +inf.",
    source="the sum is at least its largest term",
    bound="none",
    cause="+inf minus a maximum of +inf is NaN: shift by a finite number there",
    group="special",
    inputs=every_third_row(one_infinite),
)
def infinite_logit(logsumexp: Subject, logits: Tensor) -> Measurement:
    """Look at those rows; the others are the business of other laws."""
    actual = to_array(logsumexp(logits))
    infinite_rows = np.isposinf(to_array(logits)).any(-1)
    return compare(actual, np.where(infinite_rows, np.inf, actual), 0.0, logsumexp.format)


def _total(logsumexp: Subject, terms: Array) -> tuple[float, float]:
    """Its logarithm is the output."""
    logits, exact = logarithms(terms, logsumexp.format)
    return float(np.exp(float(logsumexp(logits)[0]))), exact


# Contract

LOGSUMEXP = Contract(
    "logsumexp",
    signature="(logits[n,k]) -> [n]",
    summary="ln sum_j exp(x_j) along the last axis",
    domain=DOMAIN,
    inputs=logits_and_weights,
    laws=(
        value,
        finite_on_extreme_logits,
        at_least_the_maximum,
        excess_not_lost,
        splits_into_halves,
        shift_equivariant,
        columns_in_any_order,
        gradient,
        one_column,
        value.on(
            _masked,
            "masked_entries_ignored",
            "A logit of -inf adds nothing: the logsumexp is that of the others.",
            cause="0 * -inf is NaN, or a large negative constant stands for -inf",
            group="special",
        ),
        gradient.on(
            _masked,
            "gradient_of_masked_rows",
            "Where some logits are -inf, their gradient is zero and that of the others as without them.",
        ),
        fully_masked_row,
        infinite_logit,
        value.on(
            extreme_logits,
            "value_on_extreme_numbers",
            "The value is right for the largest and the smallest finite numbers too, and for both zeros.",
            group="special",
        ),
        on_long_rows(value, long_logits, cause=LONG_ROWS),
        *implementation_laws(value),
    ),
    axes={"logits": Axes(("n", "k"), largest=largest_logit), "cotangent": Axes(("n",), largest=largest_weight)},
    output=("n",),
    total=_total,
)
