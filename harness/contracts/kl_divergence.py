r"""Kullback-Leibler divergence of a distribution ``p`` from one that is given by its logarithms ``log_q``.

:math:`D = \sum_j p_j (\ln p_j - \ell_j)` for each row, with the given :math:`\ell = \ln q` and :math:`0 \ln 0 = 0`. A
class with :math:`p_j = 0` adds nothing for any :math:`\ell_j`; a class with :math:`p_j > 0` and
:math:`\ell_j = -\infty` makes the divergence infinite.

The terms have both signs and cancel for similar distributions. The bound is therefore absolute and proportional to
:math:`\sum_j p_j (|\ln p_j| + |\ell_j|)`. It covers both usual forms in the format itself, with a logarithm accurate
to one ulp (:math:`2u`) and :math:`t_j = \ln p_j - \ell_j`:

* :math:`p (\ln p - \ell)`: :math:`2u\, p |\ln p|` from the logarithm, :math:`u\, p |t|` each from the difference
  and the product;
* :math:`p \ln p - p \ell`: :math:`3u\, p |\ln p|` and :math:`u\, p |\ell|` from the products,
  :math:`u\, p |t|` from the difference;
* the sum of the terms, :math:`(k - 1) u_a \sum_j p_j |t_j|`, and :math:`u |D|` for storing it.

Together :math:`u \sum_j p_j (3 |\ln p_j| + |\ell_j| + 2 |t_j|) + (k - 1) u_a \sum_j p_j |t_j| + u |D|`, plus three
smallest subnormals per class for the products that underflow.
"""

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.contracts.building_blocks import distributions, usual_laws
from harness.contracts.building_blocks.definition import Definition
from harness.contracts.building_blocks.distributions import rounded_softmax
from harness.contracts.building_blocks.logit_rows import LONG_ROWS
from harness.contracts.building_blocks.usual_laws import Exact
from harness.floats import Array, DoubleDouble, Format, Measurement, compare_absolute, portable, to_array
from harness.laws import Axes, Contract, Example, Inputs, Ray, Subject, law, many_rows
from harness.laws.strategies import alter_inputs, draw_companions, long_rows, mask_entries

SOURCE = "definition; the module documentation derives the bound"

# Oracles


_VALUE_TEXT = "(log_q, p): sum(where(p <= 0, 0, p * (log(p) - log_q)))"

value_oracle = Definition(_VALUE_TEXT, cancels=True).oracle()
gradient_in_log_q_oracle = Definition(_VALUE_TEXT, by="log_q").oracle()
# The derivative of `p log(p)` divides by `p`, whose inverse may overflow.
gradient_in_p_oracle = Definition("(log_q, p, v): (log(p) - log_q + 1) * v", cancels=True).oracle()
# The sums of both distributions are nearly equal.
gibbs_oracle = Definition("(log_q, p): P = sum(p); -P * log1p((sum(exp(log_q)) - P) / P)", cancels=True).oracle()


# Bound


def kl_absolute_bound(log_q: Tensor, p: Tensor, expected: DoubleDouble, format_: Format) -> Array:
    """Absolute error of both forms, where the divergence is finite."""
    weights, u, k = to_array(p), format_.u, p.shape[-1]
    logarithm = np.log(np.where(weights > 0.0, weights, 1.0))
    finite = np.where(weights > 0.0, to_array(log_q), 0.0)
    # Multiply by u first, because logarithms of half of float64's largest number would overflow.
    of_p, of_q, difference = u * np.abs(logarithm), u * np.abs(finite), u * np.abs(logarithm - finite)
    rounding = (weights * (3.0 * of_p + of_q + 2.0 * difference)).sum(-1)
    adding = (k - 1) * (format_.u_accumulator / u) * (weights * difference).sum(-1)
    return np.asarray((rounding + adding + u * np.abs(expected.hi)) * (1.0 + 8.0 * u) + 3.0 * k * format_.smallest)


def _value_error(log_q: Tensor, p: Tensor, expected: DoubleDouble, format_: Format) -> Array:
    """:func:`kl_absolute_bound`, with zero where the divergence is infinite."""
    with np.errstate(invalid="ignore"):
        absolute = kl_absolute_bound(log_q, p, expected, format_)
    return np.where(np.isinf(expected.hi), 0.0, absolute)


def _error_in_log_q(_: Tensor, __: Tensor, ___: Tensor, expected: DoubleDouble, format_: Format) -> Array:
    """``2 u |v| p``, and two subnormals."""
    return np.asarray(2.0 * format_.u * (1.0 + format_.u) * np.abs(expected.hi) + 2.0 * format_.smallest)


