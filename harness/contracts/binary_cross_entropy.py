r"""Binary cross-entropy of logits: :math:`\ln(1 + e^x) - x y`, averaged over the rows.

Let :math:`w = |x| (1 - y)` where :math:`x \ge 0` and :math:`w = |x| y` elsewhere, :math:`z = e^{-|x|}`,
:math:`L = \ln(1 + z)` and :math:`s = \sigma(-|x|)`. The loss of a row is :math:`l = w + L`, two terms of one sign, so
that a few ulp are possible everywhere. The notation and the errors are those of
:mod:`harness.contracts.building_blocks.logistic_function`; :math:`1 - y` is exact, as for all targets drawn here:

* :math:`w + L` errs by :math:`u w + 2us + 2uL + ul = u (2l + L + 2s)`: the bound of ``digits_not_lost``;
* the usual forms cancel larger terms: :math:`(1 - y) x - \ln \sigma(x)` errs by
  :math:`u ((1-y) |x| + |\ln \sigma(x)| + 2L + 2s + l)`, :math:`\max(x, 0) - x y + L` by
  :math:`u (2 |x| + 2L + 2s + l)`; both are within :math:`u (2 |x| + 3L + 2s + l)`, the bound of ``value``;
* adding :math:`n` rows of one sign adds :math:`(n-1) u_a` relatively, storing the sum and dividing it :math:`u` each.

The derivative :math:`\sigma(x) - y` errs by :math:`2u (1 + \sigma(-x)) \sigma(x)` and the difference's rounding.
Autograd of :math:`\max(x, 0) - x y + L` gives a sum of :math:`[x \ge 0]`, :math:`y` and :math:`s`, and :math:`s` errs
by :math:`5us`, as derived there. Both are within :math:`u (2 [x \ge 0] + 2y + 6s + 3 |\sigma(x) - y|)`, where the last
term is the difference, :math:`1/n`, and the product with it. Autograd of :math:`(1 - y) x - \ln \sigma(x)` gives a sum
of :math:`1 - y`, :math:`[x < 0]` and :math:`s`, within :math:`u (2 [x < 0] + 2 (1 - y) + 6s + 3 |\sigma(x) - y|)`. The
gradient may err by the larger of the two, and loses digits beyond the first.

References
----------
N. J. Higham (2002), *Accuracy and Stability of Numerical Algorithms*, 2nd ed.: the model of rounding, and summation.
The constants above are derived here.
"""

from collections.abc import Callable

import numpy as np
import torch
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from harness.contracts.building_blocks import logistic_function, usual_laws
from harness.contracts.building_blocks.definition import Definition
from harness.contracts.building_blocks.logistic_function import arguments, around_zero, drawn, sigma, tail
from harness.contracts.building_blocks.reduction import REDUCTIONS, averaged, oracle_of_loss, oracle_of_slope
from harness.contracts.building_blocks.usual_laws import Exact, within
from harness.floats import Array, DoubleDouble, Format, Measurement, dd, portable, to_array
from harness.laws import LONGEST, Axes, Contract, Example, Inputs, Ray, Subject, law
from harness.laws.strategies import ONE_SEED, SEEDS, alter_inputs, extremes, long_rows

# Inputs: groups ``[g, n]`` of logits and of targets between zero and one

_LONGEST = 32


def _targets(logits: Tensor, format_: Format, rng: np.random.Generator) -> Tensor:
    """Targets ``y`` for which ``1 - y`` is exact: any class, the right one, zero, half and one, or soft ones.

    A quarter of the groups has each kind. Right targets make losses and gradients tiny. Soft targets are multiples of
    ``2 u``, at distances of all magnitudes from either class.
    """
    shape, bits = tuple(logits.shape), format_.precision - 1
    right = (to_array(logits) > 0).astype(np.float64)
    small = np.floor(portable.exp2(bits * rng.random(shape))) / 2.0**bits
    soft = np.where(rng.random(shape) < 0.5, small, 1.0 - small)
    kind = rng.integers(0, 4, size=(shape[0], 1))
    kinds = [rng.integers(0, 2, shape).astype(np.float64), right, rng.integers(0, 3, shape) / 2.0, soft]
    return torch.from_numpy(np.choose(kind, kinds)).to(format_.dtype)


