r"""Logaddexp of two numbers, elementwise.

:math:`y = m + L` with :math:`m = \max(a, b)`, :math:`d = |a - b|` and :math:`L = \ln(1 + e^{-d})`. Operation by
operation: the difference errs by :math:`u d`, which the exponential turns into a factor :math:`e^{\pm u d}`, and the
exponential adds :math:`2u`. Thus :math:`e^{-d}` has the relative error :math:`R = e^{u (d + 2)} - 1`. ``log1p`` turns
it into the absolute error :math:`q R (1 + q R)` with :math:`q = e^{-d} / (1 + e^{-d})`. ``log1p`` adds :math:`2 u L`
and the last addition :math:`u |y|`. Together :math:`|\hat y - y| \le u (|y| + 2 L) + q R (1 + q R)`, plus a subnormal
each for the exponential and ``log1p``. At :math:`m = 0` this bound is relative: ``log1p`` keeps the digits that
``log(1 + e)`` loses. It is the bound of ``digits_not_lost``. The logarithm of a rounded :math:`1 + e^{-d}` has one
more rounding, a relative error :math:`u` of its argument and thus :math:`u` absolutely: the bound of ``value``.

The gradient is :math:`1 - q` at the larger number and :math:`q` at the smaller. For :math:`q`, the exponential errs by
:math:`R`, and a sum, a quotient and two products by :math:`u` each. The gradient at the larger number follows by one
addition, or as :math:`1 / (1 + e^{-d})` with as many roundings.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.contracts.building_blocks import exponential_sums as sums
from harness.contracts.building_blocks import usual_laws
from harness.contracts.building_blocks.logit_rows import DOMAIN, largest_logit, largest_weight
from harness.contracts.building_blocks.usual_laws import Exact, within
from harness.floats import Array, DoubleDouble, Format, Measurement, Oracle, dd, portable, to_array
from harness.floats.format import compare, compare_absolute, from_ordinal, to_ordinal
from harness.laws import Axes, Contract, Example, Inputs, Ray, Subject, implementation_laws, law, many_rows, no_drift
from harness.laws.strategies import STRUCTURES, Shape, batches, draw_companions, extremes, make_inputs, mask_entries

# Oracle


def _pair(a: Any, b: Any) -> Any:
    return np.stack([a, b], -1)


logaddexp_oracle = Oracle(
    lambda elementary, a, b: sums.logsumexp_screen(elementary, _pair(a, b)),
    lambda a, b: sums.LOGSUMEXP.exact(_pair(a, b)),
)
gradient_oracle = Oracle(
    lambda elementary, a, b: sums.softmax_screen(elementary, _pair(a, b)), lambda a, b: sums.SOFTMAX.exact(_pair(a, b))
)


# Bounds


def _difference(a: Array, b: Array) -> tuple[Array, Array, Array]:
    """``d``, ``exp(-d)`` and ``q`` of the module's notes."""
    with np.errstate(over="ignore", invalid="ignore"):
        d = np.abs(a - b)
        e = np.exp(-d)
    return d, e, e / (1.0 + e)


def _carried(d: Array, q: Array, format_: Format) -> Array:
    """``q R``, which is zero where ``q`` underflows."""
    return np.asarray(q * np.expm1(format_.u * (np.where(q > 0.0, d, 0.0) + 2.0)))


def logaddexp_absolute_bound(a: Tensor, b: Tensor, expected: DoubleDouble, format_: Format) -> Array:
    """``u (|y| + 2 L) + q R (1 + q R)``, and two subnormals."""
    d, e, q = _difference(to_array(a), to_array(b))
    carried = _carried(d, q, format_)
    in_u = np.abs(expected.hi) + 2.0 * np.log1p(e)
    return np.asarray(format_.u * in_u * (1.0 + 4.0 * format_.u) + carried * (1.0 + carried) + 2.0 * format_.smallest)


def typical_absolute_bound(a: Tensor, b: Tensor, expected: DoubleDouble, format_: Format) -> Array:
    """:func:`logaddexp_absolute_bound` plus ``u``, for the sum under the logarithm."""
    under_the_logarithm = format_.u * (1.0 + 4.0 * format_.u)
    return np.asarray(logaddexp_absolute_bound(a, b, expected, format_) + under_the_logarithm)


def _gradient_bound(a: Array, b: Array, cotangent: Array, format_: Format) -> Array:
    """``|v| (q R + 4 u q)``, and another ``|v| 4 u`` at the larger number."""
    d, _, q = _difference(a, b)
    weight = np.abs(cotangent)
    smaller = weight * (_carried(d, q, format_) + 4.0 * format_.u * q) + 2.0 * format_.smallest * (1.0 + weight)
    larger = smaller + 4.0 * format_.u * weight
    return np.asarray(_pair(np.where(a >= b, larger, smaller), np.where(b >= a, larger, smaller)))


