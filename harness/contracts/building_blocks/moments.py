r"""Shared parts of the contracts on moments of rows: structured rows, exact shifts and deviations, the mean's error.

The model is a careful implementation: it computes in the accumulator's format, which is float32 for the 16-bit formats
and otherwise the format itself, and rounds once to the format at the end. The accumulator's unit roundoff is
:math:`u_a`, its smallest subnormal :math:`\lambda`.

The mean of :math:`d` entries errs by :math:`|\delta| \le d u_a A` with :math:`A = \mathrm{mean}|x|`: the sum by
:math:`(d - 1) u_a`, the division by :math:`u_a`, and :math:`\lambda` if it underflows. If the deviations
:math:`x_i - m` are small compared with :math:`m`, this error is large compared with them: it reflects the condition
number of a row.

References
----------
T. F. Chan, G. H. Golub, R. J. LeVeque (1983), "Algorithms for computing the sample variance: analysis and
recommendations", The American Statistician 37(3), 242-247: the algorithms compared. The constants are derived here.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.contracts.building_blocks import usual_laws
from harness.contracts.building_blocks.usual_laws import Exact
from harness.floats import Array, DoubleDouble, Format, Measurement, Oracle, compare, convert_to_ulp, portable, to_array
from harness.floats import double_double as dd
from harness.floats.format import from_ordinal, to_ordinal
from harness.laws import COLUMNS, AnyNumber, Axes, Example, Inputs, Law, Limit, Ray, many_rows, strategies

EPS = AnyNumber((1e-5, 1e-6, 1e-8, 1e-12, 0.0), least=0.0, most=1e3)
"""Number added under the root. Without it, rows whose squares underflow in the accumulator are not checked."""

CGL = "Chan, Golub & LeVeque (1983)"

LONG_ROWS = (
    "a sum accumulated in a 16-bit format stops growing at 2^p or overflows, and 65,536 itself is infinite in "
    "float16: accumulate and divide in float32"
)
"""Likely cause of a failure on long rows."""

SQUARES_OVERFLOW = (
    "squares overflow above sqrt(max / d) (1.8e19 / sqrt(d) in float32), and everything is divided by infinity: "
    "scale the row by a power of two first"
)
"""Likely cause of a failure on the largest numbers."""

CUBED = "the cube of a reciprocal root underflows in the backward pass: compute the root, and divide by it"
CUBED_USUALLY = "autograd cubes a reciprocal root, which most libraries use"
"""Likely cause of a gradient that loses its digits on large rows, and why that is not a defect."""

UNSCALED = "scaling a row first takes one more pass over it, and no library does so"
"""Reason why an overflow of a row's squares in float32 is not a defect."""

DOMAIN = (
    "finite rows, |x| <= sqrt(max) / 32, and max / 2 in float16, so that a sum of 32 squares does not overflow "
    "float32; some laws also use larger numbers, infinities and NaN"
)

LONGEST = 32
"""Maximum number of columns in an ordinary row; within the domains its sum of squares does not overflow."""


def largest_square_root(format_: Format) -> float:
    """Bound on ``|x|``: no sum of 32 squared differences overflows the accumulator, also for the doubled row."""
    return float(np.sqrt(format_.accumulator.max)) / LONGEST


def largest_normalised(format_: Format) -> float:
    """Bound on ``|x|`` for outputs of order one: the doubled row is also finite."""
    return min(largest_square_root(format_), format_.max / 2.0)


# Inputs


def narrow(rng: np.random.Generator, shape: strategies.Shape, magnitude: Array, format_: Format) -> Array:
    """Entries around the magnitude, with a relative spread between a few roundings and one."""
    spread = portable.exp2(float(portable.log2(format_.u)) * rng.random((shape.rows, 1)))
    sign = rng.choice(np.array([-1.0, 1.0]), size=(shape.rows, 1))
    return np.asarray(sign * magnitude * (1.0 + spread * portable.standard_normal(rng, shape)))


def outlier(rng: np.random.Generator, shape: strategies.Shape, magnitude: Array, format_: Format) -> Array:
    """Entries within a few ulp, and one at a distance."""
    rows = magnitude * (1.0 + 2.0 * format_.u * rng.integers(-4, 5, size=shape))
    index = np.arange(shape.rows), rng.integers(shape.columns, size=shape.rows)
    rows[index] *= rng.choice(np.array([-1.0, 0.0, 0.5, 1.0]), size=shape.rows)
    return np.asarray(rows)


