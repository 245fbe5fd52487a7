"""The logistic family, element by element: the sigmoid, its logarithm, and the softplus.

:mod:`harness.contracts.building_blocks.logistic_function` has the bounds with their derivation, the exact values and
the inputs.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from harness.contracts.building_blocks import logistic_function, usual_laws
from harness.contracts.building_blocks.logit_rows import largest_logit, largest_weight
from harness.contracts.building_blocks.usual_laws import Exact, within
from harness.floats import Array, DoubleDouble, Format, Measurement, Oracle, compare, convert_to_ulp, dd, to_array
from harness.laws import Axes, Contract, Law, Subject, derivative_laws, implementation_laws, law, no_drift

Bound = Callable[[Array, Format], Array]

# Laws of the family


@dataclass(frozen=True)
class Logistic:
    """One function of the family, with its exact values, bounds and texts.

    Parameters
    ----------
    name, formula
        Name and formula for messages.
    value, gradient
        Exact value, and exact gradient of a weighted sum.
    bound
        Absolute error of the value.
    bound_text, slope_bound_text
        The bounds in words.
    cause, non_finite, slope_cause
        Usual causes of failures of value and gradient, with remedies.
    """

    name: str
    formula: str
    value: Exact
    gradient: Exact
    bound: Bound
    bound_text: str
    slope_bound_text: str
    cause: str
    non_finite: str
    slope_cause: str


def _exact_value(oracle: Oracle, bound: Bound) -> Exact:
    return Exact(("x",), oracle, lambda x, _, format_: bound(to_array(x), format_))


def _exact_gradient(pullback: Oracle, slope_bound: Bound) -> Exact:
    def error(x: Tensor, cotangent: Tensor, _: DoubleDouble, format_: Format) -> Array:
        v = np.abs(to_array(cotangent))
        return np.asarray(v * slope_bound(to_array(x), format_) + 4.0 * format_.smallest * (1.0 + v))

    return Exact(("x", "cotangent"), pullback, error)


def monotone_law(function: Logistic) -> Law:
    """Return the law that the function preserves order."""

    @law(
        f"A larger x never gives a smaller {function.name}(x).",
        source="monotonicity of exp and ln",
        bound="the value's bound at both elements",
        cause="the argument is clipped, or two branches do not match where they meet: compare them there",
        non_finite=function.non_finite,
    )
    def monotone(subject: Subject, x: Tensor) -> Measurement:
        ordered, _ = x.sort()
        # Restore the order of the input, so that elements of the measurement and of the input correspond.
        rank = np.argsort(np.argsort(to_array(x), kind="stable"), kind="stable")
        actual = to_array(subject(ordered))
        absolute = function.bound(to_array(ordered), subject.format)
        floor = np.fmax.accumulate(actual)
        reached = np.r_[0, np.flatnonzero(actual[1:] >= floor[:-1]) + 1]
        # Use the bound of the element that set the floor, not the largest bound up to here.
        setters = reached[np.searchsorted(reached, np.arange(len(actual)), side="right") - 1]
        limit = convert_to_ulp(absolute + absolute[setters], dd.lift(floor), subject.format)
        return compare(actual[rank], floor[rank], limit[rank], subject.format)

    return monotone


def _laws(function: Logistic, *special_laws: Law) -> tuple[Law, ...]:
    """Return all laws of a function: the laws of the family, with its special ones."""
    name = function.name
    value = usual_laws.value(
        function.value,
        f"{name}(x) equals {function.formula}, element by element, to a few ulp.",
        source="operation-by-operation error analysis of exp, log1p and the quotient",
        bound=function.bound_text,
        cause=function.cause,
        non_finite=function.non_finite,
    )
    gradient = usual_laws.gradient(
        function.gradient,
        f"The gradient of {name}(x) . v is the derivative times v, element by element.",
        source="chain rule; the bound is an operation-by-operation analysis of the backward pass",
        bound=function.slope_bound_text,
        cause=function.slope_cause,
        non_finite="0 * inf or inf / inf in the backward pass although the value is finite: exponentiate only -|x|",
    )
    return (
        value,
        usual_laws.not_lost(
            function.value,
            "tail_not_lost",
            f"{name}(x) is zero only where the exact value is below the normal range.",
            source="the value is never zero",
            cause="1 + exp(-|x|) rounds to one from |x| = p ln 2 (16.6 in float32): keep exp itself, or use log1p",
        ),
        usual_laws.finite(
            function.value,
            "finite_on_extreme_inputs",
            f"{name}(x) is finite for all finite x.",
            source=f"|{name}(x)| <= |x| + ln 2",
            cause=function.non_finite,
        ),
        monotone_law(function),
        *special_laws,
        gradient,
        gradient.derive(
            logistic_function.vectors_around_zero,
            "gradient_at_zero",
            f"At both zeros and next to them the gradient of {name} is its limit.",
            cause="the derivatives of |x| and max(x, 0) at the kink do not add up: choose the branch with where(x < 0)",
        ),
        gradient.derive_special(
            logistic_function.vectors_with_infinities,
            "gradient_at_infinity",
            f"At -inf and +inf the gradient of {name} is its limit.",
        ),
        value.derive_special(
            logistic_function.vectors_with_infinities,
            "limits_at_infinity",
            f"{name}(-inf) and {name}(inf) are the limits.",
            cause="inf - inf or inf / inf: exponentiate only -|x|, and add",
        ),
        usual_laws.on_extreme_numbers(value, logistic_function.extreme_vectors),
        no_drift(value, logistic_function.many_numbers),
        *derivative_laws(gradient),
        *implementation_laws(value),
    )


# The functions

OVERFLOW = (
    "exp overflows above ln(max): 88.72 in float32 and bfloat16, 709.78 in float64, 11.09 in float16; exponentiate "
    "-|x|, which cannot overflow"
)

THROUGH_ITS_LOGARITHM = "the exponential of the logsigmoid is also acceptable, although its error grows with |x|"

_SIGMOID = Logistic(
    "sigmoid",
    "1 / (1 + exp(-x))",
    _exact_value(logistic_function.sigmoid_oracle, logistic_function.sigmoid_typical_bound),
    _exact_gradient(logistic_function.sigmoid_pullback, logistic_function.sigmoid_typical_slope_bound),
    logistic_function.sigmoid_typical_bound,
    bound_text="y (e^R - 1) plus two subnormals, R the error of min(x, 0) - L plus 2 u, or the bound of "
    "digits_not_lost if larger",
    slope_bound_text="|v| y (1 - y) (e^R - 1 + u (6 + 2 y)), or the bound of gradient_digits_not_lost if larger",
    cause="exp(-x) is infinite below -ln(max), and 1 / inf loses subnormal results; or the probability is a "
    "difference from one, such as (1 + tanh(x / 2)) / 2, which loses the tail: use z / (1 + z), z = exp(x)",
    non_finite=f"{OVERFLOW}; inf / inf is NaN",
    slope_cause="another function is differentiated, or a clamp has derivative zero: use y (1 - y)",
)

_SOFTPLUS = Logistic(
    "softplus",
    "ln(1 + exp(x))",
    _exact_value(logistic_function.softplus_oracle, logistic_function.softplus_bound),
    _exact_gradient(logistic_function.softplus_pullback, logistic_function.softplus_slope_bound),
    logistic_function.softplus_bound,
    bound_text="u max(2 sigma(x) + 2 y, 2 sigma(-|x|) + 2 L + y [x > 0]), plus two subnormals",
    slope_bound_text="|v| u (4 + 2 sigma(-x)) sigma(x), plus subnormals",
    cause="1 + exp(x) drops the digits of exp(x), or the threshold beyond which x is returned is too low (exp(-x) "
    "matters up to (p + 1) ln 2 - ln x, 34 in float64): use log1p, and raise the threshold",
    non_finite=OVERFLOW,
    slope_cause="the gradient is one beyond a threshold that is too low (exp(-x) matters up to p ln 2, 36.7 in "
    "float64), or the derivatives of |x| and max(x, 0) do not add up at 0: raise the threshold, and choose the "
    "branch with where(x < 0)",
)


def _logsigmoid_bound(x: Array, format_: Format) -> Array:
    return logistic_function.softplus_bound(-x, format_)


def _logsigmoid_slope_bound(x: Array, format_: Format) -> Array:
    return logistic_function.softplus_slope_bound(-x, format_)


_LOGSIGMOID = Logistic(
    "logsigmoid",
    "-softplus(-x)",
    _exact_value(logistic_function.logsigmoid_oracle, _logsigmoid_bound),
    _exact_gradient(logistic_function.logsigmoid_pullback, _logsigmoid_slope_bound),
    _logsigmoid_bound,
    bound_text="the bound of the softplus at -x",
    slope_bound_text="the bound of the softplus at -x",
    cause="the logarithm of a rounded sigmoid: use min(x, 0) - log1p(exp(-|x|))",
    non_finite="the sigmoid underflows to zero, whose logarithm is -inf: use min(x, 0) - log1p(exp(-|x|))",
    slope_cause="an epsilon or a clamp under the logarithm, the derivative of a rounded sigmoid, or derivatives of "
    "|x| and min(x, 0) that do not add up at 0: use sigmoid(-x)",
)


# Laws of one function


def difference_law(function: Logistic) -> Law:
    """Return the law ``f(x) - f(-x) = x``, for the softplus and the logarithm of the sigmoid."""

    @law(
        f"{function.name}(x) - {function.name}(-x) = x.",
        source="ln(1 + e^x) = x + ln(1 + e^-x)",
        bound="the value's bounds at x and at -x",
        cause="one side is clipped, or the tail is lost beyond a threshold: use the same formula on both sides",
        non_finite=function.non_finite,
    )
    def difference_is_argument(subject: Subject, x: Tensor) -> Measurement:
        # The larger absolute value is on the left, so that the right side has no cancellation.
        outer = x.abs() if function.name == "softplus" else -x.abs()
        expected = dd.two_sum(to_array(subject(-outer)), to_array(outer))
        x_outer = to_array(outer)
        absolute = function.bound(x_outer, subject.format) + function.bound(-x_outer, subject.format)
        exact = dd.select(np.isfinite(expected.hi), expected, function.value.oracle(outer))
        return compare(subject(outer), exact, convert_to_ulp(absolute, exact, subject.format), subject.format)

    return difference_is_argument


@law(
    "sigmoid(x) is at least zero and at most one.",
    source="definition",
    cause="a correction or a polynomial has no final clamp, or the probability is a difference: use z / (1 + z) "
    "with z = exp(-|x|)",
)
def in_unit_interval(sigmoid: Subject, x: Tensor) -> Measurement:
    """Measure how far an element is outside the interval."""
    actual = to_array(sigmoid(x))
    return compare(actual, np.where(np.isnan(actual), 0.5, np.clip(actual, 0.0, 1.0)), 0.0, sigmoid.format)


@law(
    "sigmoid(x) + sigmoid(-x) = 1.",
    source="1 / (1 + e^x) = 1 - 1 / (1 + e^-x)",
    bound="the value's bounds at x and at -x",
    cause="the branches for the two signs do not match, or the argument is shifted: use the same formula for both",
)
def complements_add_to_one(sigmoid: Subject, x: Tensor) -> Measurement:
    """Compare the larger value with one minus the smaller, unrounded."""
    size = x.abs()
    smaller = to_array(sigmoid(-size))
    expected = dd.two_sum(np.ones(smaller.shape), np.where(np.isnan(smaller), 0.0, -smaller))
    x_size = to_array(size)
    absolute = logistic_function.sigmoid_typical_bound(
        x_size, sigmoid.format
    ) + logistic_function.sigmoid_typical_bound(-x_size, sigmoid.format)
    return compare(sigmoid(size), expected, convert_to_ulp(absolute, expected, sigmoid.format), sigmoid.format)


digits_not_lost = usual_laws.value(
    _exact_value(logistic_function.sigmoid_oracle, logistic_function.sigmoid_bound),
    "Small values of sigmoid keep the digits that a quotient of exponentials keeps.",
    name="digits_not_lost",
    source="operation-by-operation error analysis of exp and the quotient",
    bound="y (e^T - 1), T = 2 u (1 + sigma(-x)), plus two subnormals",
    cause="the exponential of a logarithm, whose rounding error grows with |x|: use z / (1 + z) with z = exp(-|x|)",
    non_finite=OVERFLOW,
    examples=12,
    lost_digits=THROUGH_ITS_LOGARITHM,
)

gradient_digits_not_lost = usual_laws.gradient(
    _exact_gradient(logistic_function.sigmoid_pullback, logistic_function.sigmoid_slope_bound),
    "The gradient of sigmoid keeps its digits where it is small.",
    name="gradient_digits_not_lost",
    source="chain rule; the bound is an operation-by-operation analysis of the backward pass",
    bound="|v| max(e |1 - 2 y| + e^2 + 3 u y (1 - y), (9 + 8 z) u y (1 - y)), e the bound of digits_not_lost",
    cause="the exponential of a logarithm, whose rounding error grows with |x|: use z / (1 + z) with z = exp(-|x|)",
    examples=12,
    lost_digits=THROUGH_ITS_LOGARITHM,
)


@law(
    "The gradient of sigmoid is zero only where the exact gradient is below the normal range.",
    source="sigma(x) sigma(-x) > 0",
    cause="y (1 - y) is zero once y rounds to one, from x = p ln 2 (16.6 in float32): compute it from exp(-|x|)",
    group="gradient",
    lost_digits=usual_laws.SATURATED,
)
def gradient_not_lost(sigmoid: Subject, x: Tensor, cotangent: Tensor) -> Measurement:
    """Measure ``inf`` where the gradient is wrongly zero, which stops learning."""
    return usual_laws.measure_not_lost(
        sigmoid.gradient((x,), cotangent), logistic_function.sigmoid_pullback(x, cotangent), sigmoid.format
    )


at_least_relu = usual_laws.one_sided(
    _SOFTPLUS.value,
    "at_least_relu",
    "softplus(x) is at least max(x, 0).",
    nearest=lambda actual, x: usual_laws.at_least(actual, np.maximum(to_array(x), 0.0)),
    comparison=within,
    source="1 + e^x > max(1, e^x)",
    cause="the exponent is clipped, so the function stops growing: add max(x, 0) to log1p(exp(-|x|))",
)

at_most_argument = usual_laws.one_sided(
    _LOGSIGMOID.value,
    "at_most_argument",
    "logsigmoid(x) is at most min(x, 0).",
    nearest=lambda actual, x: usual_laws.at_most(actual, np.minimum(to_array(x), 0.0)),
    comparison=within,
    source="sigma(x) < min(1, e^x)",
    cause="an epsilon or a clamp under the logarithm limits the result: subtract log1p(exp(-|x|)) from min(x, 0)",
)


# Contracts


def _contract(function: Logistic, *special_laws: Law, aliases: tuple[str, ...] = ()) -> Contract:
    """Return the contract of a function with its special laws."""
    return Contract(
        function.name,
        signature="(x[n]) -> [n]",
        summary=f"{function.formula}, element by element",
        domain="every number of the format; some laws also use infinities and NaN",
        inputs=logistic_function.vectors,
        laws=_laws(function, *special_laws),
        axes={"x": Axes(("n",), largest=largest_logit), "cotangent": Axes(("n",), largest=largest_weight)},
        output=("n",),
        aliases=aliases,
    )


SIGMOID = _contract(
    _SIGMOID,
    in_unit_interval,
    complements_add_to_one,
    digits_not_lost,
    gradient_not_lost,
    gradient_digits_not_lost,
    aliases=("logistic", "expit"),
)
SOFTPLUS = _contract(_SOFTPLUS, at_least_relu, difference_law(_SOFTPLUS))
LOGSIGMOID = _contract(_LOGSIGMOID, at_most_argument, difference_law(_LOGSIGMOID), aliases=("log_expit",))