# Inputs


def neighbours(rng: np.random.Generator, shape: Shape, magnitude: Array, format_: Format) -> Array:
    """Numbers that differ by at most four units in the last place."""
    start = torch.from_numpy(portable.standard_normal(rng, (shape.rows, 1)) * magnitude).to(format_.dtype)
    return from_ordinal(to_ordinal(start) + rng.integers(-4, 5, size=tuple(shape)), format_).double().numpy()


def _split(pairs: Tensor, **rest: Tensor) -> Example:
    return {"a": pairs[:, 0].contiguous(), "b": pairs[:, 1].contiguous(), **rest}


def _structured(format_: Format) -> st.SearchStrategy[Tensor]:
    structures = (*STRUCTURES, sums.normalised, sums.dominated, sums.at_the_limits, neighbours)
    return batches(format_, largest=largest_logit(format_), structures=structures, rows=(16, 512), columns=(2, 2))


def _pairs(change: Callable[[Tensor, np.random.Generator], Tensor] = lambda pairs, _: pairs) -> Inputs:
    """Structured pairs with a change, and weights of the outputs for the law of the gradient."""

    @make_inputs(_structured)
    def inputs(_: Format, pairs: Tensor, rng: np.random.Generator) -> Example:
        cotangent = draw_companions(pairs[:, 0], rng)
        return _split(change(pairs, rng), cotangent=cotangent)

    return inputs


def _with_infinities(pairs: Tensor, rng: np.random.Generator) -> Tensor:
    """Replace numbers by -inf or +inf."""
    infinite = torch.from_numpy(rng.choice([-np.inf, np.inf], size=tuple(pairs.shape))).to(pairs.dtype)
    return torch.where(torch.from_numpy(rng.random(tuple(pairs.shape)) < 0.6), infinite, pairs)


# Laws

OVERFLOW_OR_UNDERFLOW = (
    f"{sums.OVERFLOW}; or both exponentials underflow, and ln 0 = -inf: subtract the larger number first"
)

_VALUE = Exact(("a", "b"), logaddexp_oracle, typical_absolute_bound)

value = usual_laws.value(
    _VALUE,
    "logaddexp(a, b) equals ln(exp(a) + exp(b)).",
    source=sums.BHH,
    bound="u (1 + |y| + 2 L) + q R (1 + q R), plus two subnormals, R = exp(u (d + 2)) - 1",
    cause="a constant is added, or an exponent is clipped: subtract the larger of the two",
    non_finite=OVERFLOW_OR_UNDERFLOW,
)

digits_not_lost = usual_laws.value(
    Exact(("a", "b"), logaddexp_oracle, logaddexp_absolute_bound),
    "logaddexp(a, b) keeps its digits, however small it is.",
    name="digits_not_lost",
    source=sums.BHH,
    bound="u (|y| + 2 L) + q R (1 + q R), plus two subnormals, R = exp(u (d + 2)) - 1",
    cause="log(1 + exp(-d)) loses digits below u where max(a, b) is small: use log1p",
    non_finite=OVERFLOW_OR_UNDERFLOW,
    lost_digits=usual_laws.ABSORBED,
)

finite_on_extreme_terms = usual_laws.finite(
    _VALUE,
    "finite_on_extreme_terms",
    "logaddexp(a, b) is finite for all finite a and b.",
    source="max(a, b) <= y <= max(a, b) + ln 2",
    cause=OVERFLOW_OR_UNDERFLOW,
)

at_least_the_maximum = usual_laws.one_sided(
    _VALUE,
    "at_least_the_maximum",
    "logaddexp(a, b) is at least the larger of the two.",
    nearest=lambda actual, a, b: usual_laws.at_least(actual, np.maximum(to_array(a), to_array(b))),
    source="both terms of the sum are positive, and rounding is monotone",
    cause="the shift is larger than the maximum, or the smaller number is used as the shift: shift by the larger one",
    non_finite=sums.OVERFLOW,
)


commutes = usual_laws.unchanged(
    _VALUE,
    "commutes",
    "logaddexp(a, b) equals logaddexp(b, a).",
    other=lambda logaddexp, a, b: logaddexp(b, a),
    comparison=compare_absolute,
    source="a sum does not depend on the order of its terms",
    cause="one of the two is always assumed to be the larger, and a + log1p(exp(b - a)) overflows where b - a is "
    "large: choose the larger one",
    non_finite=sums.OVERFLOW,
)


