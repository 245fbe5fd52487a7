r"""What the contracts on the moments of rows share: structured rows, exact shifts and deviations, the mean's error.

Arithmetic is that of a careful implementation: everything in the accumulator's format, which is float32 for the 16-bit
formats and the format itself for the others, and one rounding to the format at the end. The accumulator's unit roundoff
is :math:`u_a`, its smallest subnormal :math:`\lambda`.

The mean of :math:`d` entries errs by :math:`|\delta| \le d u_a A` with :math:`A = \mathrm{mean}|x|`: the sum by
:math:`(d - 1) u_a`, the division by :math:`u_a`, and :math:`\lambda` where it underflows. That is no small number
beside the deviations :math:`x_i - m` where they are small beside :math:`m`: the condition number of a row.

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
from numpy.random import Generator
from torch import Tensor

from harness.floats import (
    Array,
    DoubleDouble,
    Format,
    Measurement,
    compare,
    from_ordinal,
    in_ulp,
    to_array,
    to_ordinal,
)
from harness.floats import double_double as dd
from harness.laws import COLUMNS, AnyNumber, Axes, Example, Inputs, Law, Limit, Ray, Subject, many_rows
from harness.laws.strategies import (
    SEEDS,
    Shape,
    batches,
    companions,
    extremes,
    lengths,
    long_rows,
    mixed_magnitudes,
    normal,
    ramp,
    spike,
    ties,
    uniform_offset,
)

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
"""Likely cause of a gradient that loses its digits on large rows, and why that is no defect."""

UNSCALED = "scaling a row first takes one more pass over it, and no library does so"
"""Why it is no defect where the squares of a row overflow float32."""

DOMAIN = (
    "finite rows, |x| <= sqrt(max) / 32, and max / 2 in float16, so that a sum of 32 squares does not overflow "
    "float32; some laws also use larger numbers, infinities and NaN"
)

LONGEST = 32
"""Columns of an ordinary row at most; the domains are such that its sum of squares does not overflow."""


def largest_square_root(format_: Format) -> float:
    """Bound on ``|x|``: no sum of 32 squared differences overflows the accumulator, nor that of the doubled row."""
    return float(np.sqrt(format_.accumulator.max)) / LONGEST


def largest_normalised(format_: Format) -> float:
    """Bound on ``|x|`` where the output is of order one whatever the input: the doubled row is finite, too."""
    return min(largest_square_root(format_), format_.max / 2.0)


# Inputs


def narrow(rng: Generator, shape: Shape, magnitude: Array, format_: Format) -> Array:
    """Entries around the magnitude, whose relative spread is anything from a few roundings to one."""
    spread = np.exp2(np.log2(format_.u) * rng.random((shape.rows, 1)))
    sign = rng.choice(np.array([-1.0, 1.0]), size=(shape.rows, 1))
    return np.asarray(sign * magnitude * (1.0 + spread * rng.standard_normal(shape)))


def outlier(rng: Generator, shape: Shape, magnitude: Array, format_: Format) -> Array:
    """Entries a few ulp apart, and one elsewhere."""
    rows = magnitude * (1.0 + 2.0 * format_.u * rng.integers(-4, 5, size=shape))
    at = np.arange(shape.rows), rng.integers(shape.columns, size=shape.rows)
    rows[at] *= rng.choice(np.array([-1.0, 0.0, 0.5, 1.0]), size=shape.rows)
    return np.asarray(rows)


def neighbours(rng: Generator, shape: Shape, magnitude: Array, format_: Format) -> Array:
    """One number and the next one: their mean has no place between them, and some rows are constant."""
    start = rng.choice(np.array([-1.0, 1.0]), size=(shape.rows, 1)) * magnitude * (1.0 + rng.random((shape.rows, 1)))
    number = torch.from_numpy(start).to(format_.dtype)
    near = to_ordinal(number) + rng.integers(0, 2, size=shape) * (rng.random((shape.rows, 1)) < 0.75)
    return to_array(from_ordinal(near, format_))


STRUCTURES = (normal, spike, uniform_offset, ties, ramp, mixed_magnitudes, narrow, outlier, neighbours)


def rows_and_cotangents(
    largest: Callable[[Format], float], *, cotangent: Callable[[Tensor], Tensor] = lambda rows: rows
) -> Inputs:
    """Structured rows ``[n, d]``, and weights of the outputs for the gradient's law.

    Parameters
    ----------
    largest
        Bound on the absolute value of an entry, in a format.
    cotangent
        A tensor of the output's shape, given the rows.
    """

    def inputs(format_: Format) -> st.SearchStrategy[Example]:
        def expand(x: Tensor, seed: int) -> Example:
            return {"x": x, "cotangent": companions(cotangent(x), np.random.default_rng(seed))}

        drawn = batches(format_, structures=STRUCTURES, largest=largest(format_), columns=(1, LONGEST))
        return st.builds(expand, drawn, SEEDS)

    return inputs


def constant_rows(format_: Format) -> st.SearchStrategy[Example]:
    """A power of two of equal entries ``c 2^k``, ``|c| < 128``: sums and mean are exact in the accumulator."""

    def expand(rows: int, columns: int, seed: int) -> Example:
        rng = np.random.default_rng(seed)
        entries = rng.integers(-127, 128, size=(rows, 1)) * np.exp2(rng.integers(-4, 5, size=(rows, 1)))
        return {"x": torch.from_numpy(np.repeat(entries, columns, axis=1)).to(format_.dtype)}

    return st.builds(expand, lengths(16, 128), st.sampled_from([1, 2, 4, 8, 16, LONGEST]), SEEDS)


def one_infinite(inputs: Inputs) -> Inputs:
    """Rows of which every third has one infinity, of either sign."""

    def with_infinities(format_: Format) -> st.SearchStrategy[Example]:
        def expand(example: Example) -> Example:
            x = example["x"].clone()
            at = torch.arange(0, len(x), 3)
            x[at, at % x.shape[1]] = torch.where(at % 2 == 0, torch.inf, -torch.inf).to(x.dtype)
            return {**example, "x": x}

        return inputs(format_).map(expand)

    return with_infinities


def some_zero_rows(inputs: Inputs) -> Inputs:
    """Rows of which every third is nothing but zeros."""

    def with_zeros(format_: Format) -> st.SearchStrategy[Example]:
        def expand(example: Example) -> Example:
            zero = torch.arange(len(example["x"])) % 3 == 0
            return {**example, "x": example["x"].masked_fill(zero[:, None], 0.0)}

        return inputs(format_).map(expand)

    return with_zeros


def extreme_rows(largest: Callable[[Format], float]) -> Inputs:
    """Rows of special numbers, none of them beyond the largest."""

    def inputs(format_: Format) -> st.SearchStrategy[Example]:
        limit = largest(format_)
        return extremes(format_).map(lambda x: {"x": x.clamp(-limit, limit)})

    return inputs


def long_examples(format_: Format) -> st.SearchStrategy[Example]:
    """Rows of up to 65,536 near-equal entries."""
    return long_rows(format_).map(lambda x: {"x": x})


def sizes_of_rows(format_: Format) -> st.SearchStrategy[Example]:
    """Rows of every size from one down to 2^-56, whose squares are normal numbers: there small epsilons differ."""
    return _rows_of_sizes(format_, -56.0, 0.0).map(lambda x: {"x": x})


def large_rows_and_cotangents(format_: Format) -> st.SearchStrategy[Example]:
    """Rows of every size from one up to the largest normalised, and weights of the outputs."""
    rows = _rows_of_sizes(format_, 0.0, float(np.log2(largest_normalised(format_))) - 1.0)
    return st.builds(
        lambda x, seed: {"x": x, "cotangent": companions(x, np.random.default_rng(seed))},
        rows,
        SEEDS,
    )


def _rows_of_sizes(format_: Format, first: float, last: float) -> st.SearchStrategy[Tensor]:
    """57 rows whose sizes are powers of two, from one exponent to another."""

    def expand(columns: int, seed: int) -> Tensor:
        rng = np.random.default_rng(seed)
        size = np.exp2(np.linspace(first, last, 57))[:, None]
        x = torch.from_numpy(size * rng.choice([-1.0, 1.0], size=(57, columns)) * rng.uniform(1.0, 2.0, (57, columns)))
        return x.to(format_.dtype)

    return st.builds(expand, st.integers(2, LONGEST), SEEDS)


many_features = many_rows({"x": Axes(("n", "d"))})
"""Ordinary rows, for the law of drift."""


def exact_shift(x: Tensor) -> Tensor:
    """Return ``x - x_0`` row by row where it is exact in the format, and ``x`` where it is not."""
    gap = gaps(to_array(x))
    shifted = torch.from_numpy(gap.hi).to(x.dtype)
    is_exact = ((to_array(shifted) == gap.hi) & (gap.lo == 0.0)).all(-1, keepdims=True)
    return torch.where(torch.from_numpy(is_exact), shifted, x)


# Exact


def gaps(x: Array) -> DoubleDouble:
    """``x - x_0`` along the last axis, exactly."""
    return dd.two_sum(x, -x[..., :1])


def deviations(x: Array) -> DoubleDouble:
    """``x - mean(x)``: the mean of the exact gaps is taken off, so that a common offset costs no digits."""
    gap = gaps(x)
    return gap - dd.total(gap, keepdims=True) / float(x.shape[-1])


def exact_deviations(x: Any) -> Any:
    """``x - mean(x)`` in ball arithmetic, such that a zero is exactly zero."""
    return (x * x.shape[-1] - x.sum(-1, keepdims=True)) / x.shape[-1]


def root(x: DoubleDouble) -> DoubleDouble:
    """Square root of what is not negative: one Newton step on that of the high part."""
    start = np.sqrt(x.hi)
    with np.errstate(divide="ignore", invalid="ignore"):
        refined = dd.lift(start) + (x - dd.two_product(start, start)) / (2.0 * start)
    exact = np.isinf(start) | (start == 0.0)
    return DoubleDouble(np.where(exact, start, refined.hi), np.where(exact, 0.0, refined.lo))


def quotient(x: DoubleDouble, y: DoubleDouble) -> DoubleDouble:
    """``x / y``, where ``x`` may be subnormal: it is scaled up for the division, which would lose its remainder."""
    up = np.where(np.abs(x.hi) < 2.0**-700, 2.0**300, 1.0)
    scaled_up = DoubleDouble(x.hi * up, x.lo * up) / y
    return DoubleDouble(scaled_up.hi / up, scaled_up.lo / up)


def scale(x: Array, eps: float = 1.0) -> Array:
    """A power of two for each row such that squares of the scaled entries do not overflow float64.

    Nor underflow, where nothing is added to them.
    """
    largest = np.abs(x).max(-1, keepdims=True)
    large = np.where(largest > 2.0**500, 2.0**-600, 1.0)
    return large if eps else np.where((largest > 0.0) & (largest < 2.0**-400), 2.0**600, large)


def scaled_eps(eps: float, factor: Array) -> Array:
    """``eps`` for scaled rows; where it would underflow it is nothing beside any deviation but zero."""
    return np.maximum(eps * factor * factor, 2.0**-900 if eps else 0.0)


# Bounds


def mean_error(x: Array, format_: Format) -> Array:
    """The module's ``delta``, keeping the last axis."""
    work = format_.accumulator
    with np.errstate(over="ignore"):
        # Means of halves, since the sum of the largest numbers overflows float64.
        absolute = 2.0 * (np.abs(x) / 2.0 / x.shape[-1]).sum(-1, keepdims=True)
        return np.asarray(np.expm1(x.shape[-1] * work.u) * absolute + work.smallest)


