r"""Kullback-Leibler divergence of two distributions that are both given by their probabilities.

:math:`D = \sum_j p_j (\ln p_j - \ln q_j)` for each row, with :math:`0 \ln 0 = 0`. A class with :math:`p_j = 0` adds
nothing for any :math:`q_j`; a class with :math:`p_j > 0` and :math:`q_j = 0` makes the divergence infinite.

The bound extends the bound of the divergence from logarithms: a second logarithm errs by :math:`2u`, and if the ratio
:math:`p / q` is formed first, its rounding is :math:`u` absolutely under the logarithm. With
:math:`t_j = \ln p_j - \ln q_j` it is :math:`u \sum_j p_j (3 |\ln p_j| + 3 |\ln q_j| + 2 |t_j| + 1) + (k - 1) u_a
\sum_j p_j |t_j| + u |D|`, plus three smallest subnormals per class for the products that underflow.

A case may declare that it first divides both by their sums, :math:`P` and :math:`Q`. The divergence is then that of
:math:`p / P` and :math:`q / Q`, whose entries err by :math:`r = (k - 1) u_a + 2 u` relatively; the value errs by
another :math:`r \sum_j p_j (|t_j| + 2)`. The gradients lose their component along the distribution: the gradient in
:math:`p` is :math:`v (t_j - D) / P` and the gradient in :math:`q` is :math:`v (1 - p_j / q_j) / Q`, with
:math:`p, q, t` after the division. Each gradient before this subtraction errs as without the division, and by
:math:`2 r` of itself; the sums add :math:`(k + 4) u` of the mean magnitude. A quotient :math:`q_j / Q` that is
subnormal errs by less than a smallest subnormal :math:`s`, so its logarithm errs by :math:`-\ln(1 - s Q / q_j)`.
"""

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.contracts.building_blocks import distributions, usual_laws
from harness.contracts.building_blocks.definition import Definition, declared
from harness.contracts.building_blocks.distributions import rounded_softmax
from harness.contracts.building_blocks.logit_rows import LONG_ROWS
from harness.contracts.building_blocks.moments import compare_within
from harness.contracts.building_blocks.usual_laws import Exact, within
from harness.floats import Array, DoubleDouble, Format, Measurement, compare_absolute, dd, portable, to_array
from harness.laws import Axes, Contract, Example, Inputs, Limit, Ray, Subject, law, many_rows
from harness.laws.strategies import alter_inputs, draw_companions, long_rows, make_inputs, make_tensors

SOURCE = "definition; the module documentation derives the bound"

# Oracles


_VALUE_TEXTS = {
    "no": "(p, q): sum(where(p <= 0, 0, p * (log(p) - log(q))))",
    "yes": "(p, q): P = sum(p); sum(where(p <= 0, 0, p * (log(p) - log(q)))) / P - log(P) + log(sum(q))",
}
# The derivative of `p log(p)` divides by `p`, whose inverse may overflow.
_IN_P_TEXTS = {
    "no": "(p, q, v): (log(p) - log(q) + 1) * v",
    "yes": "(p, q, v: per_row): d = log(p) - log(q); (d - sum(d * p) / sum(p)) * v / sum(p)",
}

value_oracle = declared({option: Definition(text, cancels=True) for option, text in _VALUE_TEXTS.items()})
gradient_in_p_oracle = declared({option: Definition(text, cancels=True) for option, text in _IN_P_TEXTS.items()})
gradient_in_q_oracle = declared({option: Definition(text, by="q") for option, text in _VALUE_TEXTS.items()})


# Bounds


def _over_the_sum(k: int, format_: Format, normalised: str) -> float:
    """Relative error of an entry that is divided by the sum."""
    return (k - 1) * format_.u_accumulator + 2.0 * format_.u if normalised == "yes" else 0.0


def _absolute_bound(p: Tensor, q: Tensor, normalised: str, expected: DoubleDouble, format_: Format) -> Array:
    """Absolute error of all forms, where the divergence is finite."""
    weights, u, k = to_array(p), format_.u, p.shape[-1]
    counted = (weights > 0.0) & (to_array(q) > 0.0)
    of_p, of_q = (np.log(np.where(counted, to_array(x), 1.0)) for x in (p, q))
    difference = np.abs(of_p - of_q)
    rounding = (weights * u * (3.0 * np.abs(of_p) + 3.0 * np.abs(of_q) + 2.0 * difference + 1.0)).sum(-1)
    adding = (k - 1) * format_.u_accumulator * (weights * difference).sum(-1)
    adding = adding + _over_the_sum(k, format_, normalised) * (weights * (difference + 2.0)).sum(-1)
    with np.errstate(invalid="ignore"):
        stored = np.where(np.isinf(expected.hi), 0.0, u * np.abs(expected.hi))
    total = np.asarray((rounding + adding + stored) * (1.0 + 8.0 * u) + 3.0 * k * format_.smallest)
    return total if normalised == "no" else total + _lost_by_division(weights, to_array(q), difference, format_)


