r"""Bounds of the entropy.

The bound is that of this form carried out in the format itself, with an exponential and a logarithm accurate to one ulp
(:math:`2u`); :math:`u_a` is the accumulator's roundoff:

* :math:`e^{-g_i}` errs relatively by :math:`u (g_i + 2)`, the subtraction's part having become :math:`u g_i`; its
  product with :math:`g_i`, which errs by :math:`u`, by :math:`u (g_i + 4)`;
* :math:`S` errs by the mean :math:`\tau = \sum_i p_i u (g_i + 2) + (k - 1) u_a + u`, and :math:`\sum e^{-g_i} g_i`
  by the mean of its terms' errors, :math:`(k - 1) u_a` and :math:`u`; the quotient adds :math:`u`. So :math:`G` errs by
  :math:`u (\sum_i p_i g_i^2 + G^2 + 8 G) + 2 (k - 1) u_a G` to first order;
* :math:`\ln(1 + R)` errs by :math:`\delta R / S`, that is :math:`u (G + 3 R/S) + (k - 2) u_a R/S`, and by :math:`2u` of
  itself; the last addition by :math:`u H`.

Where an exponential is subnormal it errs by a smallest subnormal, which counts at most :math:`1 + g_i` times.

The usual form :math:`-\sum p \ln p` by way of the log-softmax, whose absolute error is :math:`\delta_i`, has
:math:`\sum_i p_i (\delta_i + |\ln p_i| (\delta_i + 3u)) + ((k - 1) u_a + u) H`.
"""

import math
from typing import NamedTuple

import numpy as np
from torch import Tensor

from harness.contracts.building_blocks.log_domain import log_softmax_absolute_bound
from harness.contracts.building_blocks.softmax_function import softmax_relative_bound, sum_of_others
from harness.floats import Array, DoubleDouble, Format, to_array
from harness.floats import double_double as dd


class Moments(NamedTuple):
    """Of a row's gaps ``g``: the sum of their exponentials without one maximum, and means under the softmax."""

    gap: Array
    g: Array
    others: Array
    p: Array
    mean: Array
    square: Array


def moments(x: Array) -> Moments:
    """Return them in float64, the last axis kept; gaps of classes without probability are zero."""
    with np.errstate(over="ignore", invalid="ignore"):
        gap = x.max(-1, keepdims=True) - x
    exponentials = np.exp(-gap)
    g = np.where(exponentials > 0.0, gap, 0.0)
    others = sum_of_others(dd.COMPENSATED, dd.lift(exponentials), x).hi
    p = exponentials / (1.0 + others)
    return Moments(gap, g, others, p, (p * g).sum(-1, keepdims=True), (p * g * g).sum(-1, keepdims=True))


def _subnormals(row: Moments, format_: Format) -> Array:
    """Smallest subnormals: of each exponential below ``tiny``, weighted by its gap, and of three results."""
    # Beyond twice the gap at which it underflows, an exponential times its gap is nothing beside a subnormal.
    small = (row.gap > -math.log(2.0 * format_.tiny)) & (row.gap < -2.0 * format_.log_smallest)
    return np.asarray(format_.smallest * (3.0 + np.where(small, 2.0 + row.gap, 0.0).sum(-1)))


def entropy_absolute_bound(logits: Tensor, expected: DoubleDouble, format_: Format) -> Array:
    """Absolute error of ``ln(1 + R) + G``, in the order of the module's notes."""
    row = moments(to_array(logits))
    u, adding = format_.u, (row.g.shape[-1] - 1) * format_.u_accumulator + format_.u
    tau = (row.p * np.expm1(u * (row.g + 2.0))).sum(-1) + adding
    mean, others = row.mean[..., 0], row.others[..., 0]
    weighted = (row.p * row.g * np.expm1(u * (row.g + 4.0))).sum(-1) + mean * (adding + tau + u)
    # The error of R is that of S but for the maximum's, which is exact.
    share = (row.p * np.expm1(u * (row.g + 2.0))).sum(-1) - row.p.max(-1) * np.expm1(2.0 * u)
    logarithm = np.maximum(share, 0.0) + others / (1.0 + others) * adding
    error = (weighted + logarithm) / (1.0 - tau) + 2.0 * u * np.log1p(others) + u * expected.hi
    return np.asarray(error * (1.0 + 4.0 * u) + _subnormals(row, format_))


def subnormals(logits: Tensor, format_: Format) -> Array:
    """What is lost at most to exponentials that underflow."""
    return _subnormals(moments(to_array(logits)), format_)


def log_softmax_form_bound(logits: Tensor, expected: DoubleDouble, format_: Format) -> Array:
    """Absolute error of the usual form on finite logits, or that of the accurate one if larger."""
    row = moments(to_array(logits))
    log_p = np.where(row.p > 0.0, -row.g - np.log1p(row.others), 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        delta = np.where(row.p > 0.0, log_softmax_absolute_bound(logits, log_p, format_), 0.0)
    terms = (row.p * (delta + np.abs(log_p) * (np.expm1(delta) + 3.0 * format_.u))).sum(-1)
    adding = ((row.g.shape[-1] - 1) * format_.u_accumulator + format_.u) * expected.hi
    return np.asarray(np.maximum(terms + adding, entropy_absolute_bound(logits, expected, format_)))


def gradient_bound(logits: Tensor, cotangent: Tensor, format_: Format) -> Array:
    """Absolute error of the gradient; see the law."""
    x, v = to_array(logits), np.abs(to_array(cotangent))[..., None]
    row, k = moments(x), x.shape[-1]
    with np.errstate(invalid="ignore"):
        relative = np.where(row.p > 0.0, softmax_relative_bound(x, format_), 0.0)
    amplified = 2.0 * relative + (k + 8.0) * format_.u
    terms = 2.0 + row.g + row.mean + np.log1p(row.others)
    absolute = v * row.p * (amplified * terms + 2.0 * format_.u * row.square)
    # Autograd sends the sum of all entries' errors through max() to the entries that attain it.
    at_maximum = x == x.max(-1, keepdims=True)
    absolute = absolute + np.where(at_maximum, absolute.sum(-1, keepdims=True), 0.0)
    return np.asarray(absolute + 4.0 * format_.smallest * (1.0 + v) * k * (2.0 - format_.log_smallest))
