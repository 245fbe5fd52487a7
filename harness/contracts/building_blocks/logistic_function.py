r"""The logistic family: exact values of the sigmoid, the softplus and its mirror image, with bounds and inputs.

:math:`\sigma(x) = 1 / (1 + e^{-x})`, :math:`\mathrm{softplus}(x) = \ln(1 + e^x)` and
:math:`\ln \sigma(x) = -\mathrm{softplus}(-x)`. In contrast to the softmax, their conditioning allows a few ulp
everywhere. With :math:`z = e^{-|x|}`, :math:`L = \ln(1 + z)`, unit roundoff :math:`u`, and exp and log1p accurate to
one ulp (:math:`2u`), operation by operation:

* sigmoid, as :math:`1/(1+e^{-x})` or from :math:`z`: the exponential's error reaches the result as
  :math:`2u \sigma(-x)`, and the sum and the quotient add :math:`u` each. The relative error
  :math:`T = 2u (1 + \sigma(-x))` is the bound of ``digits_not_lost``. If the form is :math:`e^l` with
  :math:`l = \min(x, 0) - L`, the absolute error :math:`d` of :math:`l` becomes a relative one, to which the
  exponential adds its own: :math:`R = d + 2u`, which grows with :math:`|x|`. The bound of the value is the larger of
  the two;
* softplus as :math:`\mathrm{log1p}(e^x)`: :math:`2u \sigma(x)` and the logarithm's own :math:`2uy`; as
  :math:`\max(x, 0) + L`: :math:`2u \sigma(-|x|) + 2uL` and, where :math:`x > 0`, the sum's :math:`uy`. The bound is
  the larger of the two and absolute; the logarithm of the sigmoid has this bound at :math:`-x`;
* two smallest subnormals, for the exponential and for the result formed from it.

Derivatives, times the cotangent :math:`v`:

* sigmoid from its output, :math:`y (1 - y)`, with the value's absolute error :math:`e`: the error is
  :math:`e |1 - 2y| + e^2 + 3u y (1-y)`, and no smaller one holds where :math:`y` rounds to one. Through :math:`z`, by
  autograd: the reciprocal squared contributes :math:`4 + 4 \sigma(-|x|)`, two products and the exponential with its
  product :math:`5`, and where :math:`x < 0` the quotient rule's difference :math:`4 + 10z` and the exponential
  :math:`3`; together at most :math:`u (9 + 8z)` relatively. The larger of the two is the bound of
  ``gradient_digits_not_lost``. Through the logarithm, the gradient is :math:`y \sigma(-x)`: the value has the relative
  error :math:`R`, the softplus's derivative at :math:`-x` has :math:`u (4 + 2 \sigma(x))`, and two products add
  :math:`2u`. The bound of the gradient is the largest of the three;
* softplus, :math:`\sigma(x)`: :math:`e^x / (1 + e^x)` errs by :math:`u (3 + 2\sigma(-x))` with the product by
  :math:`v`; :math:`1 - z/(1 + z)`, by autograd, by :math:`u (\sigma(x) + (3 + 2\sigma(x)) \sigma(-x))` absolutely.
  Both are within :math:`u (4 + 2\sigma(-x))` relatively.

References
----------
N. J. Higham (2002), *Accuracy and Stability of Numerical Algorithms*, 2nd ed.: the model of rounding.
M. Maechler (2012), "Accurately computing log(1 - exp(-|a|))", vignette of the R package Rmpfr: log1p and exp of a
non-positive argument. The constants above are derived here.
"""

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.contracts.building_blocks.definition import Definition
from harness.floats import Array, Format, from_ordinal, portable, to_array, to_ordinal
from harness.laws import Axes, Example, many_rows, strategies
from harness.laws.strategies import SEEDS, Shape, Structure, add_cotangent

# Oracles


# Only `-|x|` is exponentiated, so nothing overflows and nothing cancels.
SIGMOID = "(x): z = exp(-abs(x)); where(x < 0, z, 1) / (1 + z)"