def _with_targets(
    logits: st.SearchStrategy[Tensor], format_: Format, seeds: st.SearchStrategy[int] = SEEDS
) -> st.SearchStrategy[Example]:
    def expand(drawn: Tensor, seed: int) -> Example:
        return {"logits": drawn, "targets": _targets(drawn, format_, np.random.default_rng(seed))}

    return st.builds(expand, logits, seeds)


def groups(format_: Format) -> st.SearchStrategy[Example]:
    """Groups ``[g, n]`` of structured logits and of targets; no sum over a group overflows.

    In half of the batches a group is a single row, so that a mean over rows does not hide a row.
    """
    largest, rows = format_.max / (2.0 * _LONGEST), (4, 64)
    single = arguments(format_, largest=largest, rows=rows, columns=(1, 1))
    multiple = arguments(format_, largest=largest, rows=rows, columns=(2, _LONGEST))
    return _with_targets(st.one_of(single, multiple), format_)


def extreme_groups(format_: Format) -> st.SearchStrategy[Example]:
    """One logit per group, including the largest and the smallest numbers."""
    return _with_targets(extremes(format_, columns=(1, 1)), format_)


def long_groups(format_: Format) -> st.SearchStrategy[Example]:
    """Groups of up to 65,536 nearly equal logits."""
    return _with_targets(long_rows(format_), format_, ONE_SEED)


def zero_groups(format_: Format) -> st.SearchStrategy[Example]:
    """Zeros of either sign, and the smallest numbers."""
    return _with_targets(drawn(around_zero(format_), format_, rows=(4, 32), columns=(1, 8)), format_)


def every_third_infinite(target_of_positive: float) -> Inputs:
    """Every third group has only infinite logits, with the given target for +inf and the other target for -inf."""

    def with_infinities(example: Example, rng: np.random.Generator) -> Example:
        logits, targets = example["logits"].clone(), example["targets"].clone()
        positive = rng.random(tuple(logits[::3].shape)) < 0.5
        logits[::3] = torch.from_numpy(np.where(positive, np.inf, -np.inf)).to(logits)
        row_targets = np.where(positive, target_of_positive, 1.0 - target_of_positive)
        targets[::3] = torch.from_numpy(row_targets).to(targets)
        return {"logits": logits, "targets": targets}

    return alter_inputs(groups, with_infinities)


# Rays


def _ray(name: str, sign: float, target: float) -> Ray:
    """A logit of one sign and one class, one row per group."""

    def example(t: Tensor, _: Format) -> Example:
        return {"logits": (sign * t)[:, None], "targets": torch.full_like(t, target)[:, None]}

    return Ray(name, f"x = {'-' if sign < 0 else ''}t, y = {target:g}", example, lambda format_: format_.max / 64.0)


def _many(t: Tensor, format_: Format) -> Example:
    zeros = torch.zeros(1, int(t), dtype=format_.dtype)
    return {"logits": zeros, "targets": torch.ones_like(zeros)}


RAYS = (
    _ray("positive logit of class 1", 1.0, 1.0),
    _ray("positive logit of class 0", 1.0, 0.0),
    _ray("negative logit of class 1", -1.0, 1.0),
    _ray("negative logit of class 0", -1.0, 0.0),
    Ray("rows", "t zeros of class 1", _many, lambda _: LONGEST, lambda _: 1.0, whole=True),
)
"""Right and wrong logits of either sign, and many rows."""


# Oracle


_TEXT = "(x, y): where(x < 0, y, 1 - y) * abs(x) + log1p(exp(-abs(x)))"
_ROWS = Definition(_TEXT)