def _error_in_p(log_q: Tensor, p: Tensor, cotangent: Tensor, expected: DoubleDouble, format_: Format) -> Array:
    """``u |v| (4 |ln p| + 2 |log_q| + 4) + 2 u |y|``, and subnormals over ``p``."""
    weights, log_probabilities = to_array(p), to_array(log_q)
    v = np.abs(to_array(cotangent))[..., None]
    sizes = format_.u * np.abs(log_probabilities), format_.u * np.abs(expected.hi)
    rounding = v * (format_.u * (4.0 * np.abs(np.log(weights)) + 4.0) + 2.0 * sizes[0]) + 2.0 * sizes[1]
    # In (v p) / p, the product is a multiple of the smallest subnormal.
    underflow = format_.smallest / weights + 4.0 * format_.smallest
    return np.asarray(rounding * (1.0 + 8.0 * format_.u) + underflow)


# Inputs


def _inputs(format_: Format) -> st.SearchStrategy[Example]:
    return distributions.pairs(format_).map(
        lambda drawn: {"log_q": drawn[0], "p": drawn[1], "cotangent": draw_companions(drawn[1][:, 0], drawn[2])}
    )


def _without(*, of_p: bool, of_q: bool) -> Inputs:
    """Make about a third of the classes impossible under ``p``, ``q``, or both."""

    def drop(example: Example, rng: np.random.Generator) -> Example:
        log_q = mask_entries(example["log_q"], rng)
        p = distributions.without(example["p"], log_q.isneginf())
        return {**example, **({"p": p} if of_p else {}), **({"log_q": log_q} if of_q else {})}

    return alter_inputs(_inputs, drop)


def _extremes(format_: Format) -> st.SearchStrategy[Example]:
    """One class nearly certain, the others nearly impossible; logarithms from zero to half of the largest number."""
    logarithms = [0.0, -0.0, -format_.smallest, -format_.tiny, -1.0, format_.log_smallest, -format_.max / 2.0]
    return distributions.extremes(format_, "log_q", logarithms)


def _long_distributions(format_: Format) -> st.SearchStrategy[Example]:
    """Rows of up to 65,536 classes, with the two distributions in opposite order."""

    def expand(logits: Tensor) -> Example:
        log_q = torch.from_numpy(portable.log_softmax(to_array(logits)[..., ::-1])).to(format_.dtype)
        return {"log_q": log_q, "p": rounded_softmax(logits, format_)}

    return long_rows(format_).map(expand)


def _many_distributions(format_: Format) -> st.SearchStrategy[Example]:
    """Ordinary, unrelated distributions."""

    def expand(rows: Example) -> Example:
        log_q = torch.from_numpy(portable.log_softmax(to_array(rows["log_q"]))).to(format_.dtype)
        return {"log_q": log_q, "p": rounded_softmax(rows["p"], format_)}

    return many_rows({"log_q": Axes(("n", "k")), "p": Axes(("n", "k"))})(format_).map(expand)


# Laws

_VALUE = Exact(("log_q", "p"), value_oracle, _value_error)

IMPOSSIBLE = "0 * -inf = NaN: exclude classes of probability zero with torch.where or xlogy"


value = usual_laws.value(
    _VALUE,
    "kl_divergence(log_q, p) equals sum_j p_j (ln p_j - log_q_j), row by row.",
    source=SOURCE,
    bound="u sum p (3 |ln p| + |log_q| + 2 |t|) + (k - 1) u_a sum p |t| + u |D|, t = ln p - log_q, plus subnormals",
    cause="an epsilon or a clamp changes the logarithm of unlikely classes, or the arguments are exchanged: use "
    "the logarithms unchanged",
    non_finite="exp(log_q) underflows, and its logarithm is -inf: use log_q directly",
)


@law(
    "kl_divergence is at least P ln(P / Q), where P is the sum of p and Q that of q; this is zero if both are one.",
    source="log-sum inequality (Gibbs' inequality if P = Q = 1)",
    bound="the value's bound",
    unit="ulp of 1",
    cause="a class is omitted, the mean is taken over the classes, or the arguments are exchanged: sum over all "
    "classes",
)
def not_below_gibbs(kl: Subject, log_q: Tensor, p: Tensor) -> Measurement:
    """Measure how far the divergence is below the limit; P and Q differ from one by the inputs' rounding."""
    least, actual = gibbs_oracle(log_q, p).hi, to_array(kl(log_q, p))
    absolute = kl_absolute_bound(log_q, p, value_oracle(log_q, p), kl.format)
    # The lower limit is rounded to float64 for the comparison.
    absolute = absolute + 2.0**-53 * np.abs(least)
    return compare_absolute(actual, usual_laws.at_least(actual, least), absolute, kl.format)


