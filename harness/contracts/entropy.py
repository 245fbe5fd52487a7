r"""Shannon entropy, in nats, of the distribution that a row of logits stands for.

With :math:`g_i = \max_j x_j - x_i`, :math:`R` the sum of :math:`e^{-g_i}` over all classes but one maximum,
:math:`S = 1 + R`, :math:`p_i = e^{-g_i} / S` and :math:`G = \sum_i p_i g_i`,

.. math:: H = \ln(1 + R) + G,

two terms that are not negative. So the entropy is known to a small *relative* error however sure a row is of its class;
:math:`-\sum p \ln p` has no such accuracy, since :math:`\ln p` of the dominating class is itself a small difference.
The gradient is :math:`-p_i (\ln p_i + H) = p_i (g_i - G)`.

The bound is derived in :mod:`harness.contracts.building_blocks.entropy_bound`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from flint import arb
from hypothesis import strategies as st
from torch import Tensor

from harness.contracts.building_blocks.entropy_bound import (
    entropy_absolute_bound,
    gradient_bound,
    log_softmax_form_bound,
    subnormals,
)
from harness.contracts.building_blocks.logits import (
    DOMAIN,
    LONG_ROWS,
    all_masked,
    compare_policy,
    every_third_row,
    extreme_logits,
    largest_logit,
    largest_weight,
    long_logits,
    one_infinite,
)
from harness.contracts.building_blocks.softmax_function import OVERFLOW, exact_shift, gaps, softmax_exact, sum_of_others
from harness.contracts.building_blocks.usual_laws import finite
from harness.floats import Array, DoubleDouble, Format, Measurement, Oracle, compare, in_ulp, to_array
from harness.floats import double_double as dd
from harness.floats.oracle import exp, log
from harness.laws import Axes, Contract, Example, Subject, implementation_laws, law, on_long_rows
from harness.laws.strategies import SEEDS, STRUCTURES, Shape, batches, companions, masked

SOURCE = "Shannon's definition; the bound is derived in the module"

# Oracle


def _halves(elementary: dd.Elementary, x: Array) -> tuple[DoubleDouble, DoubleDouble]:
    """``exp(-g / 2)``, whose square only underflows as a last step, and ``g`` where that is not zero."""
    gap = gaps(x)
    half = elementary.exp(gap * 0.5)
    seen = half.hi > 0.0
    return half, DoubleDouble(np.where(seen, -gap.hi, 0.0), np.where(seen, -gap.lo, 0.0))


def _entropy_screen(elementary: dd.Elementary, x: Array) -> DoubleDouble:
    half, g = _halves(elementary, x)
    others = sum_of_others(elementary, half * half, x)
    mean = dd.total(half * g * half, keepdims=True) / (others + 1.0)
    return (elementary.log1p(others) + mean)[..., 0]


def _finite_gaps(x: Any) -> Any:
    """``g``, with zero where a class is impossible: ``0 ln 0 = 0``."""
    gap = x.max(-1, keepdims=True) - x
    gap[~np.frompyfunc(lambda ball: ball.is_finite(), 1, 1)(gap).astype(bool)] = arb(0)
    return gap


def _entropy_exact(x: Any) -> Any:
    exponentials = exp(x - x.max(-1, keepdims=True))
    total = exponentials.sum(-1)
    return log(total) + (exponentials * _finite_gaps(x)).sum(-1) / total


def _pullback_screen(elementary: dd.Elementary, x: Array, cotangent: Array) -> DoubleDouble:
    """``v p_i (g_i - G)``."""
    half, g = _halves(elementary, x)
    total = sum_of_others(elementary, half * half, x) + 1.0
    mean = dd.total(half * g * half, keepdims=True) / total
    return half * ((g - mean) / total * cotangent[..., None]) * half


def _pullback_exact(x: Any, cotangent: Any) -> Any:
    p, g = softmax_exact(x), _finite_gaps(x)
    return p * (g - (p * g).sum(-1, keepdims=True)) * cotangent[..., None]


entropy_oracle = Oracle(_entropy_screen, _entropy_exact)
entropy_pullback = Oracle(_pullback_screen, _pullback_exact)


# Inputs


def near_certain(rng: np.random.Generator, shape: Shape, magnitude: Array, format_: Format) -> Array:
    """One class ahead of the others by up to where their probabilities underflow; the others near one another."""
    ahead = -format_.log_smallest * rng.random((shape.rows, 1)) * 1.1
    rows = rng.standard_normal(shape) * np.minimum(magnitude, 1.0) - ahead
    rows[np.arange(shape.rows), rng.integers(shape.columns, size=shape.rows)] = 0.0
    return np.asarray(rows)


def _logits_and_weights(format_: Format) -> st.SearchStrategy[Example]:
    """Structured logits ``[n, k]``, and one weight a row for the gradient's law."""

    def expand(logits: Tensor, seed: int) -> Example:
        return {"logits": logits, "cotangent": companions(logits[:, 0], np.random.default_rng(seed))}

    logits = batches(format_, largest=largest_logit(format_), structures=(*STRUCTURES, near_certain))
    return st.builds(expand, logits, SEEDS)


