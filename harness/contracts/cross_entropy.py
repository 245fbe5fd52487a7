r"""Cross-entropy of logits, and the chapter's negative log-likelihood of probabilities.

The loss of a row is :math:`\ln S + g_t` in the notation of :mod:`harness.contracts.softmax`: a sum of two non-negative
terms, so that a form built on ``log1p`` of the other classes' sum is accurate to a few ulp everywhere. The bound here
is that of the usual form, ``-log_softmax(x)[t]``, which is absolute; what it loses near zero is a law of its own.
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from torch import Tensor

from harness import double_double as dd
from harness.contracts.log_softmax import log_softmax_absolute_bound, log_softmax_exact, log_softmax_screen
from harness.contracts.logits import largest_logit
from harness.contracts.nll_of_probabilities import pick
from harness.contracts.softmax import (
    BHH,
    OVERFLOW,
    backward_amplified,
    finite,
    softmax_exact,
    softmax_oracle,
    sum_of_others,
)
from harness.double_double import Array, DoubleDouble
from harness.law import Axes, Contract, Example, law
from harness.measurement import Measurement, compare, compare_absolute, in_ulp
from harness.oracle import Oracle, to_arb
from harness.precision import Format, to_array
from harness.strategies import SEEDS, batches, labels_for
from harness.subject import Subject

# Oracle


def _row_loss_screen(elementary: dd.Elementary, x: Array, labels: Any) -> DoubleDouble:
    y = log_softmax_screen(elementary, x)
    return -DoubleDouble(pick(y.hi, labels), pick(y.lo, labels))


def _loss_screen(elementary: dd.Elementary, x: Array, labels: Any, reduction: str) -> DoubleDouble:
    rows = _row_loss_screen(elementary, x, labels)
    if reduction == "none":
        return rows
    summed = dd.total(rows)
    return summed / float(x.shape[-2]) if reduction == "mean" else summed


def _loss_exact(x: Any, labels: Any, reduction: str) -> Any:
    rows = -pick(log_softmax_exact(x), labels)
    if reduction == "none":
        return rows
    return rows.sum(-1) / x.shape[-2] if reduction == "mean" else rows.sum(-1)


def _gradient_screen(elementary: dd.Elementary, x: Array, labels: Any, reduction: str) -> DoubleDouble:
    """``p_j`` off the target and minus the sum of the others on it, which ``p_t - 1`` would cancel away."""
    gap = dd.two_sum(x, -x.max(-1, keepdims=True))
    exponentials = elementary.exp(gap)
    p = elementary.quotient(exponentials, sum_of_others(elementary, exponentials, x) + 1.0)
    at_target = np.zeros(x.shape, dtype=bool)
    np.put_along_axis(at_target, labels[..., None], values=True, axis=-1)
    others = DoubleDouble(np.where(at_target, 0.0, p.hi), np.where(at_target, 0.0, p.lo))
    missing = -dd.total(others, keepdims=True)
    hi = np.where(at_target, np.broadcast_to(missing.hi, x.shape), p.hi)
    lo = np.where(at_target, np.broadcast_to(missing.lo, x.shape), p.lo)
    gradient = DoubleDouble(hi, lo)
    return gradient / float(x.shape[-2]) if reduction == "mean" else gradient


def _gradient_exact(x: Any, labels: Any, reduction: str) -> Any:
    one_hot = np.arange(x.shape[-1]) == labels[..., None]
    gradient = softmax_exact(x) - to_arb(one_hot.astype(np.float64))
    return gradient / x.shape[-2] if reduction == "mean" else gradient


loss_oracle = Oracle(_loss_screen, _loss_exact)
gradient_oracle = Oracle(_gradient_screen, _gradient_exact)


# Bounds


def _loss_bound(loss: Subject, logits: Tensor, labels: Tensor) -> Array:
    """Absolute error of the loss: the rows' errors, reduced, and the reduction's own."""
    format_ = loss.format
    rows = loss_oracle(logits, labels, "none").hi
    every = log_softmax_absolute_bound(logits, _broadcast_loss(rows, logits), format_)
    row_bound = pick(every, labels.numpy())
    reduction = loss.declares["reduction"]
    if reduction == "none":
        return np.asarray(row_bound)
    n = logits.shape[-2]
    summing = ((n - 1) * format_.u_accumulator + 2.0 * format_.u) * rows.sum(-1)
    total = row_bound.sum(-1) * (1.0 + 4.0 * format_.u) + summing
    return np.asarray(total / n if reduction == "mean" else total) + format_.smallest


def _broadcast_loss(rows: Array, logits: Tensor) -> Array:
    return np.broadcast_to(rows[..., None], tuple(logits.shape))


# Laws


@law(
    "cross_entropy(X, t) equals the mean over the rows of ln sum_j exp(x_j) - x_t.",
    source=BHH,
    bound="mean of u (|y| + g_t + G + 3 + 2 ln S) and the sums' errors",
    cause="a clamp on the probability stops the loss, an epsilon bends it, a second softmax spoils it",
    non_finite="the label's probability underflows to zero, whose logarithm is -inf, or exp overflows: use log_softmax",
    group="value",
)
def value(loss: Subject, logits: Tensor, labels: Tensor) -> Measurement:
    """Compare with the oracle, in the reduction the case declares."""
    expected = loss_oracle(logits, labels, loss.declares["reduction"])
    return compare(
        loss(logits, labels), expected, in_ulp(_loss_bound(loss, logits, labels), expected, loss.format), loss.format
    )


@law(
    "cross_entropy(X, t) is finite wherever X is.",
    source="0 <= loss <= 2 max|x| + ln k",
    bound="none",
    cause=f"{OVERFLOW}; or the target's probability underflows to zero, whose logarithm is -inf",
    group="finite",
)
def finite_on_extreme_logits(loss: Subject, logits: Tensor, labels: Tensor) -> Measurement:
    """Any finite value passes."""
    return finite(loss(logits, labels), loss_oracle(logits, labels, loss.declares["reduction"]), loss.format)


@law(
    "cross_entropy(X, t) is not negative.",
    source="p <= 1",
    bound="the value's bound",
    unit="ulp of 1",
    cause="the logarithm of the sum is smaller than its largest term, or an epsilon is added to the probability",
    group="algebra",
)
def not_negative(loss: Subject, logits: Tensor, labels: Tensor) -> Measurement:
    """Measure how far below zero the loss is, against the value's bound."""
    actual = to_array(loss(logits, labels))
    reference = np.where(np.isnan(actual), 0.0, np.maximum(actual, 0.0))
    return compare_absolute(actual, reference, _loss_bound(loss, logits, labels), loss.format)


