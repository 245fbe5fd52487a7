r"""The squared error of a prediction.

:math:`f \cdot \mathrm{mean}_i (\hat y_i - y_i)^2` with the factor :math:`f` and the reduction that a case declares:
the chapter's scratch loss has :math:`f = 1/2`, its concise one :math:`f = 1`. The difference errs by :math:`u`
relatively, the square by :math:`2u + u`. The terms have one sign, so the sum adds :math:`(n-1) u_a` and :math:`u` for
storing it, the division :math:`u` and the factor :math:`u`: together :math:`6u + (n-1) u_a`, and half a subnormal per
square.

The gradient :math:`2 f (\hat y_i - y_i) / n` errs by :math:`6u` relatively: the difference, the factor, :math:`1 / n`,
two products and the cotangent. If :math:`1 / n` is subnormal, as in float16 from :math:`n = 2^{14}`, it errs by half a
subnormal instead, which the difference multiplies.

References
----------
N. J. Higham (2002), *Accuracy and Stability of Numerical Algorithms*, 2nd ed., sections 3.1 and 4.2.
"""

import math
from dataclasses import replace

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.contracts.building_blocks import predictions, usual_laws
from harness.contracts.building_blocks.definition import Definition
from harness.contracts.building_blocks.reduction import REDUCTIONS, oracle_of_loss, oracle_of_slope
from harness.contracts.building_blocks.usual_laws import Exact, within
from harness.floats import Array, DoubleDouble, Format, Measurement, compare, convert_to_ulp, dd, to_array
from harness.laws import LONGEST, Axes, CaseError, Contract, Example, Ray, Subject, derivative_laws, law
from harness.laws.every_operation import derive_long_rows, implementation_laws
from harness.laws.strategies import LONG_EXAMPLES, extremes, list_special_numbers, long_rows, make_inputs
from harness.record import Fault

SOURCE = "definition; Higham (2002), section 3.1"


_TEXT = "(prediction, target, factor): factor * (prediction - target) ** 2"
_ROWS, _SLOPE = Definition(_TEXT), Definition(_TEXT, by="prediction")

value_oracle = oracle_of_loss(_ROWS.screen, _ROWS.exact)
gradient_oracle = oracle_of_slope(_SLOPE.screen, _SLOPE.exact)


def _loss_error(expected: DoubleDouble, n: int, format_: Format) -> Array:
    """``6 u + (n - 1) u_a`` relatively, and half a subnormal per square."""
    relative = (6.0 * format_.u + (n - 1) * format_.u_accumulator) * (1.0 + 8.0 * format_.u)
    # The exact value of the largest numbers is itself infinite in float64.
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(expected.hi * relative + n * format_.smallest)


_CONVENTIONS = ("factor", "reduction")


def _value_error(_: Tensor, target: Tensor, __: float, ___: str, expected: DoubleDouble, format_: Format) -> Array:
    return _loss_error(expected, target.shape[-1], format_)


_VALUE = Exact(("prediction", "target"), value_oracle, _value_error, _CONVENTIONS)

value = usual_laws.value(
    _VALUE,
    "squared_error equals factor * mean((prediction - target)^2).",
    source=SOURCE,
    bound="relative 6 u + (n - 1) u_a, plus n subnormals",
    cause="a^2 - 2ab + b^2 cancels, (n,1) against (n,) broadcasts to (n,n), or the factor 1/2 is not declared: "
    "square the difference of equal shapes, and declare the factor",
)

not_negative = usual_laws.one_sided(
    _VALUE,
    "not_negative",
    "squared_error is never negative.",
    nearest=usual_laws.not_below_zero,
    source="a square is not negative",
    cause="the expanded form a^2 - 2ab + b^2 cancels below zero: square the difference",
)


@law(
    "Exchanging prediction and target does not change squared_error.",
    source="(a - b)^2 = (b - a)^2, and floating-point subtraction is antisymmetric",
    bound="the value's bound",
    cause="prediction and target are treated differently, for example one is weighted, clipped or detached: square "
    "their difference",
)
def symmetric(loss: Subject, prediction: Tensor, target: Tensor) -> Measurement:
    """Compare the two orders."""
    exchanged = dd.lift(to_array(loss(target, prediction)))
    error = 2.0 * _loss_error(exchanged, target.shape[-1], loss.format)
    return within(loss(prediction, target), exchanged, error, loss.format)


def _gradient_error(
    prediction: Tensor, target: Tensor, _: float, __: str, expected: DoubleDouble, format_: Format
) -> Array:
    """``6 u`` relatively, and two subnormals times ``1 + |prediction - target|``."""
    difference = np.abs(to_array(prediction) - to_array(target))
    return np.asarray(6.0 * format_.u * np.abs(expected.hi) + 2.0 * format_.smallest * (1.0 + difference))