@law(
    "Adding the same number to a and b adds it to their logaddexp.",
    source="exp(x + c) = exp(x) exp(c)",
    bound="the value's bounds at both inputs",
    unit="ulp of 1",
    cause="a constant is added inside the logarithm, or the exponent is clipped: subtract the larger of the two",
    non_finite=sums.OVERFLOW,
)
def shift_equivariant(logaddexp: Subject, a: Tensor, b: Tensor) -> Measurement:
    """Shift by the larger number where that is exact in the format; other pairs are compared with themselves."""
    pairs = torch.stack([a, b], -1)
    moved = sums.exact_shift(pairs)
    shift = to_array(pairs).max(-1) - to_array(moved).max(-1)
    expected = dd.two_sum(to_array(logaddexp(moved[:, 0], moved[:, 1])), shift)
    absolute = _VALUE.error_at(logaddexp, a, b) + _VALUE.error_at(logaddexp, moved[:, 0], moved[:, 1])
    return sums.compare_near(logaddexp(a, b), expected, absolute, logaddexp.format)


@law(
    "The gradients of logaddexp(a, b) . v are v times the softmax of the two.",
    source="chain rule; a quotient, a sum and two products of an exponential with error R",
    bound="|v| q (R + 4 u) at the smaller number, |v| 4 u more at the larger, plus subnormals",
    cause="exp(a - logaddexp(a, b)) loses the digits of a - b at large numbers, one of the two is detached, or "
    "exp(d) overflows from d = ln(max), so that 1 / inf is zero too early: use sigmoid(a - b)",
    non_finite="infinity over infinity in the backward pass: exponentiate -d, never d",
    group="gradient",
)
def gradient(logaddexp: Subject, a: Tensor, b: Tensor, cotangent: Tensor) -> Measurement:
    """Compare both gradients by autograd, in the case's dtype, with the analytic ones."""
    v = to_array(cotangent)
    expected = gradient_oracle(a, b) * v[:, None]
    actual = torch.stack([logaddexp.gradient((a, b), cotangent, of=which) for which in (0, 1)], -1)
    return within(actual, expected, _gradient_bound(to_array(a), to_array(b), v, logaddexp.format), logaddexp.format)


# Special values


@law(
    "logaddexp(a, -inf) and logaddexp(-inf, a) are a.",
    source="exp(-inf) = 0",
    cause="a large negative constant replaces -inf, or exp and ln are applied where the result is the other "
    "number: return the other number",
    group="special",
)
def nothing_added(logaddexp: Subject, a: Tensor) -> Measurement:
    """Call with -inf in either argument."""
    nothing = torch.full_like(a, -torch.inf)
    actual = _pair(to_array(logaddexp(a, nothing)), to_array(logaddexp(nothing, a)))
    return compare(actual, to_array(a)[:, None], 0.0, logaddexp.format)


@law(
    "A term of +inf makes the result +inf, and two terms of -inf make it -inf.",
    source="limits of ln(exp(a) + exp(b))",
    cause="the difference of two equal infinities is NaN: return a + ln 2 where a equals b",
    group="special",
    inputs=_pairs(_with_infinities),
)
def infinite_terms(logaddexp: Subject, a: Tensor, b: Tensor) -> Measurement:
    """Compare the pairs with an infinite maximum; other laws cover the other pairs."""
    actual, maximum = to_array(logaddexp(a, b)), np.maximum(to_array(a), to_array(b))
    return compare(actual, np.where(np.isinf(maximum), maximum, actual), 0.0, logaddexp.format)


def _ray(name: str, formula: str, a: float, b: float) -> Ray:
    """Pairs of two multiples of ``t``."""
    return Ray(name, formula, lambda t, _: {"a": a * t, "b": b * t, "cotangent": torch.ones_like(t)}, largest_logit)


# Contract

LOGADDEXP = Contract(
    "logaddexp",
    signature="(a[n], b[n]) -> [n]",
    summary="ln(exp(a) + exp(b)), elementwise",
    domain=DOMAIN,
    inputs=_pairs(),
    laws=(
        *usual_laws.defined_in(globals()),
        gradient.derive(
            _pairs(mask_entries),
            "gradient_of_masked_pairs",
            "If one number is -inf, its gradient is zero and the gradient of the other is the weight.",
        ),
        usual_laws.on_extreme_numbers(value, lambda format_: extremes(format_, columns=(2, 2)).map(_split)),
        no_drift(value, many_rows({"a": Axes(("n",)), "b": Axes(("n",))}, largest=0.5)),
        *implementation_laws(value),
    ),
    axes={
        **dict.fromkeys(("a", "b"), Axes(("n",), largest=largest_logit)),
        "cotangent": Axes(("n",), largest=largest_weight),
    },
    rays=(
        _ray("two-point gap", "a = 0, b = -t", 0.0, -1.0),
        _ray("uniform offset", "a = b = t", 1.0, 1.0),
        _ray("negative offset", "a = b = -t", -1.0, -1.0),
        _ray("symmetric pair", "a = t, b = -t", 1.0, -1.0),
    ),
    output=("n",),
)