@law(
    "cross_entropy(X, t) is zero only where the exact loss rounds to zero.",
    source="loss >= ln(1 + exp(-gap)) > 0",
    bound="none",
    cause="1 + exp(-gap) rounds to one from a gap of p ln 2 (16.6 in float32): use log1p of the other classes' sum",
    group="value",
)
def loss_not_lost(loss: Subject, logits: Tensor, labels: Tensor) -> Measurement:
    """Measure ``inf`` where the loss is exactly zero and the truth is a normal number."""
    expected = loss_oracle(logits, labels, loss.declares["reduction"])
    actual = to_array(loss(logits, labels))
    lost = (actual == 0.0) & (expected.hi >= loss.format.tiny)
    return Measurement(np.where(lost, np.inf, 0.0), np.zeros(actual.shape), actual, expected.hi)


@law(
    "The gradient of cross_entropy is (softmax(X) - one_hot(t)) / n.",
    source="chain rule; the bound is the softmax's carried through it",
    bound="(A_i p_i + 6 u [i = t]) / n and, at the maximum, the sum of these; A_i = 2 (e^T - 1) + (k + 8) u",
    cause="a clamped probability has gradient zero where the truth is one",
    non_finite="an underflowed probability gives 0 * inf = NaN in the backward pass, although the value is finite",
    group="gradient",
)
def gradient(loss: Subject, logits: Tensor, labels: Tensor) -> Measurement:
    """Compare the gradient by autograd, in the case's own dtype, with the analytic one."""
    format_, reduction = loss.format, loss.declares["reduction"]
    expected = gradient_oracle(logits, labels, reduction)
    x = to_array(logits)
    at_target = np.arange(x.shape[-1]) == labels.numpy()[..., None]
    absolute = backward_amplified(softmax_oracle(logits).hi, x, format_) + 6.0 * format_.u * at_target
    at_maximum = x == x.max(-1, keepdims=True)
    absolute = absolute + np.where(at_maximum, absolute.sum(-1, keepdims=True), 0.0)
    if reduction == "mean":
        absolute = absolute / x.shape[-2]
    absolute = absolute + 4.0 * format_.smallest * x.shape[-1]
    return compare(loss.gradient((logits, labels)), expected, in_ulp(absolute, expected, format_), format_)


def _groups_of_logits(format_: Format) -> st.SearchStrategy[Example]:
    """Logits ``[g, n, k]`` and labels ``[g, n]``: many small batches, since an implementation reduces over one."""

    def expand(rows: Tensor, n: int, seed: int) -> Example:
        logits = rows[: len(rows) // n * n].reshape(-1, n, rows.shape[-1])
        return {"logits": logits, "labels": labels_for(logits, np.random.default_rng(seed))}

    rows = batches(format_, largest=largest_logit(format_), rows=(4, 192))
    return st.builds(expand, rows, st.sampled_from([1, 1, 2, 4]), SEEDS)


CROSS_ENTROPY = Contract(
    "cross_entropy",
    signature="(logits[n,k], labels[n]) -> []",
    summary="mean over the rows of ln sum_j exp(x_j) - x_t",
    domain="finite logits, |x| <= max / 16",
    inputs=_groups_of_logits,
    laws=(value, finite_on_extreme_logits, not_negative, loss_not_lost, gradient),
    axes={"logits": Axes(("g", "n", "k")), "labels": Axes(("g", "n"), index_of="k")},
    output=(),
    conventions={"reduction": ("mean", "sum", "none")},
    grouped=True,
)