gradient = usual_laws.gradient(
    Exact(("prediction", "target"), gradient_oracle, _gradient_error, _CONVENTIONS),
    "The gradient of squared_error in the prediction is 2 * factor * (prediction - target) / n.",
    source="chain rule",
    bound="relative 6 u, plus two subnormals times 1 + |prediction - target|",
    cause="the difference is detached or clipped, or a factor is missing: differentiate the squared difference itself",
)


@law(
    "Halving prediction and target divides squared_error by four, bit for bit.",
    source="scaling by a power of two is exact",
    bound="no tolerance where nothing underflows, twice the value's bound elsewhere",
    cause="an epsilon is added, large errors count linearly (Huber), or the errors are divided by a magnitude: "
    "square the difference only",
)
def scales_by_powers_of_two(loss: Subject, prediction: Tensor, target: Tensor) -> Measurement:
    """Compare with four times the loss of the halves."""
    halves = dd.lift(4.0 * to_array(loss(prediction / 2.0, target / 2.0)))
    a, b = to_array(prediction), to_array(target)
    squares, n = (a - b) ** 2, a.shape[-1]
    least = [np.where(x == 0.0, np.inf, np.abs(x)).min(-1) for x in (a, b, squares)]
    normal = np.minimum.reduce(least) >= 16.0 * n * loss.format.tiny
    if loss.declares["reduction"] == "none":
        normal = normal[:, None]
    twice = 2.0 * convert_to_ulp(_loss_error(halves, n, loss.format), halves, loss.format)
    twice = twice + 4.0 * n * loss.format.smallest / (2.0 * loss.format.u)
    return compare(loss(prediction, target), halves, np.where(normal, 0.0, twice), loss.format)


@law(
    "A column [n,1] of predictions is compared with targets [n] row by row, or refused: n losses, not n x n.",
    source="the network of the chapter returns a column; broadcasting makes n x n differences of it",
    bound="the value's bound; an error or a warning also passes",
    cause="(n,1) against (n,) broadcasts to (n,n): reshape the target to the prediction, or refuse it",
    group="implementation",
    inputs=predictions.whole_pairs,
    examples=6,
    lost_digits="torch broadcasts a column, too; inputs of equal shapes are not affected",
    shows_worst=False,
    of_whole_numbers=True,
)
def column_of_predictions(loss: Subject, prediction: Tensor, target: Tensor) -> Measurement:
    """Compare the result with the loss of the rows, or the numbers of losses; refusing the shapes is also right."""
    expected = _VALUE.value(loss, prediction, target)
    results = [_of_column(loss, *pair) for pair in zip(prediction, target, strict=True)]
    rows = list(expected.hi)
    results = [_reduced(loss, result, len(column)) for result, column in zip(results, prediction, strict=True)]
    sizes = np.array([np.size(y) if a is None else a.numel() for a, y in zip(results, rows, strict=True)])
    wanted = np.array([np.size(y) for y in rows])
    if (sizes != wanted).any():
        differing = np.where(sizes == wanted, 0.0, np.inf)
        n, number = target.shape[-1], int(sizes[int(differing.argmax())])
        message = f"{_column_and_row(n)} gives {number} losses"
        return Measurement(differing, np.zeros(len(rows)), sizes * 1.0, wanted * 1.0, message)
    actual = [y if a is None else to_array(a).reshape(np.shape(y)) for a, y in zip(results, rows, strict=True)]
    measured = within(np.stack(actual), expected, _VALUE.error_at(loss, prediction, target), loss.format)
    if not measured.broken:
        return measured
    return replace(measured, circumstance=_of_pairs(loss, measured, prediction, target))


def _of_pairs(loss: Subject, measured: Measurement, prediction: Tensor, target: Tensor) -> str:
    """Describe a result that is the loss of all pairs of predictions and targets; otherwise return an empty text."""
    row, n = measured.worst[0], target.shape[-1]
    pairs = _VALUE.value(loss, prediction[row : row + 1].repeat_interleave(n, -1), target[row : row + 1].repeat(1, n))
    reduction, result = loss.declares["reduction"], measured.actual[row : row + 1]
    if reduction == "none" or within(result, pairs, _loss_error(pairs, n * n, loss.format), loss.format).broken:
        return ""
    return f"{_column_and_row(n)} gives the {reduction} of {n} x {n} losses"


def _column_and_row(n: int) -> str:
    return f"a column [{n},1] of predictions with {n} targets"