def _slope_screen(_: dd.Elementary, x: Array, y: Array) -> DoubleDouble:
    """``sigma(x) - y`` as ``(1 - y) sigma(x) - y sigma(-x)``, in double-double for every format.

    Near ``x = 0``, where ``y = 1/2`` cancels the rest, it uses three terms of the series of ``sigma(x) - 1/2``. If a
    float64 ``y`` is the rounded ``sigma(x)``, an absolute error of about ``2^-105`` remains, which is ``2^-50`` of the
    bound.
    """
    upper, lower = (logistic_function.sigmoid.screen(dd.DOUBLE, sign * x) for sign in (1.0, -1.0))
    difference = dd.two_sum(np.ones(y.shape), -y) * upper - lower * y
    near = np.abs(x) < 2.0**-25
    small = dd.lift(np.where(near, x, 0.0))
    square = small * small
    series = small * (dd.lift(np.full(x.shape, 0.25)) - square / 48.0 + square * square / 480.0)
    return dd.select(near, dd.two_sum(np.full(y.shape, 0.5), -y) + series, difference)


loss_oracle = oracle_of_loss(_ROWS.screen, _ROWS.exact)
gradient_oracle = oracle_of_slope(_slope_screen, Definition(_TEXT, by="x").exact)


# Bounds


def _typical_row_bound(x: Array, rows: Array, u: float) -> Array:
    """Absolute error of a row in the forms that cancel; multiplies by ``u`` first to avoid an overflow."""
    return np.asarray(2.0 * u * np.abs(x) + u * (3.0 * tail(x) + 2.0 * sigma(-np.abs(x))) + u * rows)


def _accurate_row_bound(x: Array, rows: Array, u: float) -> Array:
    """Absolute error of a row in the form without cancellation."""
    return np.asarray(2.0 * u * rows + u * (tail(x) + 2.0 * sigma(-np.abs(x))))


RowBound = Callable[[Array, Array, float], Array]


def _loss_error(of_row: RowBound) -> Callable[..., Array]:
    """Absolute error of the loss: the rows' errors, reduced, and the reduction's own."""

    def error(logits: Tensor, targets: Tensor, reduction: str, _: DoubleDouble, format_: Format) -> Array:
        rows = loss_oracle(logits, targets, "none").hi
        row_bound = of_row(to_array(logits), rows, format_.u * (1.0 + 4.0 * format_.u)) + 3.0 * format_.smallest
        if reduction == "none":
            return row_bound
        n = logits.shape[-1]
        summing = (n - 1) * format_.u_accumulator + 2.0 * format_.u
        total = row_bound.sum(-1) * (1.0 + summing) + summing * (1.0 + summing) * rows.sum(-1)
        return np.asarray(total / n if reduction == "mean" else total) + format_.smallest

    return error


def _gradient_error(*, typical: bool) -> Callable[..., Array]:
    """Absolute error of the gradient for the forms of ``x y``; with ``typical``, also of ``(1 - y) x``."""

    def error(logits: Tensor, targets: Tensor, reduction: str, _: DoubleDouble, format_: Format) -> Array:
        x, y = to_array(logits), to_array(targets)
        slope = np.abs(gradient_oracle(logits, targets, "none").hi)
        terms = 2.0 * ((x >= 0) + y)
        largest = np.maximum(terms, 4.0 - terms) if typical else terms
        parts = largest + 6.0 * sigma(-np.abs(x)) + 3.0 * slope
        absolute = averaged(format_.u * parts * (1.0 + 8.0 * format_.u), reduction)
        return np.asarray(absolute + 4.0 * format_.smallest)

    return error


def _exact_loss(of_row: RowBound) -> Exact:
    return Exact(("logits", "targets"), loss_oracle, _loss_error(of_row), ("reduction",))


# Laws

_VALUE = _exact_loss(_typical_row_bound)

SOURCE = "operation-by-operation error analysis"
WRONG_CLASS = "the probability rounds to one or zero and its logarithm is -inf, or 0 * -inf is NaN: compute from logits"