sigmoid = Definition(SIGMOID)
sigmoid_oracle, sigmoid_pullback = sigmoid.oracle(), Definition(SIGMOID, by="x").oracle()
softplus_oracle, softplus_pullback = (Definition("(x): softplus(x)", by).oracle() for by in ("", "x"))
logsigmoid_oracle, logsigmoid_pullback = (Definition("(x): -softplus(-x)", by).oracle() for by in ("", "x"))


# Bounds


def sigma(x: Array) -> Array:
    """The sigmoid in float64, for bounds."""
    z = np.exp(-np.abs(x))
    return np.asarray(np.where(x < 0, z, 1.0) / (1.0 + z))


def tail(x: Array) -> Array:
    """``L = ln(1 + exp(-|x|))`` in float64, for bounds."""
    return np.asarray(np.log1p(np.exp(-np.abs(x))))


def sigmoid_bound(x: Array, format_: Format) -> Array:
    """``y (e^T - 1)`` with ``T = 2 u (1 + sigma(-x))``, and two subnormals."""
    t = 2.0 * format_.u * (1.0 + sigma(-x)) * (1.0 + 2.0 * format_.u)
    return np.asarray(sigma(x) * np.expm1(t) + 2.0 * format_.smallest)


def _softplus_in_units(x: Array, format_: Format) -> Array:
    """``u`` times the softplus, in float64; ``u`` comes first, because twice the largest number overflows."""
    return np.asarray(format_.u * np.clip(x, 0.0, format_.max) + format_.u * tail(x))


def _error_of_two_terms(x: Array, format_: Format) -> Array:
    """Absolute error of ``max(x, 0) + L``, to the first order and before underflow."""
    terms = 2.0 * format_.u * (sigma(-np.abs(x)) + tail(x))
    return np.asarray(terms + np.where(x > 0.0, _softplus_in_units(x, format_), 0.0))


def softplus_bound(x: Array, format_: Format) -> Array:
    """The larger error of the two forms, and two subnormals; ``1 + 4 u`` covers products of errors."""
    direct = 2.0 * format_.u * sigma(x) + 2.0 * _softplus_in_units(x, format_)
    larger = np.maximum(direct, _error_of_two_terms(x, format_))
    return np.asarray(larger * (1.0 + 4.0 * format_.u) + 2.0 * format_.smallest)


def through_the_logarithm(x: Array, format_: Format) -> Array:
    """Relative error ``e^R - 1`` of the exponential of a rounded ``min(x, 0) - L``, before underflow."""
    with np.errstate(over="ignore"):
        error = _error_of_two_terms(-x, format_) + 2.0 * format_.u
        return np.asarray(np.expm1(error * (1.0 + 4.0 * format_.u)))


