r"""Laws of size and shape: more rows than any block, several row axes, and no drift over many rows.

No drift means that rounding errors have no bias. Truncation stays within every worst-case bound, as does one ulp too
many. Only the mean of the signed errors shows them: it is :math:`-1/2` or :math:`+1/2` ulp instead of nearly zero. The
mean is taken over many ordinary elements, in ulp, and relative to rounding the exact values to the nearest number. This
removes the bias of exact results and of results that are a neighbor of a number. The weight of an element is
:math:`1/b^2` for its bound :math:`b`.

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
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from numpy.random import Generator
from torch import Tensor

from harness.calling.adapter import NotApplicable
from harness.floats import (
    Array,
    Format,
    Measurement,
    compare_runs,
    lift,
    portable,
    round_to,
    to_array,
    ulp,
    view_bits,
    worse,
)
from harness.laws.case_error import CaseError
from harness.laws.contract import Axes
from harness.laws.derivation import TWICE, bound_to, find_row_axes, select_rows, select_worst
from harness.laws.law import Example, Inputs, Law, law
from harness.laws.subject import Subject
from harness.record import Fault

MANY = (4_097, 65_537)
"""Rows: one more than the usual blocks have, and two more than the second and third dimension of a CUDA grid."""

ELEMENTS = 2**20 + 1
"""Elements of the largest input at least."""

_PATIENCE_S = 2.0
"""A call is made where it would take no more processor time even if that grew with the square of the rows."""


def size_laws(value: Law, *, many: bool = True, ranks: bool = True) -> tuple[Law, ...]:
    """Derive one or both laws from the law of a value with independent rows."""
    return (derive_many_rows(value),) * many + (bound_to(any_rank, value),) * ranks


def derive_many_rows(value: Law, inputs: Inputs | None = None, *, examples: int = 2) -> Law:
    """Derive the law of many rows, for the contract's inputs or for others.

    Parameters
    ----------
    value
        The law of the value of an implementation that treats rows independently.
    inputs
        Other examples [default: those of the contract].
    examples
        Number of examples.

    Returns
    -------
    Law
        The law ``value_on_many_rows``, with the bound of the value.
    """
    return replace(bound_to(value_on_many_rows, value), inputs=inputs, examples=examples)


# Many rows


@law(
    "Many rows (more than a block, 65,537, over 2^20 elements) give the same results as a few of them.",
    source="definition, row by row",
    bound=TWICE,
    cause="a loop, a grid of blocks or a 16-bit index ends before the rows do, or wraps around to the first: cover all "
    "rows",
    group="length",
    examples=2,
)
def value_on_many_rows(subject: Subject, value: Law, inputs: Example) -> Measurement:
    """Repeat the rows in turn, and compare each with its result in a small batch; a slow implementation gets fewer."""
    places, _ = find_row_axes(subject, value)
    first_rows, first = tuple(inputs.values()), subject.measure(value, inputs)
    output = subject.once(*first_rows)
    if first.actual.shape != tuple(output.shape) or not len(output):
        return first
    measured = Measurement(np.zeros(first.deviation.shape), first.bound, first.actual, first.actual)
    pace_s = 0.0
    for rows in _choose_sizes(first_rows, places):
        if measured.broken or pace_s * rows**2 > _PATIENCE_S:
            break
        index = torch.arange(rows) % len(output)
        more_rows = [
            x if axis is None else x.index_select(axis, index) for x, axis in zip(first_rows, places, strict=True)
        ]
        started = subject.host.clock()
        repeated = subject.once(*more_rows)
        pace_s = (subject.host.clock() - started) / rows**2
        measured = worse(measured, _measure_rows(subject, repeated, output, first))
    return measured


def _choose_sizes(few: tuple[Any, ...], places: list[int | None]) -> Iterator[int]:
    """Yield numbers of rows; for the last one, the largest input has at least :data:`ELEMENTS` elements."""
    widest = max(x.numel() // max(1, x.shape[axis]) for x, axis in zip(few, places, strict=True) if axis is not None)
    yield from MANY
    if widest * MANY[-1] < ELEMENTS:
        yield -(-ELEMENTS // max(1, widest))


def _measure_rows(subject: Subject, many: Tensor, few: Tensor, first: Measurement) -> Measurement:
    """Measure, for every row, the worst repetition that differs from the row's first result."""
    index = torch.arange(len(many)) % len(few)
    expected = few.index_select(0, index)
    deviation, actual, bound = np.zeros(first.deviation.shape), first.actual.copy(), _double_bound(first.bound)
    # Comparing bits takes one pass, also if there are NaN.
    if many.dtype == few.dtype and torch.equal(view_bits(many), view_bits(expected)):
        return Measurement(deviation, bound, actual, first.actual)
    same = (many == expected) | (many.isnan() & expected.isnan())
    differing = (~same).reshape(len(many), -1).any(-1)
    if not differing.any():
        return Measurement(deviation, bound, actual, first.actual)
    originals = index[differing].numpy()
    chosen = Measurement(
        first.deviation[originals], first.bound[originals], first.actual[originals], first.expected[originals]
    )
    comparison = compare_runs(to_array(many[differing]), first.actual[originals], chosen, subject.format)
    worst_last = np.argsort(comparison.ratio.reshape(len(originals), -1).max(-1, initial=0.0), kind="stable")
    # For repeated indices, the last assignment wins.
    for target, source in ((deviation, comparison.deviation), (actual, comparison.actual)):
        target[originals[worst_last]] = source[worst_last]
    return Measurement(deviation, bound, actual, first.actual)


