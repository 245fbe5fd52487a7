"""Ordinary inputs: a few drawn examples of a law, the rows of moderate size in them, and how many of those hold."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.floats import Format, Measurement
from harness.laws.case_error import CaseError
from harness.laws.contract import Axes, Contract
from harness.laws.law import Example, Inputs, Law
from harness.laws.strategies import narrow_batches
from harness.laws.subject import Subject
from harness.record import Fault
from harness.verdict.draw import all_drawn

EXAMPLES = 4
"""Examples drawn of a law: the first is the simplest there is, the others have a hundred rows or more each."""

MODERATE = 4.0
"""Largest absolute value of an input on an ordinary row."""

SMALL = 2.0**-60
"""Smallest nonzero number; no format with the range of float32 needs to flush its square."""

NEARLY_ALL, HALF = 0.95, 0.5
"""Share of rows that must hold under a found property, and largest share that may hold without it."""

ENOUGH = 8
"""Fewest numbers that establish a property."""

Rows = NDArray[np.bool_]


@dataclass(frozen=True)
class Sample:
    """The results of an implementation on one example.

    Parameters
    ----------
    example
        The inputs.
    ordinary
        Which rows are ordinary.
    holds
        Which rows keep the law.
    measurement
        The measurement; ``None`` if the result does not fit the contract.
    """

    example: Example
    ordinary: Rows
    holds: Rows
    measurement: Measurement | None


def examples(inputs: Inputs, format_: Format) -> list[Example]:
    """Draw a few examples, the same ones each time."""
    with narrow_batches():
        return all_drawn(inputs, format_, examples=EXAMPLES, seed=0)


def sampled(subject: Subject, law: Law, example: Example) -> Sample:
    """Measure a law on an example, row by row.

    Raises
    ------
    NotApplicable
        If there is nothing to measure.
    CaseError
        If there is no result; a result of another shape may follow another convention.
    """
    rows = _rows(subject.contract, law.reads, example)
    ordinary = _moderate(law.reads, example, rows)
    # The call may change its inputs, which must not affect the next one.
    own = {name: x.clone() if isinstance(x, Tensor) else x for name, x in example.items()}
    try:
        measurement = subject.measure(law, own)
    except CaseError as error:
        if error.fault is not Fault.SHAPE:
            raise
        return Sample(example, ordinary, np.zeros(rows, dtype=bool), None)
    ratio = measurement.ratio
    if not ratio.ndim or len(ratio) != rows:
        return Sample(example, ordinary, np.full(rows, not measurement.broken), measurement)
    return Sample(example, ordinary, np.asarray((ratio.reshape(rows, -1) <= 1.0).all(-1)), measurement)


def share(samples: Sequence[Sample]) -> float:
    """Share of the ordinary rows on which the law holds; one if there are none."""
    holding = np.concatenate([sample.holds[sample.ordinary] for sample in samples])
    return float(holding.mean()) if holding.size else 1.0


def numbers(samples: Sequence[Sample], name: Literal["actual", "expected"]) -> NDArray[np.float64]:
    """Return all results, or all exact values, in one array."""
    arrays = [np.ravel(getattr(sample.measurement, name)) for sample in samples if sample.measurement is not None]
    return np.concatenate(arrays) if arrays else np.zeros(0)


def is_float(x: Any) -> bool:
    """Whether an input is a tensor of floating-point numbers."""
    return isinstance(x, Tensor) and x.is_floating_point()


def _rows(contract: Contract, reads: Iterable[str], example: Example) -> int:
    """Return the number of rows, or of groups of rows."""
    axis = "g" if contract.grouped else "n"
    for name in reads:
        axes = contract.axes.get(name, Axes(()))
        if isinstance(example[name], Tensor) and axes.names[:1] == (axis,):
            return len(example[name])
    return 1


def _moderate(reads: Iterable[str], example: Example, rows: int) -> Rows:
    """Return which rows have only moderate numbers; an input without rows affects all."""
    chosen = np.ones(rows, dtype=bool)
    for name in reads:
        x = example[name]
        if is_float(x) and x.numel():
            least = max(SMALL, torch.finfo(x.dtype).tiny)
            moderate = ((x.abs() <= MODERATE) & ((x.abs() >= least) | (x == 0.0))).numpy()
            chosen &= moderate.reshape(rows, -1).all(-1) if x.ndim and len(x) == rows else moderate.all()
    return chosen