def _reduced(loss: Subject, result: Tensor | None, n: int) -> Tensor | None:
    """Return the result, reduced over the rows of the column if it has one loss for each of them."""
    reduction = loss.declares["reduction"]
    if result is None or result.numel() != n or reduction == "none":
        return result
    return result.double().mean() if reduction == "mean" else result.double().sum()


def _of_column(loss: Subject, prediction: Tensor, target: Tensor) -> Tensor | None:
    """Return the result for a column of predictions, or ``None`` if it is refused or comes with a warning."""
    with loss.host.hearing() as warnings:
        try:
            result = loss.call_on_other_shapes(prediction[:, None], target)
        except CaseError as error:
            if error.fault is not Fault.RAISED:
                raise
            return None
    return None if warnings else result


def _pairs(format_: Format) -> st.SearchStrategy[Example]:
    largest = float(np.sqrt(format_.max / (4.0 * predictions.LONGEST_GROUP))) / 2.0
    return predictions.pairs(format_, largest).map(_example)


def _example(pair: tuple[Tensor, Tensor]) -> Example:
    return {"prediction": pair[0], "target": pair[1]}


@make_inputs(extremes)
def _of_specials(format_: Format, prediction: Tensor, rng: np.random.Generator) -> Example:
    """Groups of the largest and the smallest numbers."""
    drawn = rng.choice(list_special_numbers(format_), size=tuple(prediction.shape))
    return {"prediction": prediction, "target": prediction.new_tensor(drawn)}


def _long(format_: Format) -> st.SearchStrategy[Example]:
    """Up to 65,536 errors near 0, 1 and 4."""

    def expand(rows: Tensor) -> Example:
        target = predictions.alternating(rows)
        return {"prediction": rows + target, "target": target}

    return long_rows(format_).map(expand)


def _total(loss: Subject, terms: Array) -> tuple[float, float]:
    """Pass the roots of the terms as errors."""
    error = torch.from_numpy(np.sqrt(terms)).to(loss.format.dtype)[None]
    value = to_array(loss(error, torch.zeros_like(error))).sum()
    parts = loss.declares["factor"] / (len(terms) if loss.declares["reduction"] == "mean" else 1)
    return float(value / parts), math.fsum(to_array(error)[0] ** 2)


def _largest(format_: Format) -> float:
    """Bound on entries so that no square or sum overflows."""
    return math.sqrt(format_.max / 128.0) / 2.0


def _columns(prediction: Tensor, target: Tensor) -> Example:
    """One row for each group."""
    return {"prediction": prediction[:, None], "target": target[:, None]}


def _many(t: Tensor, format_: Format) -> Example:
    ones = torch.ones(1, int(t), dtype=format_.dtype)
    return {"prediction": ones, "target": torch.zeros_like(ones)}


SQUARED_ERROR = Contract(
    "squared_error",
    aliases=("squared_loss", "mse", "mean_squared_error", "mean_squared"),
    signature="(prediction[n], target[n]) -> []",
    summary="factor * mean of the squared differences",
    domain="|x| <= sqrt(max / 128) / 2, so that no square or sum overflows; some laws also use larger numbers, "
    "infinities and NaN",
    inputs=_pairs,
    laws=(
        value,
        not_negative,
        symmetric,
        scales_by_powers_of_two,
        gradient,
        usual_laws.on_extreme_numbers(
            value,
            _of_specials,
            "The value is also right for the largest and smallest numbers, and infinite where a square overflows.",
            cause="large errors are clipped, or scaled so that small ones underflow: square the difference unchanged",
        ),
        predictions.infinite_errors(value, lambda format_: predictions.infinite_pairs(format_).map(_example)),
        derive_long_rows(value, _long, cause=predictions.LONG),
        gradient.derive(
            _long,
            "gradient_on_long_rows",
            "The gradient is right for more rows than the format can count.",
            group="length",
            cause="the number of rows is stored in the format, where 65,536 is infinite in float16 and 257 is 256 "
            "in bfloat16: divide in float32",
            examples=LONG_EXAMPLES,
        ),
        column_of_predictions,
        *derivative_laws(gradient),
        *implementation_laws(value, rows=False),
    ),
    axes={"prediction": Axes(("g", "n"), largest=_largest), "target": Axes(("g", "n"), largest=_largest)},
    output=(),
    rays=(
        Ray("error", "prediction t, target 0", lambda t, _: _columns(t, torch.zeros_like(t)), _largest),
        Ray("offset", "prediction t, target t - 1", lambda t, _: _columns(t, t - 1.0), _largest),
        Ray("rows", "t errors of one", _many, lambda _: LONGEST, lambda _: 1.0, whole=True),
    ),
    total=_total,
    conventions={**REDUCTIONS, "factor": (1.0, 0.5)},
    grouped=True,
)