value = usual_laws.value(
    _VALUE,
    "binary_cross_entropy_with_logits(x, y) equals the mean of ln(1 + exp(x)) - x y.",
    source=SOURCE,
    bound="mean of u (2 |x| + 3 L + 2 s + l), plus the error of the sums",
    cause="a clamp or an epsilon changes the loss of confident predictions, or the sigmoid is applied twice: "
    "compute from logits, without either",
    non_finite=WRONG_CLASS,
)

digits_not_lost = usual_laws.value(
    _exact_loss(_accurate_row_bound),
    "The loss keeps its digits, however small it is.",
    name="digits_not_lost",
    source=SOURCE,
    bound="mean of u (2 l + L + 2 s), plus the error of the sums",
    cause="terms of size |x| cancel: add |x| times the weight of the wrong class and log1p(exp(-|x|))",
    non_finite=WRONG_CLASS,
    lost_digits="most libraries compute max(x, 0) - x y, which cancels where the loss is small",
)

loss_not_lost = usual_laws.not_lost(
    _VALUE,
    "loss_not_lost",
    "The loss is zero only where the exact loss is below the normal range.",
    source="l >= ln(1 + exp(-|x|)) > 0",
    cause="x - ln(1 + exp(x)) drops exp(-|x|) from |x| = p ln 2 (16.6 in float32): keep log1p(exp(-|x|)) as a "
    "separate term",
)

finite_on_extreme_logits = usual_laws.finite(
    _VALUE,
    "finite_on_extreme_logits",
    "The loss is finite for all finite logits.",
    source="0 < l <= |x| + ln 2",
    cause=WRONG_CLASS,
)

not_negative = usual_laws.one_sided(
    _VALUE,
    "not_negative",
    "The loss is never negative.",
    nearest=usual_laws.not_below_zero,
    comparison=within,
    source="a probability is at most one",
    cause="an epsilon is added to the probability, or a term has the wrong sign: compute from logits",
)


@law(
    "Exchanging the classes (x for -x and y for 1 - y) does not change the loss.",
    source="sigma(-x) = 1 - sigma(x)",
    bound="twice the value's bound",
    cause="the two classes are treated differently, for example one logarithm is clamped or has an epsilon: treat "
    "them alike",
    non_finite=WRONG_CLASS,
)
def classes_exchange(loss: Subject, logits: Tensor, targets: Tensor) -> Measurement:
    """Compare the losses for both names of the classes; ``1 - y`` is exact for the drawn targets."""
    exchanged = to_array(loss(-logits, 1.0 - targets))
    expected = np.where(np.isnan(exchanged), np.inf, exchanged)
    return within(loss(logits, targets), expected, 2.0 * _VALUE.error_at(loss, logits, targets), loss.format)


gradient = usual_laws.gradient(
    Exact(("logits", "targets"), gradient_oracle, _gradient_error(typical=True), ("reduction",)),
    "The gradient in the logits is (sigmoid(x) - y) / n.",
    source="chain rule; the bound is an operation-by-operation analysis of the backward pass",
    bound="u (t + 6 s + 3 |sigma(x) - y|) / n, plus subnormals; t = max(a, 4 - a), a = 2 [x >= 0] + 2 y",
    cause="a clamped probability has gradient zero beyond the clamp, where the exact gradient is one: remove the clamp",
    non_finite="0 * inf in the backward pass of a logarithm of zero: compute from logits",
)

gradient_at_zero = gradient.derive(
    zero_groups,
    "gradient_at_zero",
    "At both zeros and next to them the gradient is its limit, (1/2 - y) / n.",
    cause="the derivatives of |x| and max(x, 0) at the kink do not add up: choose the branch with where(x < 0)",
)


@law(
    "The gradient is zero only where the exact gradient is below the normal range.",
    source="sigma(x) - y is never zero for y = 0 and y = 1",
    cause="sigmoid(x) - 1 is zero from x = p ln 2 (16.6 in float32): use -sigmoid(-x)",
    group="gradient",
    lost_digits=usual_laws.SATURATED,
)
def gradient_not_lost(loss: Subject, logits: Tensor, targets: Tensor) -> Measurement:
    """Measure ``inf`` where the gradient is wrongly zero, which stops learning; soft targets are not examined."""
    expected = gradient_oracle(logits, targets, loss.declares["reduction"])
    looked_at = dd.select(np.isin(to_array(targets), (0.0, 1.0)), expected, 0.0)
    return usual_laws.measure_not_lost(loss.gradient((logits, targets)), looked_at, loss.format)


