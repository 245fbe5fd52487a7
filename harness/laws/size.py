"""Laws of size and shape: more rows than any block, and several row axes."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.calling.adapter import NotApplicable
from harness.floats import Array, Measurement, as_integers, compare_runs, to_array, worse
from harness.laws.case_error import CaseError
from harness.laws.derivation import between, bound_to, rows_of, worst_of
from harness.laws.law import Example, Inputs, Law
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
    return (on_many_rows(value),) * many + (bound_to(_ANY_RANK, value),) * ranks


def on_many_rows(value: Law, inputs: Inputs | None = None, *, examples: int = 2) -> Law:
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
    return replace(bound_to(_MANY_ROWS, value), inputs=inputs, examples=examples)


# Many rows


def many_rows(subject: Subject, value: Law, inputs: Example) -> Measurement:
    """Repeat the rows in turn, and compare each with its result in a small batch; a slow implementation gets fewer."""
    places, _ = rows_of(subject, value)
    few, first = tuple(inputs.values()), subject.measure(value, inputs)
    output = subject.once(*few)
    if first.actual.shape != tuple(output.shape) or not len(output):
        return first
    measured = Measurement(np.zeros(first.deviation.shape), first.bound, first.actual, first.actual)
    pace_s = 0.0
    for rows in _sizes(few, places):
        if measured.broken or pace_s * rows**2 > _PATIENCE_S:
            break
        index = torch.arange(rows) % len(output)
        many = [x if at is None else x.index_select(at, index) for x, at in zip(few, places, strict=True)]
        started = subject.host.clock()
        repeated = subject.once(*many)
        pace_s = (subject.host.clock() - started) / rows**2
        measured = worse(measured, _per_row(subject, repeated, output, first))
    return measured


def _sizes(few: tuple[Any, ...], places: list[int | None]) -> Iterator[int]:
    """Yield numbers of rows; for the last one, the largest input has at least :data:`ELEMENTS` elements."""
    widest = max(x.numel() // max(1, x.shape[at]) for x, at in zip(few, places, strict=True) if at is not None)
    yield from MANY
    if widest * MANY[-1] < ELEMENTS:
        yield -(-ELEMENTS // max(1, widest))


def _per_row(subject: Subject, many: Tensor, few: Tensor, first: Measurement) -> Measurement:
    """Measure, for every row, the worst repetition that differs from the row's first result."""
    index = torch.arange(len(many)) % len(few)
    expected = few.index_select(0, index)
    deviation, actual, bound = np.zeros(first.deviation.shape), first.actual.copy(), _doubled(first.bound)
    # Comparing bits takes one pass, also if there are NaN.
    if many.dtype == few.dtype and torch.equal(as_integers(many), as_integers(expected)):
        return Measurement(deviation, bound, actual, first.actual)
    same = (many == expected) | (many.isnan() & expected.isnan())
    other = (~same).reshape(len(many), -1).any(-1)
    if not other.any():
        return Measurement(deviation, bound, actual, first.actual)
    of = index[other].numpy()
    chosen = Measurement(first.deviation[of], first.bound[of], first.actual[of], first.expected[of])
    compared = compare_runs(to_array(many[other]), first.actual[of], chosen, subject.format)
    worst_last = np.argsort(compared.ratio.reshape(len(of), -1).max(-1, initial=0.0), kind="stable")
    # For repeated indices, the last assignment wins.
    for target, source in ((deviation, compared.deviation), (actual, compared.actual)):
        target[of[worst_last]] = source[worst_last]
    return Measurement(deviation, bound, actual, first.actual)


def _doubled(bound: Array) -> Array:
    with np.errstate(over="ignore"):
        return 2.0 * bound


# Other axes


def any_rank(subject: Subject, value: Law, inputs: Example) -> Measurement:
    """Split the axis of the rows into two, and into three.

    Raises
    ------
    NotApplicable
        If the implementation refuses both.
    """
    places, _ = rows_of(subject, value)
    few = tuple(inputs.values())
    n = next(x.shape[at] for x, at in zip(few, places, strict=True) if at is not None)
    splits = _splits(n)
    rows = dict(zip(inputs, between(few, places, 0, int(np.prod(splits[0]))), strict=True))
    first = subject.measure(value, rows)
    measured: list[Measurement] = []
    for lengths in splits:
        given = [x if at is None else x.unflatten(at, lengths) for x, at in zip(rows.values(), places, strict=True)]
        try:
            output = subject.run(*given)
        except CaseError as refusal:
            if refusal.fault is not Fault.RAISED:
                raise
            if measured:
                break
            raise NotApplicable(f"it accepts only one axis of rows: {refusal}") from refusal
        measured.append(_flattened(subject, output, lengths, first, given))
    return worst_of(*measured)


def _flattened(
    subject: Subject, output: Any, lengths: tuple[int, ...], first: Measurement, given: list[Any]
) -> Measurement:
    """Compare the flattened result with the first one; the deviation is infinite if its shape differs."""
    axes = len(lengths) + first.actual.ndim - 1
    if isinstance(output, Tensor) and tuple(output.shape[: len(lengths)]) == lengths and output.ndim == axes:
        found = compare_runs(to_array(output.flatten(0, len(lengths) - 1)), first.actual, first, subject.format)
    else:
        found = compare_runs(np.array(np.nan), first.actual, first, subject.format)
    result = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
    shapes = ", ".join(str(list(x.shape)) for x in given if isinstance(x, Tensor))
    return replace(found, circumstance=f"{result} for inputs {shapes}")


def _splits(n: int) -> tuple[tuple[int, ...], ...]:
    """Return the lengths of two and of three axes, unequal if there are enough rows."""
    if n < 6:
        return (min(n, 2), n // min(n, 2)), (1, min(n, 2), n // min(n, 2))
    return (2, 3 * (n // 6)), (2, 3, n // 6)


# Laws

_USUAL: dict[str, Any] = {"source": "definition, row by row", "bound": "twice the value's bound"}

MANY_ROWS = (
    "a loop, a grid of blocks or a 16-bit index ends before the rows do, or wraps around to the first: cover all rows"
)
"""Likely cause of a failure on many rows."""

_MANY_ROWS = Law(
    "value_on_many_rows",
    "Many rows (more than a block, 65,537, over 2^20 elements) give the same results as a few of them.",
    measure=many_rows,
    group="length",
    cause=MANY_ROWS,
    examples=2,
    **_USUAL,
)

_ANY_RANK = Law(
    "any_rank",
    "Rows along two or three leading axes give the same results as along one, or are refused.",
    measure=any_rank,
    group="implementation",
    cause="the second axis, or all axes but the first, is mistaken for the last: count from the end, dim=-1",
    examples=5,
    lost_digits="the contract is about matrices, for which an axis counted from the front is right, as in the book",
    **_USUAL,
)
