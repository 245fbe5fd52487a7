"""Repetition: the same call again, each time with other contents in freed memory.

Uninitialized memory usually contains the data of the previous call, so a second call can seem sound. Here the next
blocks of the allocator are overwritten before each call. In a last call, torch fills new memory with NaN.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from harness.calling.device import CPU
from harness.calling.host import HERE, Host
from harness.floats import Array, Format, Measurement, compare_runs, worse
from harness.laws.law import Law, law

CONTENTS = (0x00, 0xFF, 0x42)
"""Bytes that freed memory is filled with: zeros; NaN, or minus one in integers; and ordinary numbers."""

EXAMPLES = 8
"""Hypothesis examples for laws about implementation details, which show on any batch."""


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
        examples=EXAMPLES,
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