gradient_digits_not_lost = usual_laws.gradient(
    Exact(("logits", "targets"), gradient_oracle, _gradient_error(typical=False), ("reduction",)),
    "The gradient keeps its digits where it is small, at least for the logits of one class.",
    name="gradient_digits_not_lost",
    source="chain rule; the bound is an operation-by-operation analysis of the backward pass",
    bound="u (2 [x >= 0] + 2 y + 6 s + 3 |sigma(x) - y|) / n, plus subnormals",
    cause="autograd of (1 - y) x - logsigmoid(x) gives (1 - y) - sigmoid(-x), which cancels where y and sigmoid(x) "
    "are small: write the backward pass yourself",
    inputs=groups,
    examples=6,
    lost_digits="autograd builds it from the terms of the loss, and either choice of terms cancels for one class",
)


def _infinite_groups(logits: Tensor, targets: Tensor, *, wrong: bool) -> NDArray[np.bool_]:
    """Return groups of only infinite logits that contradict their targets or agree with them."""
    against = np.where(to_array(logits) < 0, to_array(targets), 1.0 - to_array(targets))
    return np.asarray((np.isinf(to_array(logits)) & ((against > 0.0) == wrong)).all(-1))


certain_and_right = usual_laws.policy(
    _VALUE,
    "certain_and_right",
    "Infinite logits on the correct side (+inf for y = 1, -inf for y = 0) give the declared result: NaN or zero.",
    convention="certain_and_right",
    rows=lambda logits, targets: _infinite_groups(logits, targets, wrong=False),
    policies=lambda *_: {"nan": np.nan, "zero": 0.0},
    source="0 * inf is undefined although its limit is not; see the convention `certain_and_right`",
    cause="`certain_and_right` is a convention (nan or zero): declare the one you intend",
    inputs=every_third_infinite(1.0),
)


certain_and_wrong = usual_laws.rows_become(
    _VALUE,
    "certain_and_wrong",
    "Infinite logits on the wrong side (+inf for y = 0, -inf for y = 1) have an infinite loss.",
    rows=lambda logits, targets: _infinite_groups(logits, targets, wrong=True),
    expected=np.inf,
    source="ln(1 + e^x) - x y grows without bound",
    cause="inf - inf: terms of size |x| are subtracted from each other; add terms of one sign instead",
    inputs=every_third_infinite(0.0),
)


# Contract

BINARY_CROSS_ENTROPY = Contract(
    "binary_cross_entropy_with_logits",
    aliases=(
        "bce_with_logits",
        "sigmoid_binary_cross_entropy",
        "sigmoid_cross_entropy",
        "sigmoid_cross_entropy_with_logits",
    ),
    signature="(logits[n], targets[n]) -> []",
    summary="mean of ln(1 + exp(x)) - x y",
    domain="finite logits, |x| <= max / 64; 0 <= y <= 1 such that 1 - y is exact; some laws also use infinities",
    inputs=groups,
    laws=(
        *usual_laws.defined_in(globals()),
        usual_laws.on_extreme_numbers(
            value,
            extreme_groups,
            "The value is also right for the largest and smallest finite logits and for both zeros.",
        ),
        *usual_laws.of_every_operation(
            value,
            gradient,
            long=long_groups,
            cause="a sum accumulated in a 16-bit format stops growing at 2^p and overflows in float16: accumulate "
            "in float32",
            rows=False,
        ),
    ),
    axes={"logits": Axes(("g", "n")), "targets": Axes(("g", "n"))},
    output=(),
    rays=RAYS,
    conventions={**REDUCTIONS, "certain_and_right": ("nan", "zero")},
    grouped=True,
)