def spread(x: Array) -> tuple[Array, Array]:
    """``x - mean(x)`` and the root of its mean square, in float64, the latter keeping the last axis."""
    factor = scale(x)
    deviation = deviations(x * factor).hi
    with np.errstate(over="ignore"):
        return deviation / factor, np.sqrt((deviation**2).mean(-1, keepdims=True)) / factor


LEAST_EPS = 1e-37
"""Smallest eps that is a normal number of float32; squares that underflow are negligible next to it."""


def underflown(s: Array, eps: float, format_: Format) -> Array:
    """What the underflow of squares adds to the relative error of the root of their mean.

    Each square and the mean of them err by half the accumulator's smallest subnormal at most, the root by half of
    what that is of the mean. Where it is more than a quarter the computed mean may be zero: ``inf``, nothing is asked.
    """
    if eps >= LEAST_EPS:
        return np.zeros(s.shape)
    with np.errstate(divide="ignore", under="ignore", over="ignore"):
        relative = format_.accumulator.smallest / s / s
    return np.where(relative >= 0.25, np.inf, relative)


def cube_overflows(s: Array, work: Format) -> Array:
    """Where the derivative of a reciprocal root, its cube, overflows: as autograd has it of what libraries ship."""
    return np.asarray(s < 4.0 * work.max ** (-1.0 / 3.0))