@law(
    "kl_divergence(ln p, p) is zero, except for the rounding of ln p.",
    source="ln(p / p) = 0",
    bound="the value's bound, plus 2 u sum p |ln p| for the logarithm passed as input",
    unit="ulp of 1",
    cause="an epsilon or a clamp is applied to only one of the logarithms: use both unchanged",
)
def zero_for_equal_distributions(kl: Subject, p: Tensor) -> Measurement:
    """Pass the logarithm of ``p``, rounded to the format."""
    log_p = torch.from_numpy(portable.log(to_array(p))).to(p.dtype)
    absolute = kl_absolute_bound(log_p, p, value_oracle(log_p, p), kl.format)
    handed = 2.0 * kl.format.u * (to_array(p) * np.abs(to_array(log_p))).sum(-1)
    actual = kl(log_p, p)
    return compare_absolute(actual, np.zeros(tuple(actual.shape)), absolute + handed, kl.format)


class_order_invariant = distributions.class_order_invariant(_VALUE)

gradient = usual_laws.gradient(
    Exact(("log_q", "p", "cotangent"), gradient_in_log_q_oracle, _error_in_log_q),
    "The gradient of kl_divergence . v in log_q is -v p.",
    source="the divergence is linear in log_q",
    bound="2 u |v| p",
    cause="log_q is normalized again, or exponentiated and clamped: use it unchanged",
)

gradient_in_p = usual_laws.gradient(
    Exact(("log_q", "p", "cotangent"), gradient_in_p_oracle, _error_in_p),
    "The gradient of kl_divergence . v in p is v (ln p + 1 - log_q), where p is positive.",
    name="gradient_in_p",
    of=1,
    source="product rule",
    bound="u |v| (4 |ln p| + 2 |log_q| + 4 + 2 |ln p + 1 - log_q|), plus |v| and a subnormal over p",
    cause="p is detached or clamped, so the gradient lacks the part of the entropy: keep p in the autograd graph",
)


# Rays


def _two(log_q: Tensor, p: Tensor) -> Example:
    """Two classes; the given logarithm and probability are for the second one, and the first has the rest."""
    rest = torch.from_numpy(portable.log1p(-portable.exp(to_array(log_q)))).to(log_q.dtype)
    rows = {"log_q": torch.stack([rest, log_q], 1), "p": torch.stack([1.0 - p, p], 1)}
    return {**rows, "cotangent": torch.ones_like(p)}


# Contract

KL_DIVERGENCE = Contract(
    "kl_divergence",
    aliases=("kl_div", "kl"),
    signature="(log_q[n,k], p[n,k]) -> [n]",
    summary="sum_j p_j (ln p_j - log_q_j), row by row",
    domain="0 < p <= 1 with a sum of one up to rounding, -max/16 <= log_q <= 0; some laws also use p = 0 and -inf",
    inputs=_inputs,
    laws=(
        *usual_laws.defined_in(globals()),
        *distributions.of_impossible_classes(value, _without, zero="log_q = -inf", non_finite=IMPOSSIBLE),
        gradient.derive(
            _without(of_p=True, of_q=True),
            "gradient_of_impossible_classes",
            "Where p = 0 and log_q = -inf, the gradient in log_q is zero, and elsewhere it is the same as without "
            "that class.",
            cause="0 * -inf in the backward pass: choose the safe argument *before* the product",
        ),
        usual_laws.on_extreme_numbers(
            value,
            _extremes,
            "The value is also right for subnormal probabilities and for logarithms up to half of the largest number.",
        ),
        *usual_laws.of_every_operation(
            value, gradient, long=_long_distributions, cause=LONG_ROWS, many=_many_distributions, second=False
        ),
    ),
    axes={
        "log_q": Axes(("n", "k"), restore=distributions.with_logarithms),
        "p": distributions.AXES,
        "cotangent": Axes(("n",)),
    },
    output=("n",),
    rays=(
        Ray(
            "unlikely class",
            "log_q = (ln(1 - exp(-t)), -t), p = (1/2, 1/2)",
            lambda t, _: _two(-t, torch.full_like(t, 0.5)),
            lambda format_: format_.max / 16.0,
            lambda _: 1.0,
        ),
        Ray(
            "rare class",
            "log_q = (ln(1 - 1/e), -1), p = (1 - t, t)",
            lambda t, _: _two(torch.full_like(t, -1.0), t),
            lambda format_: format_.smallest,
            lambda _: 0.5,
        ),
    ),
)
