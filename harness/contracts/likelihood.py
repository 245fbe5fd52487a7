r"""The Gaussian negative log-likelihood, which is minimized by least squares.

:math:`\ell = \mathrm{mean}_i \tfrac12 \left(\ln \sigma_i^2 + (y_i - \mu_i)^2 / \sigma_i^2\right)`, without the
constant :math:`\tfrac12 \ln 2\pi`. With one variance for all rows, its gradient in the mean is :math:`1 / (2\sigma^2)`
times the gradient of the mean squared error, so both have the same minimizer. This is a property of Gaussian noise: a
Laplace likelihood breaks it, and so does a variance that depends on the mean.

References
----------
A. Zhang, Z. Lipton, M. Li, A. Smola (2023), *Dive into Deep Learning*, section 3.1.3, "The
Normal Distribution and Squared Loss".
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.contracts.building_blocks import usual_laws
from harness.contracts.building_blocks.definition import Definition
from harness.contracts.building_blocks.predictions import LONG, alternating, infinite_errors, infinite_pairs, pairs
from harness.contracts.building_blocks.reduction import REDUCTIONS, averaged, oracle_of_loss, oracle_of_slope
from harness.contracts.building_blocks.usual_laws import Exact
from harness.floats import Array, DoubleDouble, Format, Measurement, compare, compare_absolute, portable, to_array
from harness.floats.oracle import exact_sum
from harness.laws import AnyNumber, Axes, Contract, Example, Ray, Subject, law
from harness.laws.strategies import SEEDS, long_rows, make_inputs, make_tensors

SOURCE = "Dive into Deep Learning (2023), section 3.1.3"
FLOOR = (
    "the variance has a lower limit (1e-6 in F.gaussian_nll_loss), or an epsilon is added to it: scale the data first"
)

FLOORS = AnyNumber((0.0, 1e-6), least=0.0, most=2.0**-7)
"""Lower limit of variances: zero, or a number below the variances of ordinary rows."""


# Oracle


_TEXT = "(m, y, v): (log(v) + (y - m) ** 2 / v) / 2"
_ROWS, _IN_MEAN, _IN_VARIANCE = (Definition(_TEXT, by) for by in ("", "m", "v"))

value_oracle = oracle_of_loss(_ROWS.screen, _ROWS.exact)
gradient_oracle = oracle_of_slope(_IN_MEAN.screen, _IN_MEAN.exact)
variance_gradient_oracle = oracle_of_slope(_IN_VARIANCE.screen, _IN_VARIANCE.exact)


# Bounds


def _value_error(*arguments: Any) -> Array:
    """Mean of ``u (2 |ln v| + 5 r)``, and the sums' errors."""
    *inputs, reduction, _, format_ = arguments
    m, y, v = map(to_array, inputs)
    with np.errstate(invalid="ignore"):
        log_term, square_term = np.abs(np.log(v)), (y - m) ** 2 / v
    n = m.shape[-1]
    # Per row: a faithful logarithm and its storing, five roundings in the square, the addition; halving is exact.
    rows = format_.u * (4.0 * log_term + 7.0 * square_term) / 2.0 + format_.smallest / v
    summing = (n * format_.u_accumulator + 3.0 * format_.u) * (log_term + square_term) / 2.0
    absolute = rows + summing
    if reduction != "none":
        absolute = absolute.sum(-1) / (n if reduction == "mean" else 1)
    return np.asarray(absolute * (1.0 + 16.0 * format_.u))


def _gradient_error(*arguments: Any) -> Array:
    """``8 u`` relatively, and four subnormals before and after the division."""
    _mean, _target, variance, _, expected, format_ = arguments
    underflow = 4.0 * format_.smallest * (1.0 + 1.0 / to_array(variance))
    return np.asarray(8.0 * format_.u * np.abs(expected.hi) + underflow)