def compare_within(actual: Tensor, expected: DoubleDouble, absolute: Array, format_: Format) -> Measurement:
    """Compare in ulp of the exact value, within an absolute error.

    What cancels to zero is counted in float64's subnormals; where the bound is too many of them for a number, bound and
    deviation are cut in proportion. Where the error may be infinite, nothing is asked.
    """
    measured = compare(actual, expected, in_ulp(absolute, expected, format_), format_)
    free = np.isposinf(absolute)
    measured = replace(measured, deviation=np.where(free, 0.0, measured.deviation), free=free if free.any() else None)
    beyond = np.isinf(measured.bound) & np.isfinite(absolute) & np.isfinite(measured.actual)
    if not beyond.any():
        return measured
    most = np.finfo(np.float64).max
    with np.errstate(over="ignore", invalid="ignore"):
        share = np.abs(measured.actual - measured.expected) / absolute * most
    deviation = np.where(beyond, share, measured.deviation)
    return replace(measured, deviation=deviation, bound=np.where(beyond, most, measured.bound))


def unless_infinite(absolute: Array, deviation: Array) -> Array:
    """Deviations, and zero where any error is admissible."""
    return np.where(np.isposinf(absolute), 0.0, deviation)


def stored(absolute: Array, expected: DoubleDouble, format_: Format) -> Array:
    """Absolute error of a result that is rounded to the format after it was computed in the accumulator's."""
    rounded = absolute + format_.u * (np.abs(expected.hi) + absolute) + format_.smallest
    return np.where(np.isposinf(absolute), np.inf, rounded)


