r"""The squared error of a prediction.

:math:`f \cdot \mathrm{mean}_i (\hat y_i - y_i)^2` with the factor :math:`f` and the reduction a case declares: the
chapter's scratch loss has :math:`f = 1/2`, its concise one :math:`f = 1`. The difference errs by :math:`u` relatively,
the square by :math:`2u + u`; the terms have one sign, so the sum adds :math:`(n-1) u_a` and :math:`u` for storing it,
the division :math:`u` and the factor :math:`u`: together :math:`6u + (n-1) u_a`, and half a subnormal a square.
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from torch import Tensor

from harness import double_double as dd
from harness.double_double import Array, DoubleDouble
from harness.law import Axes, Contract, Example, law
from harness.measurement import Measurement, compare, in_ulp
from harness.oracle import Oracle
from harness.precision import Format, to_array
from harness.strategies import SEEDS, batches, companions
from harness.subject import Subject

SOURCE = "definition; Higham (2002), section 3.1"


def reduced(rows: Any, reduction: str, total: Any) -> Any:
    """Reduce the rows' losses along the last axis as a case declares: ``mean``, ``sum`` or ``none``."""
    if reduction == "none":
        return rows
    summed = total(rows)
    return summed / float(rows.shape[-1]) if reduction == "mean" else summed


def _value_screen(_: dd.Elementary, prediction: Array, target: Array, factor: float, reduction: str) -> DoubleDouble:
    difference = dd.two_sum(prediction, -target)
    rows: DoubleDouble = reduced(difference * difference, reduction, dd.total)
    return rows * factor


def _value_exact(prediction: Any, target: Any, factor: float, reduction: str) -> Any:
    return reduced((prediction - target) ** 2, reduction, lambda rows: rows.sum(-1)) * factor


def _gradient_screen(_: dd.Elementary, prediction: Array, target: Array, factor: float, reduction: str) -> DoubleDouble:
    slope = dd.two_sum(prediction, -target) * (2.0 * factor)
    return slope / float(prediction.shape[-1]) if reduction == "mean" else slope


def _gradient_exact(prediction: Any, target: Any, factor: float, reduction: str) -> Any:
    slope = (prediction - target) * 2 * factor
    return slope / prediction.shape[-1] if reduction == "mean" else slope


value_oracle = Oracle(_value_screen, _value_exact)
gradient_oracle = Oracle(_gradient_screen, _gradient_exact)


def _conventions(loss: Subject) -> tuple[float, str]:
    return float(loss.declares["factor"]), str(loss.declares["reduction"])


def _loss_bound(loss: Subject, expected: DoubleDouble, n: int) -> Array:
    relative = 6.0 * loss.format.u + (n - 1) * loss.format.u_accumulator
    return in_ulp(
        expected.hi * relative * (1.0 + 8.0 * loss.format.u) + n * loss.format.smallest, expected, loss.format
    )


@law(
    "squared_error equals factor * mean((prediction - target)^2).",
    source=SOURCE,
    bound="6 u + (n - 1) u_a relatively, and n subnormals",
    cause="a^2 - 2ab + b^2 cancels; (n,1) against (n,) broadcasts to (n,n); or the factor 1/2 is not declared",
    group="value",
)
def value(loss: Subject, prediction: Tensor, target: Tensor) -> Measurement:
    """Compare with the oracle, in the factor and reduction the case declares."""
    expected = value_oracle(prediction, target, *_conventions(loss))
    return compare(loss(prediction, target), expected, _loss_bound(loss, expected, target.shape[-1]), loss.format)


@law(
    "squared_error is not negative.",
    source="a square is not",
    bound="none",
    cause="the expanded form a^2 - 2ab + b^2 cancels below zero: square the difference",
    group="algebra",
)
def not_negative(loss: Subject, prediction: Tensor, target: Tensor) -> Measurement:
    """Measure how far below zero the loss is."""
    actual = to_array(loss(prediction, target))
    reference = np.where(np.isnan(actual), 0.0, np.maximum(actual, 0.0))
    return compare(actual, reference, 0.0, loss.format)


@law(
    "Exchanging prediction and target does not change squared_error.",
    source="(a - b)^2 = (b - a)^2, and floating-point subtraction is antisymmetric",
    bound="the value's bound",
    cause="prediction and target are treated differently: one is weighted, clipped or detached",
    group="algebra",
)
def symmetric(loss: Subject, prediction: Tensor, target: Tensor) -> Measurement:
    """Compare the two orders."""
    exchanged = dd.lift(to_array(loss(target, prediction)))
    return compare(
        loss(prediction, target), exchanged, 2.0 * _loss_bound(loss, exchanged, target.shape[-1]), loss.format
    )


@law(
    "The gradient of squared_error in the prediction is 2 * factor * (prediction - target) / n.",
    source="chain rule",
    bound="6 u relatively",
    cause="a detached or clipped difference, or a missing factor",
    group="gradient",
)
def gradient(loss: Subject, prediction: Tensor, target: Tensor) -> Measurement:
    """Compare the gradient by autograd, in the case's own dtype, with the analytic one."""
    expected = gradient_oracle(prediction, target, *_conventions(loss))
    absolute = 6.0 * loss.format.u * np.abs(expected.hi) + 2.0 * loss.format.smallest
    actual = loss.gradient((prediction, target))
    return compare(actual, expected, in_ulp(absolute, expected, loss.format), loss.format)


_LONGEST = 32


def predictions_and_targets(format_: Format, largest: float) -> st.SearchStrategy[tuple[Tensor, Tensor]]:
    """Predictions ``[g, n]`` with targets that are far, near (a few ulp away) or equal, a third of the groups each."""

    def expand(prediction: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng(seed)
        far = companions(prediction, rng).double().numpy()
        x = to_array(prediction)
        near = x * (1.0 + rng.integers(-4, 5, size=x.shape) * 2.0 * format_.u)
        kind = rng.integers(0, 3, size=(len(x), 1))
        target = np.clip(np.where(kind == 0, far, np.where(kind == 1, near, x)), -largest, largest)
        return prediction, prediction.new_tensor(target)

    return st.builds(expand, batches(format_, largest=largest, rows=(4, 64), columns=(1, _LONGEST)), SEEDS)


def _pairs(format_: Format) -> st.SearchStrategy[Example]:
    largest = float(np.sqrt(format_.max / (4.0 * _LONGEST))) / 2.0
    return predictions_and_targets(format_, largest).map(lambda pair: {"prediction": pair[0], "target": pair[1]})


SQUARED_ERROR = Contract(
    "squared_error",
    signature="(prediction[n], target[n]) -> []",
    summary="factor * mean of the squared differences",
    domain="|x| <= sqrt(max / 128) / 2, so that no square or sum overflows",
    inputs=_pairs,
    laws=(value, not_negative, symmetric, gradient),
    axes={"prediction": Axes(("g", "n")), "target": Axes(("g", "n"))},
    output=(),
    conventions={"reduction": ("mean", "sum", "none"), "factor": (1.0, 0.5)},
    grouped=True,
)
