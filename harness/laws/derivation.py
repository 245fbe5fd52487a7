"""Functions that derive laws about several calls: repeated ones, and other ways to make the call of the law of a value.

Uninitialized memory usually contains the data of the previous call, so a second call can seem sound. Therefore, the
next blocks of the allocator are overwritten before each repeated call. In a last call, torch fills new memory with NaN.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from harness.calling.device import CPU
from harness.calling.host import HERE, Host
from harness.floats import Array, Format, Measurement, compare_runs, to_array, worse
from harness.laws.examples import OF_IMPLEMENTATION
from harness.laws.law import Example, Law, law
from harness.laws.subject import Subject

CONTENTS = (0x00, 0xFF, 0x42)
"""Bytes that freed memory is filled with: zeros; NaN, or minus one in integers; and ordinary numbers."""


def repeatable(statement: str) -> Callable[[Callable[..., Measurement]], Law]:
    """Make a law of the function below: calls on the same inputs agree.

    Parameters
    ----------
    statement
        One sentence.

    Returns
    -------
    callable
        A decorator that turns the measuring function into a :class:`~harness.laws.Law`.
    """
    return law(
        statement,
        source="definition of a function of its inputs",
        bound="no tolerance",
        cause="uninitialized memory, state kept between calls, randomness, or a sum in thread order: make each "
        "call independent and deterministic",
        group="implementation",
        examples=OF_IMPLEMENTATION,
        intermittent=True,
    )


def repeated(
    call: Callable[[], Array],
    format_: Format,
    *,
    between: Callable[[], Measurement | None] = lambda: None,
    sizes: Iterable[int] = (),
    device: str = CPU,
    host: Host = HERE,
) -> Measurement:
    """Call three times and compare the bits of the results with the first result; NaN agrees with NaN.

    In a fourth call, uninitialized memory is NaN, and the result may not have additional NaNs.

    Parameters
    ----------
    call
        Makes the call and returns the result as float64.
    format_
        The format whose ulp is the unit; a zero of the other sign deviates by one.
    between
        Action before the last call; if it finds a difference, this decides.
    sizes, device
        See :func:`harness.calling.modes.overwrite_freed`.
    host
        Place of the calls.

    Returns
    -------
    Measurement
        The difference from the first result in ulp.
    """
    sizes = tuple(sizes)
    runs = []
    for byte in CONTENTS:
        if byte == CONTENTS[-1]:
            found = between()
            if found is not None and found.broken:
                return found
        host.overwrite_freed(byte, sizes=sizes, device=device)
        runs.append(call())
    first = runs[0]
    same = Measurement(np.zeros(first.shape), np.zeros(first.shape), first, first)
    second, third = (_bits(compare_runs(run, first, same, format_)) for run in runs[1:])
    agreed = worse(second, third)
    if agreed.broken:
        return agreed
    # Without compilation: the changed setting would cause a recompilation.
    with host.uncompiled(), host.unset_is_nan():
        filled = call()
    return worse(agreed, _newly_nan(filled, first)) if filled.shape == first.shape else agreed


def _newly_nan(filled: Array, first: Array) -> Measurement:
    """Return a measurement that is infinite for each new NaN."""
    unset = np.isnan(filled) & ~np.isnan(first)
    return Measurement(np.where(unset, np.inf, 0.0), np.zeros(first.shape), filled, first)


def _bits(measured: Measurement) -> Measurement:
    """Return the measurement with a deviation of one for zeros of the other sign."""
    if measured.actual.shape != measured.expected.shape:
        return measured
    other_zero = (measured.actual == measured.expected) & (np.signbit(measured.actual) != np.signbit(measured.expected))
    return replace(measured, deviation=np.where(other_zero, 1.0, measured.deviation))


# From the law of a value


def about_every_operation(
    measure: Callable[..., Measurement],
    statement: str,
    cause: str,
    *,
    bound: str = "no tolerance",
    group: str = "implementation",
) -> Law:
    """Make a law of ``measure(subject, value, inputs)`` with the usual descriptions; see :func:`bound_to`."""
    return Law(
        measure.__name__,
        statement,
        source="definition of a function of its inputs",
        bound=bound,
        cause=cause,
        group=group,
        measure=measure,
        examples=OF_IMPLEMENTATION,
    )


def bound_to(law: Law, value: Law) -> Law:
    """Bind the law of the value to a law, which then reads the same inputs."""

    def measure(subject: Subject, **inputs: Any) -> Measurement:
        return law.measure(subject, value, inputs)

    return replace(law, measure=measure, reads=value.reads)


def against(subject: Subject, value: Law, inputs: Example, rest: Iterable[Subject]) -> Measurement:
    """Compare other ways to call an implementation with the plain call."""
    first = subject.measure(value, inputs)
    against_first = [
        compare_runs(to_array(other(*inputs.values())), first.actual, first, subject.format) for other in rest
    ]
    return worse(*against_first)


def rows_of(subject: Subject, value: Law) -> tuple[list[int | None], bool]:
    """Return the row axes of the arguments, and whether the first axis of the output is the row axis."""
    axes: Mapping[str, Any] = subject.contract.axes
    axis_names = [axes[name].names[subject.contract.grouped :] if name in axes else () for name in value.reads]
    row_axes = [names.index("n") if "n" in names else None for names in axis_names]
    return row_axes, (subject.output_axes or ())[:1] == ("n",)


def between(arguments: tuple[Any, ...], places: list[int | None], first: int, end: int) -> list[Any]:
    """Return the arguments with only the rows from ``first`` to ``end``."""
    return [
        x if at is None else x.narrow(at, first, min(end, x.shape[at]) - first)
        for x, at in zip(arguments, places, strict=True)
    ]


def other_inputs(arguments: Sequence[Any]) -> list[Any]:
    """Return other inputs of the same shapes: the same numbers in reverse order along every axis."""
    return [x.flip(tuple(range(x.ndim))) if isinstance(x, Tensor) else x for x in arguments]


def worst_of(*measured: Measurement) -> Measurement:
    """Return the measurement that is furthest beyond its bound, with its circumstance."""
    return max(measured, key=lambda one: float(one.ratio.max(initial=0.0)))
