r"""The law of drift: rounding errors have no bias.

Truncation stays within every worst-case bound, as does one ulp too many. Only the mean of the signed errors shows them:
it is :math:`-1/2` or :math:`+1/2` ulp instead of nearly zero. The mean is taken over many ordinary elements, in ulp,
and relative to rounding the exact values to the nearest number. This removes the bias of exact results and of results
that are a neighbor of a number. The weight of an element is :math:`1/b^2` for its bound :math:`b`.

The bound has two parts. The first is chance: the rows are independent, and errors of sound code are as likely up as
down. Hoeffding's inequality over the signs of the row sums :math:`R_r` gives
:math:`|\sum_r R_r| \le \sqrt{2 \ln (2 / \delta) \sum_r R_r^2}` except with probability :math:`\delta = 10^{-9}`.
The second is a quarter of an ulp, half of the effect of truncation. Elementary functions are not rounded to nearest,
and a rounded constant has one sign: sound implementations in four formats reach at most 0.16 ulp.

References
----------
W. Hoeffding (1963), "Probability inequalities for sums of bounded random variables", J. Amer. Statist. Assoc. 58.
B. Efron (1969), "Student's t-test under symmetry conditions", J. Amer. Statist. Assoc. 64, 1278-1302.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from numpy.random import Generator

from harness.floats import Array, Format, Measurement, lift, portable, round_to, ulp
from harness.laws.contract import Axes
from harness.laws.law import Example, Inputs, Law
from harness.laws.subject import Subject

ROWS = 4_096
"""Rows of the example; averaging divides the standard error by 64."""

WIDEST = 5
"""Entries of a row at most: more of them say no more of its roundings."""

BY_RIGHT = 0.25
"""Ulp that the mean may be off for other reasons than chance."""

BY_CHANCE = math.sqrt(2.0 * math.log(2.0 / 1e-9))
"""Standard errors that it is off by chance but for a probability of 1e-9."""


def no_drift(value: Law, inputs: Inputs) -> Law:
    """Derive the law from the law of the value.

    Parameters
    ----------
    value
        The law of the value of an implementation that treats rows independently.
    inputs
        Many ordinary rows; see :func:`many_rows`.

    Returns
    -------
    Law
        The law ``no_drift``.
    """

    def measure(subject: Subject, **example: Any) -> Measurement:
        first = value.measure(subject, **example)
        # A broken value is reported by its own law.
        return _nothing() if first.broken or not first.ratio.size else _drift(first, subject.format)

    return Law(
        "no_drift",
        "The rounding errors of the value are unbiased: their mean is nearly zero, both upward and away from zero.",
        source="Hoeffding (1963), over the signs of the rows' errors",
        bound="1/4 ulp, plus 6.5 standard errors of the mean",
        cause="a constant has too few digits, or bits are dropped instead of rounded, as by a shift or another "
        "rounding mode: write constants in full, and round to nearest, ties to even",
        group="value",
        measure=measure,
        reads=value.reads,
        unit="ulp on average",
        inputs=inputs,
        examples=1,
        lost_digits="each single result is within the bound of the value; only their mean is biased",
        every_row=False,
        of_many=True,
    )


def _drift(first: Measurement, format_: Format) -> Measurement:
    """Measure the mean signed error upward, and away from zero."""
    exact = lift(first.expected)
    with np.errstate(invalid="ignore", over="ignore"):
        error = (first.actual - round_to(exact, format_).double().numpy()) / ulp(exact, format_)
    # Below the normal numbers an ulp is no measure of how many bits were dropped.
    counted = np.isfinite(error) & (np.abs(first.expected) >= format_.tiny)
    outward = np.sign(np.where(counted, first.expected, 0.0))
    weight = np.where(counted, 1.0 / np.maximum(first.bound, 0.5) ** 2, 0.0)
    means = [_mean(np.where(counted, error, 0.0) * sign, weight) for sign in (1.0, outward)]
    mean, by_chance = (np.array(x) for x in zip(*means, strict=True))
    return Measurement(np.abs(mean), BY_RIGHT + by_chance, mean, np.zeros(mean.shape))


def _mean(error: Array, weight: Array) -> tuple[float, float]:
    """Return the weighted mean, and its largest deviation by chance."""
    rows = (error * weight).reshape(len(error), -1).sum(-1)
    total = max(float(weight.sum()), np.finfo(np.float64).tiny)
    return float(rows.sum()) / total, BY_CHANCE * math.sqrt(float((rows**2).sum())) / total


def _nothing() -> Measurement:
    zeros = np.zeros(2)
    return Measurement(zeros, zeros, zeros, zeros)


# Inputs


def many_rows(axes: Mapping[str, Axes], *, largest: float = 4.0) -> Inputs:
    """Return the inputs of the law: other rows for each seed of a run.

    Parameters
    ----------
    axes
        Axes of the inputs; rows are along ``n``.
    largest
        Size of the largest rows. If it is too large, a single dropped bit breaks the law of the value.

    Returns
    -------
    callable
        ``inputs(format) -> strategy`` of examples.
    """

    def inputs(format_: Format) -> st.SearchStrategy[Example]:
        of_run = torch.initial_seed() % 2**32

        def expand(further: int) -> Example:
            rng = np.random.default_rng((of_run, further))
            lengths = {name: int(rng.integers(2, WIDEST + 1)) for one in axes.values() for name in one.names}
            lengths["n"] = ROWS
            shapes = {name: tuple(lengths[axis] for axis in one.names) for name, one in axes.items()}
            drawn = {name: _normal(rng, shape, largest) for name, shape in shapes.items()}
            return {name: torch.from_numpy(x).to(format_.dtype) for name, x in drawn.items()}

        return st.integers(0, 2**16).map(expand)

    return inputs


def _normal(rng: Generator, shape: tuple[int, ...], largest: float) -> Array:
    """Draw normal numbers, with a separate size of at least a quarter for each row."""
    size = portable.exp2(rng.uniform(-2.0, float(portable.log2(largest)), size=(shape[0],) + (1,) * (len(shape) - 1)))
    return np.asarray(portable.standard_normal(rng, shape) * size)