def neighbours(rng: np.random.Generator, shape: strategies.Shape, magnitude: Array, format_: Format) -> Array:
    """A number and its successor, between which the mean is not representable; some rows are constant."""
    start = rng.choice(np.array([-1.0, 1.0]), size=(shape.rows, 1)) * magnitude * (1.0 + rng.random((shape.rows, 1)))
    number = torch.from_numpy(start).to(format_.dtype)
    near = to_ordinal(number) + rng.integers(0, 2, size=shape) * (rng.random((shape.rows, 1)) < 0.75)
    return to_array(from_ordinal(near, format_))


# Thresholds of exponentials are ordinary numbers here.
OF_MOMENTS = (
    *(structure for structure in strategies.STRUCTURES if structure is not strategies.thresholds),
    narrow,
    outlier,
    neighbours,
)


def rows_and_cotangents(
    largest: Callable[[Format], float], *, cotangent: Callable[[Tensor], Tensor] = lambda rows: rows
) -> Inputs:
    """Structured rows ``[n, d]``, and weights of the outputs for the law of the gradient.

    ``largest`` bounds the entries in a format. ``cotangent`` returns a tensor of the output's shape from the rows.
    """

    def inputs(format_: Format) -> st.SearchStrategy[Example]:
        drawn = strategies.batches(format_, structures=OF_MOMENTS, largest=largest(format_), columns=(1, LONGEST))
        return strategies.add_cotangent(drawn, "x", cotangent)

    return inputs


@strategies.make_inputs(lambda _: strategies.lengths(16, 128), st.sampled_from([1, 2, 4, 8, 16, LONGEST]))
def constant_rows(format_: Format, rows: int, columns: int, rng: np.random.Generator) -> Example:
    """A power of two of equal entries ``c 2^k`` with ``|c| < 128``: their sum and mean are exact in the accumulator."""
    entries = rng.integers(-127, 128, size=(rows, 1)) * portable.exp2(rng.integers(-4, 5, size=(rows, 1)))
    return {"x": torch.from_numpy(np.repeat(entries, columns, axis=1)).to(format_.dtype)}


def one_infinite(inputs: Inputs) -> Inputs:
    """Rows with one infinity of either sign in every third row."""

    def with_infinities(example: Example) -> Example:
        x = example["x"].clone()
        rows = torch.arange(0, len(x), 3)
        x[rows, rows % x.shape[1]] = torch.where(rows % 2 == 0, torch.inf, -torch.inf).to(x.dtype)
        return {**example, "x": x}

    return strategies.change_inputs(inputs, with_infinities)


def some_zero_rows(inputs: Inputs) -> Inputs:
    """Rows with only zeros in every third row."""

    def with_zeros(example: Example) -> Example:
        zero = torch.arange(len(example["x"])) % 3 == 0
        return {**example, "x": example["x"].masked_fill(zero[:, None], 0.0)}

    return strategies.change_inputs(inputs, with_zeros)


def extreme_rows(largest: Callable[[Format], float]) -> Inputs:
    """Rows of special numbers up to the largest admissible one."""

    def inputs(format_: Format) -> st.SearchStrategy[Example]:
        limit = largest(format_)
        return strategies.extremes(format_).map(lambda x: {"x": x.clamp(-limit, limit)})

    return inputs


def long_examples(format_: Format) -> st.SearchStrategy[Example]:
    """Rows of up to 65,536 nearly equal entries."""
    return strategies.long_rows(format_).map(lambda x: {"x": x})


def sizes_of_rows(format_: Format) -> st.SearchStrategy[Example]:
    """Rows of every size from 1 down to 2^-56, whose squares are normal numbers; they show a small epsilon."""
    return _rows_of_sizes(format_, -56.0, 0.0).map(lambda x: {"x": x})


def large_rows_and_cotangents(format_: Format) -> st.SearchStrategy[Example]:
    """Rows of every size from one to the largest normalized one, and weights of the outputs."""
    rows = _rows_of_sizes(format_, 0.0, float(portable.log2(largest_normalised(format_))) - 1.0)
    return strategies.add_cotangent(rows, "x")


def _rows_of_sizes(format_: Format, first: float, last: float) -> st.SearchStrategy[Tensor]:
    """57 rows whose sizes are powers of two between two exponents."""

    def expand(columns: int, seed: int) -> Tensor:
        rng = np.random.default_rng(seed)
        size = portable.exp2(np.linspace(first, last, 57))[:, None]
        x = torch.from_numpy(size * rng.choice([-1.0, 1.0], size=(57, columns)) * rng.uniform(1.0, 2.0, (57, columns)))
        return x.to(format_.dtype)

    return st.builds(expand, st.integers(2, LONGEST), strategies.SEEDS)