def _masked_logits(format_: Format) -> st.SearchStrategy[Example]:
    """The same with some logits of -inf; at least one of each row is finite."""

    def expand(example: Example, seed: int) -> Example:
        return {**example, "logits": masked(example["logits"], np.random.default_rng(seed))}

    return st.builds(expand, _logits_and_weights(format_), SEEDS)


# Laws

DOMINATED = (
    "ln p of the dominating class is rounded before it is multiplied, and that rounding is not small beside the "
    "entropy: add ln(1 + R) by log1p and the mean gap, which have one sign"
)
IMPOSSIBLE = "0 * -inf = NaN where a probability is zero: leave the class out, by torch.where on the *logarithm*"


@law(
    "entropy(X) equals -sum_i p_i ln p_i with p = softmax(x), row by row.",
    source=SOURCE,
    bound="u (M + G^2 + 9 G + 3 R/S + 2 ln S + H) + (k - 1) u_a (2 G + R/S), M = sum p g^2; and subnormals",
    cause=f"an offset that is not subtracted first, an epsilon in the logarithm, another base; or {DOMINATED}",
    non_finite=f"{IMPOSSIBLE}; or {OVERFLOW}",
    group="value",
)
def value(entropy: Subject, logits: Tensor) -> Measurement:
    """Compare with the oracle."""
    expected = entropy_oracle(logits)
    absolute = entropy_absolute_bound(logits, expected, entropy.format)
    return _compare(entropy(logits), expected, absolute, logits, entropy.format)


def _compare(actual: Tensor, expected: DoubleDouble, absolute: Array, logits: Tensor, format_: Format) -> Measurement:
    """Compare; rows of nothing but -inf are the business of their own law, and pass here."""
    values = to_array(actual)
    nothing = np.isneginf(to_array(logits)).all(-1).reshape((-1,) + (1,) * (values.ndim - 1))
    reference = DoubleDouble(np.where(nothing, values, expected.hi), np.where(nothing, 0.0, expected.lo))
    return compare(values, reference, np.where(nothing, 0.0, in_ulp(absolute, expected, format_)), format_)


@law(
    "entropy(X) is not negative.",
    source="p <= 1",
    bound="none",
    cause="a difference such as logsumexp(x) - sum p x cancels below zero: add terms of one sign",
    group="algebra",
)
def not_negative(entropy: Subject, logits: Tensor) -> Measurement:
    """Measure how far below zero the entropy is."""
    actual = to_array(entropy(logits))
    return compare(actual, np.where(np.isnan(actual), 0.0, np.maximum(actual, 0.0)), 0.0, entropy.format)


@law(
    "entropy(X) is at most ln k.",
    source="the uniform distribution has the largest entropy: Jensen's inequality",
    bound="the bound of -sum p ln p by way of the log-softmax",
    cause="another base than e, or probabilities that do not sum to one",
    group="algebra",
)
def at_most_ln_k(entropy: Subject, logits: Tensor) -> Measurement:
    """Measure how far above ln k the entropy is."""
    actual = to_array(entropy(logits))
    largest = dd.log(dd.lift(np.full(actual.shape, float(logits.shape[-1]))))
    above = ~(actual <= largest.hi)
    reference = DoubleDouble(np.where(above, largest.hi, actual), np.where(above, largest.lo, 0.0))
    absolute = log_softmax_form_bound(logits, entropy_oracle(logits), entropy.format)
    return compare(actual, reference, in_ulp(absolute, reference, entropy.format), entropy.format)


@law(
    "entropy(X) is zero only where the exact entropy underflows.",
    source="H >= p ln(1/p) > 0 for any class with 0 < p < 1",
    bound="none",
    cause="the small terms are lost in larger ones that cancel, as in logsumexp(x) - sum p x: add terms of one sign",
    group="value",
)
def entropy_not_lost(entropy: Subject, logits: Tensor) -> Measurement:
    """Measure ``inf`` where the entropy is exactly zero and the truth is a normal number."""
    expected = entropy_oracle(logits)
    actual = to_array(entropy(logits))
    # Exponentials that underflow are lost together with their gaps.
    underflow = subnormals(logits, entropy.format)
    lost = (actual == 0.0) & (expected.hi >= entropy.format.tiny + underflow)
    return Measurement(np.where(lost, np.inf, 0.0), np.zeros(actual.shape), actual, expected.hi)


@law(
    "entropy(X) is finite wherever X is.",
    source="0 <= H <= ln k",
    bound="none",
    cause=f"{IMPOSSIBLE}; or {OVERFLOW}",
    group="finite",
)
def finite_on_extreme_logits(entropy: Subject, logits: Tensor) -> Measurement:
    """Any finite value passes."""
    return finite(entropy(logits), entropy_oracle(logits), entropy.format)