def _compare(actual: Tensor, expected: DoubleDouble, absolute: Array, format_: Format) -> Measurement:
    """Compare within an absolute error, which is infinite only where a division by the sum loses a probability."""
    compare = compare_within if np.isposinf(absolute).any() else within
    return compare(actual, expected, absolute, format_)


def _lost_by_division(p: Array, q: Array, difference: Array, format_: Format) -> Array:
    """Absolute error from quotients by the sum that are subnormal; infinite where one of ``q`` may become zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        over_sum = q / q.sum(-1, keepdims=True)
        lost = np.where((p > 0.0) & (q > 0.0) & (over_sum < 2.0 * format_.tiny), format_.smallest / over_sum, 0.0)
        of_logarithm = np.where(lost < 1.0, -np.log1p(-lost), np.inf)
    return np.asarray((np.where(lost > 0.0, p * of_logarithm, 0.0) + format_.smallest * difference).sum(-1))


def _error_in_p(p: Tensor, q: Tensor, v: Tensor, normalised: str, expected: DoubleDouble, format_: Format) -> Array:
    """``u |v| (4 |ln p| + 4 |ln q| + 5) + 2 u |y|``, and subnormals over ``p``."""
    of_p, of_q = (np.abs(np.log(to_array(x))) for x in (p, q))
    of_one = np.abs(to_array(v))[..., None] * (4.0 * of_p + 4.0 * of_q + 5.0)
    rounding = format_.u * (of_one + 2.0 * np.abs(expected.hi))
    rounding = rounding + _along(to_array(p), of_one, format_, normalised)
    return np.asarray(rounding * (1.0 + 8.0 * format_.u) + format_.smallest / to_array(p) + 4.0 * format_.smallest)


def _along(weights: Array, size: Array, format_: Format, normalised: str) -> Array:
    """Error of subtracting the component along the distribution, given the magnitude before the subtraction."""
    if normalised == "no":
        return np.zeros(size.shape)
    k = weights.shape[-1]
    mean = (weights * size).sum(-1, keepdims=True)
    return np.asarray(2.0 * _over_the_sum(k, format_, normalised) * (size + mean) + (k + 4) * format_.u * mean)


def _error_in_q(p: Tensor, q: Tensor, v: Tensor, normalised: str, expected: DoubleDouble, format_: Format) -> Array:
    """``4 u |y|``, and a subnormal over ``q``; for distributions divided by their sums, ``p / q`` replaces ``y``."""
    size = np.abs(expected.hi)
    if normalised == "yes":
        size = np.abs(to_array(v))[..., None] * (1.0 + to_array(p) / to_array(q))
    rounding = 4.0 * format_.u * (1.0 + 4.0 * format_.u) * size + _along(to_array(q), size, format_, normalised)
    return np.asarray(rounding + format_.smallest * (2.0 + 2.0 / to_array(q)))


# Inputs


def _inputs(format_: Format) -> st.SearchStrategy[Example]:
    """Two positive distributions; gradients divide by ``q``, so its entries are normal numbers."""

    def expand(drawn: tuple[Tensor, Tensor, np.random.Generator]) -> Example:
        log_q, p, rng = drawn
        q = torch.from_numpy(portable.exp(to_array(log_q))).clamp(4.0 * format_.tiny, 1.0).to(format_.dtype)
        return {"p": p, "q": q, "cotangent": draw_companions(p[:, 0], rng)}

    return distributions.pairs(format_).map(expand)


def _without(*, of_p: bool, of_q: bool) -> Inputs:
    """Make about a third of the classes impossible under ``p``, ``q``, or both; at least one class remains."""

    def drop(example: Example, rng: np.random.Generator) -> Example:
        dropped = torch.from_numpy(rng.random(tuple(example["p"].shape)) < 1.0 / 3.0)
        dropped[:, 0] = False
        chosen = [name for name, is_chosen in (("p", of_p), ("q", of_q)) if is_chosen]
        return {**example, **{name: distributions.without(example[name], dropped) for name in chosen}}

    return alter_inputs(_inputs, drop)


def _extremes(format_: Format) -> st.SearchStrategy[Example]:
    """One class nearly certain under ``p``; the others, and all of ``q``, range from one to the smallest number."""
    probabilities = [*distributions.smallest(format_), 0.25, 0.5, 1.0 - format_.u, 1.0]
    return distributions.extremes(format_, "q", probabilities)


def _long_distributions(format_: Format) -> st.SearchStrategy[Example]:
    """Rows of up to 65,536 classes, with the two distributions in opposite order."""
    return long_rows(format_).map(
        lambda logits: {"p": rounded_softmax(logits, format_), "q": rounded_softmax(logits.flip(-1), format_)}
    )


def _many_distributions(format_: Format) -> st.SearchStrategy[Example]:
    """Ordinary, unrelated distributions."""
    logits = many_rows({"p": Axes(("n", "k")), "q": Axes(("n", "k"))})
    return logits(format_).map(lambda rows: {name: rounded_softmax(x, format_) for name, x in rows.items()})


@make_inputs(st.integers(2, 8))
def _of_other_sums(format_: Format, columns: int, rng: np.random.Generator) -> Example:
    """Rows of numbers between one and two, which are not distributions and thus reveal a division by the sum."""
    p, q = rng.uniform(1.0, 2.0, (2, 32, columns))
    return make_tensors(format_, p=p, q=q, cotangent=np.ones(32))


# Laws

_VALUE = Exact(("p", "q"), value_oracle, _absolute_bound, ("normalised",), _compare)

IMPOSSIBLE = "0 * -inf or 0 / 0 is NaN: exclude classes of probability zero with torch.where or xlogy"

value = usual_laws.value(
    _VALUE,
    "kl_divergence(p, q) equals sum_j p_j (ln p_j - ln q_j), row by row.",
    source=SOURCE,
    bound="u sum p (3 |ln p| + 3 |ln q| + 2 |t| + 1) + (k - 1) u_a sum p |t| + u |D|, t = ln p - ln q, plus subnormals",
    cause="an epsilon or a clamp changes the logarithm of unlikely classes, or the arguments are exchanged: use "
    "the probabilities unchanged",
    non_finite="p / q overflows where q is small: subtract the logarithms",
)


@law(
    "kl_divergence(p, p) is zero.",
    source="ln(p / p) = 0",
    bound="the value's bound",
    unit="ulp of 1",
    cause="an epsilon or a clamp is applied to only one of the two: use both unchanged",
)
def zero_for_equal_distributions(kl: Subject, p: Tensor) -> Measurement:
    """Pass the same distribution twice."""
    actual = kl(p, p.clone())
    absolute = _absolute_bound(p, p, kl.declares["normalised"], dd.lift(np.zeros(tuple(actual.shape))), kl.format)
    return compare_absolute(actual, np.zeros(tuple(actual.shape)), absolute, kl.format)


class_order_invariant = distributions.class_order_invariant(_VALUE)

gradient = usual_laws.gradient(
    Exact(("p", "q", "cotangent"), gradient_in_p_oracle, _error_in_p, ("normalised",)),
    "The gradient of kl_divergence . v in p is v (ln p + 1 - ln q).",
    source="product rule",
    bound="u |v| (4 |ln p| + 4 |ln q| + 5) + 2 u |y|, plus a subnormal over p",
    cause="p is detached or clamped, so the gradient lacks the part of the entropy: keep p in the autograd graph",
)

gradient_in_q = usual_laws.gradient(
    Exact(("p", "q", "cotangent"), gradient_in_q_oracle, _error_in_q, ("normalised",)),
    "The gradient of kl_divergence . v in q is -v p / q.",
    name="gradient_in_q",
    of=1,
    source="d(-ln q)/dq",
    bound="4 u |v| p / q, plus a subnormal over q",
    cause="q is normalized again or clamped: use it unchanged",
)


# Rays


def _ray(name: str, formula: str, end: Limit, *, p: float | None = None, q: float | None = None) -> Ray:
    """Two classes; the probability of the second one is given or ``t``, and the first has the rest."""

    def example(t: Tensor, _: Format) -> Example:
        second = {name: t if x is None else torch.full_like(t, x) for name, x in (("p", p), ("q", q))}
        return {**{name: torch.stack([1.0 - x, x], 1) for name, x in second.items()}, "cotangent": torch.ones_like(t)}

    return Ray(name, formula, example, end, lambda _: 0.5)


# Contract

KL_DIVERGENCE_OF_PROBABILITIES = Contract(
    "kl_divergence_of_probabilities",
    aliases=("kl_divergence", "kl_div", "kl", "relative_entropy"),
    signature="(p[n,k], q[n,k]) -> [n]",
    summary="sum_j p_j (ln p_j - ln q_j), row by row",
    domain="0 < p, q <= 1, each with a sum of one up to rounding; some laws also use zeros and subnormal q",
    inputs=_inputs,
    laws=(
        *usual_laws.defined_in(globals()),
        *distributions.of_impossible_classes(value, _without, zero="q = 0", non_finite=IMPOSSIBLE),
        usual_laws.on_extreme_numbers(
            value, _extremes, "The value is also right for probabilities from the smallest number to one."
        ),
        *usual_laws.of_every_operation(
            value, None, long=_long_distributions, cause=LONG_ROWS, many=_many_distributions
        ),
    ),
    axes={"p": distributions.AXES, "q": distributions.AXES, "cotangent": Axes(("n",))},
    output=("n",),
    conventions={"normalised": ("no", "yes")},
    telling=_of_other_sums,
    rays=(
        _ray("unlikely class", "p = (1/2, 1/2), q = (1 - t, t)", lambda format_: 4.0 * format_.tiny, p=0.5),
        _ray("rare class", "p = (1 - t, t), q = (3/4, 1/4)", lambda format_: format_.smallest, q=0.25),
    ),
)