def _error_in_variance(*arguments: Any) -> Array:
    """``u (8 / v + 19 r / v) / (2 n)``, and subnormals over ``v`` twice."""
    *inputs, reduction, _, format_ = arguments
    m, y, v = map(to_array, inputs)
    # Each rounding counts once for each place where it enters: sqrt(v), its square, its inverse, and the quotient.
    terms = format_.u * (8.0 / v + 19.0 * (y - m) ** 2 / v**2) / 2.0 * (1.0 + 16.0 * format_.u)
    return np.asarray(averaged(terms, reduction) + 2.0 * format_.smallest * (1.0 + 1.0 / v) ** 2)


# Laws


@dataclass(frozen=True)
class _Floored(Exact):
    """Exact values for variances raised to the case's declared floor, in the case's format."""

    def value(self, subject: Subject, *inputs: Any) -> DoubleDouble:
        """Return the exact value under the case's declared conventions."""
        return super().value(subject, *_floored(subject, *inputs))

    def _error(self, subject: Subject, expected: DoubleDouble, *inputs: Any) -> Array:
        return super()._error(subject, expected, *_floored(subject, *inputs))


def _floored(subject: Subject, mean: Tensor, target: Tensor, variance: Tensor) -> tuple[Tensor, ...]:
    return mean, target, variance.clamp(min=float(subject.declares["floor"]))


_INPUTS = ("mean", "target", "variance")
_GRADIENT = _Floored(_INPUTS, gradient_oracle, _gradient_error, ("reduction",))

value = usual_laws.value(
    _Floored(_INPUTS, value_oracle, _value_error, ("reduction",)),
    "gaussian_nll equals the mean of (ln v + (target - mean)^2 / v) / 2.",
    source=SOURCE,
    bound="mean of u (2 |ln v| + 5 r), r = (target - mean)^2 / v, plus the error of the sums",
    cause="sigma replaces sigma^2, a factor 1/2 is missing, or the constant ln(2 pi) / 2 is included: use the "
    "formula of the statement",
)