@law(
    "Adding the same number to every logit of a row does not change its entropy.",
    source="softmax(x + c) = softmax(x)",
    bound="the value's bound, twice",
    cause="logits - logsumexp(logits) rounds at the size of the offset: subtract the row maximum first",
    non_finite=OVERFLOW,
    group="algebra",
)
def shift_invariant(entropy: Subject, logits: Tensor) -> Measurement:
    """Shift by the row's maximum where that is exact in the format; other rows are compared with themselves."""
    return _agree(entropy, logits, exact_shift(logits))


@law(
    "The order of the classes does not change the entropy.",
    source="a sum does not depend on the order of its terms",
    bound="the bound of -sum p ln p by way of the log-softmax, twice: certainty and offsets have laws of their own",
    cause="a class is left out by its place, as the reference class of a multinomial model is: leave out one maximum",
    group="algebra",
)
def class_order_invariant(entropy: Subject, logits: Tensor) -> Measurement:
    """Reverse the classes of rows that are shifted exactly; other rows are compared with themselves."""
    shifted = exact_shift(logits)
    reversed_ = torch.where(shifted.amax(-1, keepdim=True) == 0.0, shifted.flip(-1), shifted)
    return _agree(entropy, shifted, reversed_, log_softmax_form_bound)


def _agree(
    entropy: Subject, logits: Tensor, other: Tensor, bound: Callable[..., Array] = entropy_absolute_bound
) -> Measurement:
    """Compare with the output at other logits of the same entropy; where that is not finite, with the truth."""
    expected = entropy_oracle(logits)
    again = to_array(entropy(other))
    reference = dd.lift(np.where(np.isfinite(again), again, expected.hi))
    absolute = 2.0 * bound(logits, expected, entropy.format)
    return compare(entropy(logits), reference, in_ulp(absolute, reference, entropy.format), entropy.format)


@law(
    "The gradient of entropy(X) . v is -v p_i (ln p_i + H), which is v p_i (g_i - G).",
    source="d(-sum p ln p)/dx; the bound is the value's carried through it",
    bound="|v| p_i (A_i (2 + g_i + G + ln S) + 2 u M), A_i = 2 (e^T - 1) + (k + 8) u; the maximum gets the sum of all",
    cause="the normaliser or the probabilities are constants to autograd, or a clamp stops the gradient",
    non_finite="0 * inf in the backward pass of a logarithm of zero: choose the safe argument *before* the logarithm",
    group="gradient",
)
def gradient(entropy: Subject, logits: Tensor, cotangent: Tensor) -> Measurement:
    """Compare the gradient by autograd, in the case's own dtype, with the analytic one."""
    format_ = entropy.format
    expected = entropy_pullback(logits, cotangent)
    absolute = gradient_bound(logits, cotangent, format_)
    return _compare(entropy.gradient((logits,), cotangent), expected, absolute, logits, format_)


# Special values


@law(
    "A row of nothing but -inf gives what the case declares: NaN or zero.",
    source="0 / 0 is left open: the convention `fully_masked`",
    bound="none",
    cause="the convention `fully_masked` is nan or zero: declare the one that is meant",
    group="special",
    inputs=every_third_row(all_masked),
)
def fully_masked_row(entropy: Subject, logits: Tensor) -> Measurement:
    """Compare the masked rows with the policy."""
    rows = np.isneginf(to_array(logits)).all(-1)
    return compare_policy(entropy, entropy(logits), rows, {"nan": np.nan, "zero": 0.0}, "fully_masked")


@law(
    "A row with one logit of +inf gives what the case declares: NaN, or the limit, which is zero.",
    source="inf - inf is left open, its limit is not: the convention `infinite_logit`",
    bound="none",
    cause="the convention `infinite_logit` is nan or limit: declare the one that is meant",
    group="special",
    inputs=every_third_row(one_infinite),
)
def infinite_logit(entropy: Subject, logits: Tensor) -> Measurement:
    """Compare the rows that have one with the policy."""
    rows = np.isposinf(to_array(logits)).any(-1)
    return compare_policy(entropy, entropy(logits), rows, {"nan": np.nan, "limit": 0.0}, "infinite_logit")


# Contract

ENTROPY = Contract(
    "entropy",
    signature="(logits[n,k]) -> [n]",
    summary="-sum p ln p of softmax(logits), in nats, row by row",
    domain=DOMAIN,
    inputs=_logits_and_weights,
    laws=(
        value,
        entropy_not_lost,
        not_negative,
        at_most_ln_k,
        finite_on_extreme_logits,
        shift_invariant,
        class_order_invariant,
        gradient,
        value.on(
            _masked_logits,
            "impossible_classes_are_ignored",
            "A class with a logit of -inf adds nothing to the entropy.",
            group="special",
        ),
        gradient.on(
            _masked_logits,
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
    conventions={"fully_masked": ("nan", "zero"), "infinite_logit": ("nan", "limit")},
)