many_features = many_rows({"x": Axes(("n", "d"))})
"""Ordinary rows, for the law about drift."""


def exact_shift(x: Tensor) -> Tensor:
    """Return ``x - x_0`` for rows where it is exact in the format, and ``x`` for other rows."""
    return usual_laws.replace_exact_rows(x, gaps(to_array(x)))


# Exact values


def gaps(x: Array) -> DoubleDouble:
    """``x - x_0`` along the last axis, exactly."""
    return dd.two_sum(x, -x[..., :1])


def deviations(x: Array) -> DoubleDouble:
    """``x - mean(x)``, computed from exact gaps so that a common offset costs no digits."""
    gap = gaps(x)
    return gap - dd.total(gap, keepdims=True) / float(x.shape[-1])


def quotient(x: DoubleDouble, y: DoubleDouble) -> DoubleDouble:
    """``x / y`` for an ``x`` that may be subnormal: scaling it up for the division preserves the remainder."""
    up = np.where(np.abs(x.hi) < 2.0**-700, 2.0**300, 1.0)
    scaled_up = DoubleDouble(x.hi * up, x.lo * up) / y
    return DoubleDouble(scaled_up.hi / up, scaled_up.lo / up)


def scale(x: Array, eps: float = 1.0) -> Array:
    """A power of two for each row, such that squares of the scaled entries do not overflow float64.

    Without ``eps`` they do not underflow either.
    """
    largest = np.abs(x).max(-1, keepdims=True)
    large = np.where(largest > 2.0**500, 2.0**-600, 1.0)
    return large if eps else np.where((largest > 0.0) & (largest < 2.0**-400), 2.0**600, large)


def scaled_eps(eps: float, factor: Array) -> Array:
    """``eps`` for scaled rows; if it would underflow, a number that is negligible next to any nonzero deviation."""
    return np.maximum(eps * factor * factor, 2.0**-900 if eps else 0.0)


# Bounds


def mean_error(x: Array, format_: Format) -> Array:
    """``delta`` of the module's notes, with the last axis retained."""
    work = format_.accumulator
    with np.errstate(over="ignore"):
        # Use halves, because the sum of the largest numbers overflows float64.
        absolute = 2.0 * (np.abs(x) / 2.0 / x.shape[-1]).sum(-1, keepdims=True)
        return np.asarray(np.expm1(x.shape[-1] * work.u) * absolute + work.smallest)


def spread(x: Array) -> tuple[Array, Array]:
    """``x - mean(x)`` and the root of its mean square, in float64, the latter with the last axis retained."""
    factor = scale(x)
    deviation = deviations(x * factor).hi
    with np.errstate(over="ignore"):
        return deviation / factor, np.sqrt((deviation**2).mean(-1, keepdims=True)) / factor


LEAST_EPS = 1e-37
"""Smallest eps that is a normal number of float32; squares that underflow are negligible next to it."""


def underflown(s: Array, eps: float, format_: Format) -> Array:
    """The relative error that underflowing squares add to the root of their mean.

    Each square and their mean err by at most half of the accumulator's smallest subnormal; the root halves the relative
    error of the mean. If that exceeds a quarter, the computed mean may be zero: the result is ``inf``, and nothing is
    checked.
    """
    if eps >= LEAST_EPS:
        return np.zeros(s.shape)
    with np.errstate(divide="ignore", under="ignore", over="ignore"):
        relative = format_.accumulator.smallest / s / s
    return np.where(relative >= 0.25, np.inf, relative)


def cube_overflows(s: Array, work: Format) -> Array:
    """Return where the derivative of a reciprocal root, its cube, overflows in the usual autograd form."""
    return np.asarray(s < 4.0 * work.max ** (-1.0 / 3.0))


def compare_within(actual: Tensor, expected: DoubleDouble, absolute: Array, format_: Format) -> Measurement:
    """Compare in ulp of the exact value, within an absolute error.

    Values that cancel to zero are counted in float64's subnormals; if the bound in these units overflows, bound and
    deviation are reduced in proportion. Elements with an infinite admissible error are not checked.
    """
    measured = compare(actual, expected, convert_to_ulp(absolute, expected, format_), format_)
    free = np.isposinf(absolute)
    measured = replace(measured, deviation=np.where(free, 0.0, measured.deviation), free=free if free.any() else None)
    out_of_range = np.isinf(measured.bound) & np.isfinite(absolute) & np.isfinite(measured.actual)
    if not out_of_range.any():
        return measured
    maximum = np.finfo(np.float64).max
    with np.errstate(over="ignore", invalid="ignore"):
        share = np.abs(measured.actual - measured.expected) / absolute * maximum
    deviation = np.where(out_of_range, share, measured.deviation)
    return replace(measured, deviation=deviation, bound=np.where(out_of_range, maximum, measured.bound))