def _double_bound(bound: Array) -> Array:
    with np.errstate(over="ignore"):
        return 2.0 * bound


# Other axes


@law(
    "Rows along two or three leading axes give the same results as along one, or are refused.",
    source="definition, row by row",
    bound=TWICE,
    cause="the second axis, or all axes but the first, is mistaken for the last: count from the end, dim=-1",
    group="implementation",
    examples=5,
)
def any_rank(subject: Subject, value: Law, inputs: Example) -> Measurement:
    """Split the axis of the rows into two, and into three.

    Raises
    ------
    NotApplicable
        If the implementation refuses both, or its result has another number of axes, as after a mean over all axes
        but the first.
    """
    places, _ = find_row_axes(subject, value)
    arguments = tuple(inputs.values())
    n = next(x.shape[axis] for x, axis in zip(arguments, places, strict=True) if axis is not None)
    splits = _choose_splits(n)
    rows = dict(zip(inputs, select_rows(arguments, places, 0, int(np.prod(splits[0]))), strict=True))
    first = subject.measure(value, rows)
    measured: list[Measurement] = []
    for lengths in splits:
        split_inputs = [
            x if axis is None else x.unflatten(axis, lengths) for x, axis in zip(rows.values(), places, strict=True)
        ]
        try:
            output = subject.run(*split_inputs)
        except CaseError as refusal:
            if refusal.fault is not Fault.RAISED:
                raise
            if measured:
                break
            raise NotApplicable(f"it accepts only one axis of rows: {refusal}") from refusal
        if isinstance(output, Tensor) and output.ndim != len(lengths) + first.actual.ndim - 1:
            shapes = _list_shapes(split_inputs)
            raise NotApplicable(f"for {shapes} it returns {list(output.shape)}: leading axes are no rows for it")
        measured.append(_compare_flattened(subject, output, lengths, first, split_inputs))
    return select_worst(*measured)


def _compare_flattened(
    subject: Subject, output: Any, lengths: tuple[int, ...], first: Measurement, given: list[Any]
) -> Measurement:
    """Compare the flattened result with the first one; the deviation is infinite if its shape differs."""
    if isinstance(output, Tensor) and tuple(output.shape[: len(lengths)]) == lengths:
        measurement = compare_runs(to_array(output.flatten(0, len(lengths) - 1)), first.actual, first, subject.format)
    else:
        measurement = compare_runs(np.array(np.nan), first.actual, first, subject.format)
    result = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
    return replace(measurement, circumstance=f"{result} for inputs {_list_shapes(given)}")


def _list_shapes(inputs: list[Any]) -> str:
    return ", ".join(str(list(x.shape)) for x in inputs if isinstance(x, Tensor))


def _choose_splits(n: int) -> tuple[tuple[int, ...], ...]:
    """Return the lengths of two and of three axes, unequal if there are enough rows."""
    if n < 6:
        return (min(n, 2), n // min(n, 2)), (1, min(n, 2), n // min(n, 2))
    return (2, 3 * (n // 6)), (2, 3, n // 6)


# No drift over many rows

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
        return _nothing() if first.broken or not first.ratio.size else _measure_drift(first, subject.format)

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


def _measure_drift(first: Measurement, format_: Format) -> Measurement:
    """Measure the mean signed error upward, and away from zero."""
    exact = lift(first.expected)
    with np.errstate(invalid="ignore", over="ignore"):
        error = (first.actual - round_to(exact, format_).double().numpy()) / ulp(exact, format_)
    # Below the normal numbers an ulp is no measure of how many bits were dropped.
    counted = np.isfinite(error) & (np.abs(first.expected) >= format_.tiny)
    outward = np.sign(np.where(counted, first.expected, 0.0))
    weight = np.where(counted, 1.0 / np.maximum(first.bound, 0.5) ** 2, 0.0)
    means = [_compute_mean(np.where(counted, error, 0.0) * sign, weight) for sign in (1.0, outward)]
    mean, by_chance = (np.array(x) for x in zip(*means, strict=True))
    return Measurement(np.abs(mean), BY_RIGHT + by_chance, mean, np.zeros(mean.shape))


def _compute_mean(error: Array, weight: Array) -> tuple[float, float]:
    """Return the weighted mean, and its largest deviation by chance."""
    rows = (error * weight).reshape(len(error), -1).sum(-1)
    total = max(float(weight.sum()), np.finfo(np.float64).tiny)
    return float(rows.sum()) / total, BY_CHANCE * math.sqrt(float((rows**2).sum())) / total


def _nothing() -> Measurement:
    zeros = np.zeros(2)
    return Measurement(zeros, zeros, zeros, zeros)


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
            lengths = {name: int(rng.integers(2, WIDEST + 1)) for axis in axes.values() for name in axis.names}
            lengths["n"] = ROWS
            shapes = {name: tuple(lengths[axis] for axis in input_axes.names) for name, input_axes in axes.items()}
            drawn = {name: _normal(rng, shape, largest) for name, shape in shapes.items()}
            return {name: torch.from_numpy(x).to(format_.dtype) for name, x in drawn.items()}

        return st.integers(0, 2**16).map(expand)

    return inputs


def _normal(rng: Generator, shape: tuple[int, ...], largest: float) -> Array:
    """Draw normal numbers, with a separate size of at least a quarter for each row."""
    size = portable.exp2(rng.uniform(-2.0, float(portable.log2(largest)), size=(shape[0],) + (1,) * (len(shape) - 1)))
    return np.asarray(portable.standard_normal(rng, shape) * size)