def in_units_of_one(actual: Array, reference: Array, absolute: Array, format_: Format) -> Measurement:
    """Measure what is of order one in ulp of one; a reference that is not finite leaves the deviation infinite."""
    unit = 2.0 * format_.u
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs(actual - reference)
        deviation = unless_infinite(absolute, np.where(np.isfinite(error), error, np.inf) / unit)
        return Measurement(deviation, absolute / unit, actual, reference)


def mean_square_at_most_one(actual: Array, absolute: Array, format_: Format) -> Measurement:
    """Measure how far the mean square of a row is above one, given the entries' absolute errors; NaN is above any."""
    with np.errstate(invalid="ignore", over="ignore"):
        square = (actual**2).mean(-1)
        bound = (2.0 * np.abs(actual) * absolute + absolute**2).mean(-1)
        bound = np.where(np.isposinf(absolute).any(-1), np.inf, bound)
        reference = np.where(square <= 1.0, square, 1.0)
    return in_units_of_one(square, reference, bound, format_)


def between_once_and_twice(normalise: Subject, x: Tensor, absolute: Array) -> Measurement:
    """Measure how far outputs for ``2 x`` are from lying between those for ``x`` and the doubles of those."""
    once, doubled = to_array(normalise(x)), to_array(normalise(2.0 * x))
    with np.errstate(over="ignore"):
        nearest = np.clip(doubled, np.minimum(once, 2.0 * once), np.maximum(once, 2.0 * once))
    return in_units_of_one(doubled, nearest, absolute, normalise.format)


# Rays


def sized(name: str, start: Limit, end: Limit, *laws: Law) -> Ray:
    """Rows of one magnitude and both signs."""

    def example(t: Tensor, _: Format) -> Example:
        return _with_cotangent(t[:, None] * torch.tensor([1.0, -1.0], dtype=t.dtype).repeat(COLUMNS // 2))

    return Ray(name, "t (1, -1, ..., 1, -1)", example, end, start, columns=COLUMNS, laws=laws)


def moved(end: Limit, *laws: Law) -> Ray:
    """Rows that move away from zero with a spread that stays, until it is below their last digit."""

    def example(t: Tensor, _: Format) -> Example:
        return _with_cotangent(t[:, None] + torch.tensor([1.0, 0.0], dtype=t.dtype).repeat(COLUMNS // 2))

    return Ray("offset", "t + (1, 0, ..., 1, 0)", example, end, columns=COLUMNS, laws=laws)


def neighbouring(end: Limit, *laws: Law) -> Ray:
    """Rows of two numbers next to each other."""

    def example(t: Tensor, _: Format) -> Example:
        beside = torch.nextafter(t, torch.full_like(t, torch.inf))
        return _with_cotangent(torch.stack([t, beside], 1).repeat(1, COLUMNS // 2))

    return Ray("neighbours", "(t, t + ulp, ..., t, t + ulp)", example, end, lambda _: 1.0, columns=COLUMNS, laws=laws)


def _with_cotangent(rows: Tensor) -> Example:
    """Rows with a cotangent of one at their first output."""
    return {"x": rows, "cotangent": torch.nn.functional.pad(torch.ones_like(rows[:, :1]), (0, COLUMNS - 1))}