def exact_value(oracle: Oracle, bound: Callable[..., Array], *conventions: str) -> Exact:
    """Return the exact values of rows, with an admissible error ``bound(x, *conventions, format)``."""

    def error(x: Tensor, *rest: Any) -> Array:
        *declared, _, format_ = rest
        return bound(to_array(x), *declared, format_)

    return Exact(("x",), oracle, error, conventions, compare_within)


def exact_gradient(pullback: Oracle, bound: Callable[..., Array], *conventions: str) -> Exact:
    """Return exact gradients, with an admissible error of ``bound(x, cotangent, *conventions, format)`` when stored."""

    def error(x: Tensor, cotangent: Tensor, *rest: Any) -> Array:
        *declared, expected, format_ = rest
        return stored(bound(to_array(x), to_array(cotangent), *declared, format_), expected, format_)

    return Exact(("x", "cotangent"), pullback, error, conventions, compare_within)


def stored(absolute: Array, expected: DoubleDouble, format_: Format) -> Array:
    """Absolute error of a result that is computed in the accumulator's format and then rounded to the format."""
    rounded = absolute + format_.u * (np.abs(expected.hi) + absolute) + format_.smallest
    return np.where(np.isposinf(absolute), np.inf, rounded)


def in_units_of_one(actual: Array, reference: Array, absolute: Array, format_: Format) -> Measurement:
    """Measure values of order one in ulp of one; a non-finite reference leaves the deviation infinite."""
    unit = 2.0 * format_.u
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs(actual - reference)
        deviation = np.where(np.isfinite(error), error, np.inf) / unit
        return Measurement(np.where(np.isposinf(absolute), 0.0, deviation), absolute / unit, actual, reference)


# Laws


def infinite_entry(exact: Exact, statement: str, inputs: Inputs) -> Law:
    """Return the law about rows with an infinite entry, whose mean is infinite or NaN."""
    return usual_laws.rows_become(
        exact,
        "infinite_entry",
        statement,
        rows=lambda x: x.isinf().any(-1).numpy(),
        expected=np.nan,
        source="inf - inf",
        cause="infinities are dropped or clipped before the mean is taken: let IEEE arithmetic decide",
        inputs=one_infinite(inputs),
    )


# Rays


def sized(name: str, start: Limit, end: Limit, *laws: Law) -> Ray:
    """Rows of one magnitude and both signs."""

    def example(t: Tensor, _: Format) -> Example:
        return _with_cotangent(t[:, None] * torch.tensor([1.0, -1.0], dtype=t.dtype).repeat(COLUMNS // 2))

    return Ray(name, "t (1, -1, ..., 1, -1)", example, end, start, columns=COLUMNS, laws=laws)


def moved(end: Limit, *laws: Law) -> Ray:
    """Rows that move away from zero with a constant spread, until the spread is below their last digit."""

    def example(t: Tensor, _: Format) -> Example:
        return _with_cotangent(t[:, None] + torch.tensor([1.0, 0.0], dtype=t.dtype).repeat(COLUMNS // 2))

    return Ray("offset", "t + (1, 0, ..., 1, 0)", example, end, columns=COLUMNS, laws=laws)


def neighbouring(end: Limit, *laws: Law) -> Ray:
    """Rows of two adjacent numbers."""

    def example(t: Tensor, _: Format) -> Example:
        neighbor = torch.nextafter(t, torch.full_like(t, torch.inf))
        return _with_cotangent(torch.stack([t, neighbor], 1).repeat(1, COLUMNS // 2))

    return Ray("neighbours", "(t, t + ulp, ..., t, t + ulp)", example, end, lambda _: 1.0, columns=COLUMNS, laws=laws)


def _with_cotangent(rows: Tensor) -> Example:
    """Rows with a cotangent of one at their first output."""
    return {"x": rows, "cotangent": torch.nn.functional.pad(torch.ones_like(rows[:, :1]), (0, COLUMNS - 1))}


def of_every_operation(value: Law, gradient: Law) -> tuple[Law, ...]:
    """Derive the laws of every operation for one on rows of features; see :func:`usual_laws.of_every_operation`."""
    return usual_laws.of_every_operation(value, gradient, long=long_examples, cause=LONG_ROWS, many=many_features)