def _relative_to(y: Array, error: Array) -> Array:
    """``y`` times a relative error; zero if the value has underflowed and the relative error is infinite."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nan_to_num(y * error, nan=0.0))


def sigmoid_typical_bound(x: Array, format_: Format) -> Array:
    """The larger error of two forms, the quotient and the exponential of the logarithm, and two subnormals."""
    by_logarithm = _relative_to(sigma(x), through_the_logarithm(x, format_)) + 2.0 * format_.smallest
    return np.asarray(np.maximum(sigmoid_bound(x, format_), by_logarithm))


def sigmoid_slope_bound(x: Array, format_: Format) -> Array:
    """Absolute error of ``y (1 - y)``: the larger of the errors from the output and through ``z``."""
    y, rest, z = sigma(x), sigma(-x), np.exp(-np.abs(x))
    e, slope = sigmoid_bound(x, format_), y * rest
    from_output = e * np.abs(y - rest) + e * e + 3.0 * format_.u * slope
    return np.asarray(np.maximum(from_output, format_.u * (9.0 + 8.0 * z) * slope) * (1.0 + 16.0 * format_.u))


def sigmoid_typical_slope_bound(x: Array, format_: Format) -> Array:
    """The larger of :func:`sigmoid_slope_bound` and the absolute error of ``y sigma(-x)`` through the logarithm."""
    relative = through_the_logarithm(x, format_) + format_.u * (6.0 + 2.0 * sigma(x))
    by_logarithm = _relative_to(sigma(x) * sigma(-x), relative * (1.0 + 8.0 * format_.u))
    return np.asarray(np.maximum(sigmoid_slope_bound(x, format_), by_logarithm))


def softplus_slope_bound(x: Array, format_: Format) -> Array:
    """Absolute error of ``sigma(x)`` as a derivative."""
    return np.asarray(format_.u * (4.0 + 2.0 * sigma(-x)) * sigma(x) * (1.0 + 6.0 * format_.u))


# Inputs


def window(format_: Format) -> float:
    """Twice the ``|x|`` from which ``exp(-|x|)`` rounds to zero; all thresholds lie within."""
    return -2.0 * format_.log_smallest


def uniform(rng: np.random.Generator, shape: Shape, magnitude: Array, _: Format) -> Array:
    """Entries spread evenly up to the magnitude."""
    return np.asarray(rng.uniform(-1.0, 1.0, shape) * magnitude)


def near_thresholds(rng: np.random.Generator, shape: Shape, _: Array, format_: Format) -> Array:
    """Entries within four ulp of a point where ``exp``, ``1 + exp`` or ``log1p`` changes character."""
    p = format_.precision * portable.LN2
    ends = [format_.log_max, -format_.log_smallest, -float(portable.log(format_.tiny))]
    edges = [*ends, p, p / 2, portable.LN2, format_.log_max / 2]
    points = rng.choice([0.0, *edges, *np.negative(edges)], size=shape)
    centre = to_ordinal(torch.from_numpy(points).to(format_.dtype))
    return to_array(from_ordinal(centre + rng.integers(-4, 5, size=shape), format_))


ARGUMENTS: tuple[Structure, ...] = (uniform, uniform, near_thresholds, near_thresholds, *strategies.STRUCTURES)


def arguments(
    format_: Format, *, largest: float, rows: tuple[int, int] = (8, 128), columns: tuple[int, int] = (1, 32)
) -> st.SearchStrategy[Tensor]:
    """Structured tensors ``[rows, columns]``, two in three within the window in which ``exp`` matters."""
    inside = strategies.batches(format_, largest=window(format_), structures=ARGUMENTS, rows=rows, columns=columns)
    structures = (strategies.mixed_magnitudes, uniform)
    anywhere = strategies.batches(format_, largest=largest, structures=structures, rows=rows, columns=columns)
    return st.one_of(inside, inside, anywhere)


def _flat(drawn: st.SearchStrategy[Tensor]) -> st.SearchStrategy[Example]:
    return add_cotangent(drawn.map(torch.flatten), "x")


def vectors(format_: Format) -> st.SearchStrategy[Example]:
    """Vectors of structured numbers, and weights of the outputs for the law of the gradient."""
    return _flat(arguments(format_, largest=format_.max / 16.0))


many_numbers = many_rows({"x": Axes(("n",))})
"""Ordinary numbers, for the law about drift."""


def extreme_vectors(format_: Format) -> st.SearchStrategy[Example]:
    """The largest and the smallest numbers of the format, and both zeros."""
    return _flat(strategies.extremes(format_))


def drawn(
    numbers: list[float], format_: Format, *, rows: tuple[int, int] = (16, 128), columns: tuple[int, int] = (1, 1)
) -> st.SearchStrategy[Tensor]:
    """Tensors ``[rows, columns]`` of a few given numbers in random order."""

    def expand(n: int, k: int, seed: int) -> Tensor:
        return torch.from_numpy(np.random.default_rng(seed).choice(numbers, size=(n, k))).to(format_.dtype)

    return st.builds(
        expand, strategies.lengths(*rows), strategies.lengths(*columns, small=strategies.FEW_COLUMNS), SEEDS
    )


def around_zero(format_: Format) -> list[float]:
    """Both zeros and their neighbors, where ``|x|`` and ``max(x, 0)`` have their kink."""
    return [0.0, -0.0, format_.smallest, -format_.smallest]


def vectors_around_zero(format_: Format) -> st.SearchStrategy[Example]:
    """Both zeros and their neighbors in random order."""
    return _flat(drawn(around_zero(format_), format_))


def vectors_with_infinities(format_: Format) -> st.SearchStrategy[Example]:
    """Both infinities among ordinary numbers."""
    return _flat(drawn([np.inf, -np.inf, 0.0, 1.0, -1.0], format_))