def _gradient_of_mean(nll: Subject, mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    return nll.gradient((mean, target, variance))


@law(
    "With equal variances, the gradient of the Gaussian NLL is 1 / (2 variance) times that of the mean squared error.",
    source=SOURCE,
    bound="relative 8 u, plus four subnormals before and after the division",
    cause="the noise is not Gaussian, the variance enters squared or as its root, or it depends on the mean: "
    "divide the squared error by the variance",
    group="equivalence",
)
def gradient_is_scaled_squared_error(nll: Subject, mean: Tensor, target: Tensor, variance: Tensor) -> Measurement:
    """Compare with the exact gradient of the squared error, scaled."""
    one_variance = variance[..., :1].expand_as(variance)
    return _GRADIENT.measure(nll, _gradient_of_mean(nll, mean, target, one_variance), mean, target, one_variance)


@law(
    "If n is a power of two and the variance a power of four, the two gradients agree bit for bit.",
    source="scaling by a power of two is exact, also by the root of the variance",
    bound="no tolerance for normal numbers",
    cause="the gradient is computed from an expression other than a scaled difference: use the difference itself",
    group="equivalence",
)
def gradients_agree_exactly(nll: Subject, mean: Tensor, target: Tensor, variance: Tensor) -> Measurement:
    """Compare with the rounded difference, scaled exactly."""
    n = 2 ** (mean.shape[-1].bit_length() - 1)
    mean, target = mean[..., :n], target[..., :n]
    nearest = portable.exp2(2.0 * np.rint(portable.log2(to_array(variance[..., :1])) / 2.0))
    power = torch.from_numpy(nearest).to(mean.dtype).expand_as(mean)
    divisor = to_array(power) * (n if nll.declares["reduction"] == "mean" else 1)
    reference = to_array(mean - target) / divisor
    # A subnormal quotient has one more rounding, and so may each intermediate result.
    bound = np.where(np.abs(reference) >= 64.0 * n * nll.format.tiny, 0.0, 4.0 * np.maximum(1.0, 1.0 / divisor))
    return compare(_gradient_of_mean(nll, mean, target, power), reference, bound, nll.format)


@law(
    "With equal variances, the least-squares fit also minimizes the Gaussian NLL: its gradient in the weights "
    "vanishes.",
    source=SOURCE,
    bound="sum_i |x_ij| u (10 |r_i| + 2 |m_i|) / (n v)",
    cause="the likelihood has another minimizer than least squares, because its noise is not Gaussian with one "
    "variance: use the squared error over the variance",
    group="equivalence",
    unit="ulp of 1",
)
def least_squares_minimises(nll: Subject, design: Tensor, response: Tensor, variance: Tensor) -> Measurement:
    """Fit by least squares in float64, then examine the gradient of the NLL in the weights there."""
    fitted = torch.linalg.lstsq(design, response.unsqueeze(-1)).solution
    mean = (design @ fitted).squeeze(-1).to(nll.format.dtype)
    target, one_variance = response.to(nll.format.dtype), variance[:, :1].expand(len(variance), design.shape[1])
    slope = to_array(_gradient_of_mean(nll, mean, target, one_variance.contiguous()))
    x = to_array(design)
    scale = to_array(one_variance) * (x.shape[1] if nll.declares["reduction"] == "mean" else 1)
    residual, fit = np.abs(to_array(response - mean.double())), np.abs(to_array(mean))
    # Rounding mean and target moves each residual by u (|m| + |y|) with |y| <= |m| + |r|.
    per_row = nll.format.u * (10.0 * residual + 3.0 * fit) + 2.0 * nll.format.smallest
    # A non-finite gradient, or a design during shrinking, may leave the range of float64.
    with np.errstate(over="ignore", invalid="ignore"):
        absolute = (np.abs(x) * (per_row / scale)[..., None]).sum(1) + 1e-12 * np.abs(x).sum(1)
        terms = torch.from_numpy(np.swapaxes(x * slope[..., None], 1, 2).copy())
    actual = exact_sum(terms)
    return compare_absolute(actual.hi + actual.lo, np.zeros(absolute.shape), absolute, nll.format)


gradient = usual_laws.gradient(
    _GRADIENT,
    "The gradient of the Gaussian NLL in the mean is (mean - target) / (n variance), with the variance of each row.",
    source="chain rule",
    bound="relative 8 u, plus four subnormals before and after the division",
    cause="the variance is clamped or depends on the mean, the noise is not Gaussian, or the difference is "
    "detached: use the variance of each row unchanged",
)

gradient_in_variance = usual_laws.gradient(
    Exact(_INPUTS, variance_gradient_oracle, _error_in_variance, ("reduction",)),
    "The gradient of the Gaussian NLL in the variance is (1 / v - (target - mean)^2 / v^2) / (2 n).",
    name="gradient_in_variance",
    of=2,
    source="chain rule; the errors of the derivatives of the logarithm and the quotient, which may cancel",
    bound="u (8 / v + 19 r / v) / (2 n), r = (target - mean)^2 / v, also for a derivative through sigma, plus "
    "subnormals over v twice",
    cause="the variance is detached from one of the two terms, or the derivative is taken in sigma: differentiate "
    "both terms in the variance",
)


# Inputs


@make_inputs(st.integers(4, 64), st.integers(1, 16))
def _extreme_variances(format_: Format, groups: int, n: int, rng: np.random.Generator) -> Example:
    """Variances from the smallest normal number upwards, with means and targets of the size of their root.

    The variances and their inverses are normal numbers, and in float64 squares stay where double-double is exact.
    """
    low = max(float(portable.log2(format_.tiny)), -900.0)
    variance = portable.exp2(rng.uniform(low, -low - 10.0, size=(groups, 1)) + rng.uniform(0.0, 1.0, size=(groups, n)))
    mean, target = portable.standard_normal(rng, (2, groups, n)) * np.sqrt(variance)
    return make_tensors(format_, mean=mean, target=target, variance=variance)


def _with_variance_two(mean: Tensor, target: Tensor) -> Example:
    return {"mean": mean, "target": target, "variance": torch.full_like(mean, 2.0)}


def _long(format_: Format) -> st.SearchStrategy[Example]:
    """Up to 65,536 rows of variance two."""

    def expand(rows: Tensor) -> Example:
        target = alternating(rows)
        return _with_variance_two(rows + target, target)

    return long_rows(format_).map(expand)


def _samples(format_: Format) -> st.SearchStrategy[Example]:
    """Means, targets and variances ``[g, n]``, and for the fit a design ``[g, r, 2]`` with responses ``[g, r]``."""
    largest = float(np.sqrt(format_.max / 2.0**12)) / 2.0

    def expand(pair: tuple[Tensor, Tensor], seed: int) -> Example:
        mean, target = pair
        rng = np.random.default_rng(seed)
        groups, n = mean.shape
        rows = 16
        # Many variances are near one, where the logarithm is small and cancellation is visible.
        spread = rng.random((groups, 1))
        spread = spread * spread * spread
        variance = portable.exp2(rng.uniform(-6.0, 6.0, size=(groups, n)) * spread)
        design = np.stack([np.ones((groups, rows)), portable.standard_normal(rng, (groups, rows))], axis=-1)
        # Exponential noise has different mean and median, so that other likelihoods have different fits.
        noise = -portable.log(1.0 - rng.random((groups, rows))) - 1.0
        response = 0.5 - design[..., 1] + noise
        data = {"design": torch.from_numpy(design), "response": torch.from_numpy(response)}
        return {"mean": mean, "target": target, **make_tensors(format_, variance=variance), **data}

    return st.builds(expand, pairs(format_, largest), SEEDS)


_AT_EXTREME_VARIANCES = (
    value.derive_special(
        _extreme_variances,
        "value_at_extreme_variances",
        "The value is also right for variances down to the smallest normal number.",
        cause=FLOOR,
    ),
    gradient.derive_special(
        _extreme_variances,
        "gradient_at_extreme_variances",
        "The gradient is also right for variances down to the smallest normal number.",
        cause=FLOOR,
    ),
)


def _small_noise(t: Tensor, _: Format) -> Example:
    variance = t[:, None]
    return {"mean": torch.zeros_like(variance), "target": torch.full_like(variance, 0.125), "variance": variance}


GAUSSIAN_NLL = Contract(
    "gaussian_nll",
    aliases=("gaussian_negative_log_likelihood",),
    signature="(mean[n], target[n], variance[n]) -> []",
    summary="mean of (ln v + (target - mean)^2 / v) / 2",
    domain="2^-6 <= variance <= 2^6, |x| <= sqrt(max / 2^12) / 2; some laws also use every normal variance, "
    "infinities and NaN",
    inputs=_samples,
    laws=(
        value,
        gradient,
        gradient_in_variance,
        gradient_is_scaled_squared_error,
        gradients_agree_exactly,
        least_squares_minimises,
        *_AT_EXTREME_VARIANCES,
        infinite_errors(value, lambda format_: infinite_pairs(format_).map(lambda pair: _with_variance_two(*pair))),
        *usual_laws.of_every_operation(value, gradient, long=_long, cause=LONG, rows=False),
    ),
    axes={
        "mean": Axes(("g", "n")),
        "target": Axes(("g", "n")),
        "variance": Axes(("g", "n"), kept=True),
        "design": Axes(("g", "r", "f"), kept=True),
        "response": Axes(("g", "r"), kept=True),
    },
    output=(),
    rays=(
        Ray(
            "noise variance",
            "error 1/8, variance t",
            _small_noise,
            start=lambda _: 1.0,
            end=lambda format_: format_.tiny,
            laws=_AT_EXTREME_VARIANCES,
        ),
    ),
    conventions={**REDUCTIONS, "floor": FLOORS},
    grouped=True,
)
