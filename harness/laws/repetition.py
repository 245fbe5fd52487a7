"""Repetition: the same call again, each time on freed memory that holds something else.

Memory that nobody initialised keeps what was in it: mostly what the call before left there, so that a second call
reads the same and seems sound. Here the blocks that an allocator hands out next are overwritten before each call, and
in a last call torch itself fills what it hands out with NaN.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch

from harness.calling.compiler import uncompiled
from harness.calling.device import CPU
from harness.floats import Array, Format, Measurement, compare_runs, worse
from harness.laws.law import Law, law

CONTENTS = (0x00, 0xFF, 0x42)
"""Bytes that freed memory is filled with: zeros; NaN, or minus one in integers; and ordinary numbers."""

EXAMPLES = 8
"""Hypothesis examples of a law on how an operation is implemented: what it looks for shows on any batch."""

_SIZES = tuple(2**power for power in range(4, 17))
_SMALL, _FEW, _MANY = 1024, 4, 12
"""So many blocks of each size, and of small ones more than the seven that glibc lays aside for other calls."""


def repeatable(statement: str) -> Callable[[Callable[..., Measurement]], Law]:
    """Make the law of the function below that calls on the same inputs agree.

    Parameters
    ----------
    statement
        One sentence.
    """
    return law(
        statement,
        source="definition of a function of its inputs",
        bound="none",
        cause="uninitialised memory, a state kept between calls, randomness, or a sum in the order of threads",
        group="implementation",
        examples=EXAMPLES,
        intermittent=True,
    )


def overwrite_freed(byte: int, *, sizes: Iterable[int] = (), device: str = CPU) -> None:
    """Fill the blocks of memory that are handed out next, in less than a millisecond.

    Parameters
    ----------
    byte
        What each byte becomes.
    sizes
        Bytes of blocks to fill beside those of powers of two from 16 to 65,536; allocators keep blocks by size.
    device
        On this accelerator too.

    Notes
    -----
    Blocks are allocated, filled and freed again, through torch and through NumPy, which keeps small ones for itself.
    What a call frees and takes again by itself is not reached, and neither are the first bytes of a block, in which
    the allocator keeps its links: a scalar that nobody initialised is an address, which may be too small to matter.
    """
    held: list[object] = []
    for size in (*_SIZES, *sizes):
        for _ in range(_MANY if size <= _SMALL else _FEW):
            held += [torch.full((size,), byte, dtype=torch.uint8), np.full(size, byte, dtype=np.uint8)]
            if device != CPU:
                held.append(torch.full((size,), byte, dtype=torch.uint8, device=device))


@contextmanager
def unset_is_nan() -> Iterator[None]:
    """Let torch fill the tensors that it hands out unset with NaN, those that a call frees and takes again among them.

    Notes
    -----
    It does so where it is to be deterministic, which may change how it adds: nothing but NaN follows from the memory.
    """
    before = torch.get_deterministic_debug_mode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Not `use_deterministic_algorithms`, which loads the compiler.
        torch.set_deterministic_debug_mode("warn")
        try:
            yield
        finally:
            torch.set_deterministic_debug_mode(before)


def repeated(
    call: Callable[[], Array],
    format_: Format,
    *,
    between: Callable[[], object] = lambda: None,
    sizes: Iterable[int] = (),
    device: str = CPU,
) -> Measurement:
    """Call three times and compare the bits of the answers with those of the first; NaN agrees with NaN.

    A fourth answer, on memory that is NaN where nobody sets it, may not be NaN where the first is none.

    Parameters
    ----------
    call
        Makes the call and returns the answer as float64.
    format_
        The format whose ulp is the unit; a zero of the other sign deviates by one.
    between
        What is done before the last call.
    sizes, device
        See :func:`overwrite_freed`.
    """
    sizes = tuple(sizes)
    runs = []
    for byte in CONTENTS:
        if byte == CONTENTS[-1]:
            between()
        overwrite_freed(byte, sizes=sizes, device=device)
        runs.append(call())
    first = runs[0]
    same = Measurement(np.zeros(first.shape), np.zeros(first.shape), first, first)
    second, third = (_bits(compare_runs(run, first, same, format_)) for run in runs[1:])
    agreed = worse(second, third)
    if agreed.broken:
        return agreed
    # What is compiled would be compiled anew, and is carried out operation by operation instead.
    with uncompiled(), unset_is_nan():
        filled = call()
    return worse(agreed, _newly_nan(filled, first)) if filled.shape == first.shape else agreed


def _newly_nan(filled: Array, first: Array) -> Measurement:
    """What is NaN where it was none."""
    unset = np.isnan(filled) & ~np.isnan(first)
    return Measurement(np.where(unset, np.inf, 0.0), np.zeros(first.shape), filled, first)


def _bits(measured: Measurement) -> Measurement:
    """Tell zeros by their sign, which numbers do not."""
    if measured.actual.shape != measured.expected.shape:
        return measured
    other_zero = (measured.actual == measured.expected) & (np.signbit(measured.actual) != np.signbit(measured.expected))
    return replace(measured, deviation=np.where(other_zero, 1.0, measured.deviation))
