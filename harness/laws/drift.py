r"""The law of drift: roundings are on average neither up nor down.

Truncation lies within every bound of the worst case, and so does one ulp too many. What tells them apart from rounding
is the mean of the signed errors: :math:`-1/2` ulp and :math:`+1/2` for what is nearly zero. It is taken of many
ordinary elements, in ulp and beyond what rounding to nearest does to the same exact values, which takes out what is
one-sided by rights: results that are exact, and those of which one is the next number. Each element weighs
:math:`1/b^2`, :math:`b` being the value's bound there: what may err by much says little.

The bound has two parts. By chance: the rows are independent and, where errors are as likely up as down, so are the
signs of their sums :math:`R_r`, given their sizes; by Hoeffding's inequality over these signs
:math:`|\sum_r R_r| \le \sqrt{2 \ln (2 / \delta) \sum_r R_r^2}` but for a probability of :math:`\delta = 10^{-9}`.
By right: a quarter of an ulp, half of what truncation does. Elementary functions are not rounded to nearest, and one
rounding of a constant has one sign: of sound implementations in four formats 0.16 ulp is the most that was seen.

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
from harness.laws.law import Axes, Example, Inputs, Law
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
    """Derive the law from that of the value.

    Parameters
    ----------
    value
        The law, of what answers each row for itself.
    inputs
        Many ordinary rows; see :func:`many_rows`.
    """

    def measure(subject: Subject, **example: Any) -> Measurement:
        first = value.measure(subject, **example)
        # What breaks the law of the value is its business.
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
    """The mean signed error upwards, and away from zero."""
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
    """The weighted mean, and what it may be off by chance."""
    rows = (error * weight).reshape(len(error), -1).sum(-1)
    total = max(float(weight.sum()), np.finfo(np.float64).tiny)
    return float(rows.sum()) / total, BY_CHANCE * math.sqrt(float((rows**2).sum())) / total


def _nothing() -> Measurement:
    zeros = np.zeros(2)
    return Measurement(zeros, zeros, zeros, zeros)


# Inputs


def many_rows(axes: Mapping[str, Axes], *, largest: float = 4.0) -> Inputs:
    """Make the inputs of the law: other rows for each seed of a run.

    Parameters
    ----------
    axes
        Those of the inputs; rows are along ``n``.
    largest
        Size of the largest rows. Where it is too large, one bit that is dropped breaks the law of the value already.
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
    """Normal numbers of sizes from a quarter up, another one for each row."""
    size = portable.exp2(rng.uniform(-2.0, float(portable.log2(largest)), size=(shape[0],) + (1,) * (len(shape) - 1)))
    return np.asarray(portable.standard_normal(rng, shape) * size)
