"""Find laws that are broken only as a consequence of a wrong value or gradient.

First the wrong results are corrected, and the law is measured again on the examples that broke it and on others. If it
holds, the violation follows from the value. A gradient cannot be corrected. There, rows with a wrong value are omitted,
and the violation follows from the value if the other rows are right. The same applies to two laws of the gradient.

An example of a law of two runs is that a row gives the same result alone. Such a law also breaks if digits cancel and
the runs add in another order. It follows from the value if the failing rows have similar errors alone after a change by
a few ulp. Errors that depend on other rows, on the position or on the number of rows are another fault.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.calling.adapter import NotApplicable
from harness.floats import Array, Measurement
from harness.laws import CaseError, Example, Law, Subject
from harness.laws.derivation import find_row_axes, select_rows
from harness.laws.subject import Answered
from harness.verdict.draw import Deadline, find_failing_example
from harness.verdict.job import Job
from harness.verdict.trial import Trials, expand_along_rows, ignore_rows, reduce_to_rows, take

EXAMPLES = 16
"""Examples drawn in addition to the failing ones; a second defect also breaks the law where the value is right."""

OF_ANSWERS = {"algebra", "finite", "gradient"}
"""Groups of laws about results; laws about special numbers, lengths and implementations are independent."""

OF_TWO_RUNS = {"row_alone", "any_position", "any_layout", "any_rank", "value_on_many_rows"}
"""Laws that compare the answers of a row in two runs."""

ROWS_ALONE = 16
"""Rows of an example that are called separately: the first and the last that break such a law, and some between."""

NEIGHBORS = (8, 8, 16, 32)
"""Calls for each row, the first on the row and the others a few ulp away, until their results differ enough. Few calls
underestimate the effect of rounding, which is the worst of many rows.
"""

BASES = ("value", "gradient")
"""The laws that others may follow from."""


def find_explaining_law(job: Job, examples: Sequence[Example], *, seed: int, deadline: Deadline) -> str:
    """Return the law whose violation explains the violation of another law; an empty text if there is none.

    The other law is one of :data:`OF_TWO_RUNS`, or its group is one of :data:`OF_ANSWERS`.

    Parameters
    ----------
    job
        The broken law, for a case in a dtype.
    examples
        Examples that break it.
    seed, deadline
        Seed and deadline for further examples.
    """
    for base, subject, count in _list_corrections(job):
        # Without a result there is no evidence.
        with suppress(CaseError, NotApplicable):
            failing = find_failing_example(Trials(job, subject), examples, examples=count, seed=seed, deadline=deadline)
            if failing is None and subject.is_evident:
                return base.name
    return ""


def _list_corrections(job: Job) -> "Iterator[tuple[Law, _CorrectedSubject, int]]":
    """Yield each law from which the job's law may follow, a subject that keeps it, and the number of examples to draw.

    A law of two runs gets at most its number of examples, which may be large.
    """
    law, contract = job.law, job.contract
    if law.name in OF_TWO_RUNS:
        value = next((law for law in contract.laws if law.name == "value"), None)
        if value is not None and not contract.grouped and (contract.output or ())[:1] == ("n",):
            yield value, _WithoutRowsWrongAlone(job, value), min(EXAMPLES, job.examples)
    elif not (law.intermittent or law.lost_digits or law.of_many):
        for base in (candidate for candidate in contract.laws if candidate.name in BASES and candidate is not law):
            if law.name in BASES and base.name != "value":
                continue
            if base.group == "gradient" and (law.group != "gradient" or not set(base.reads) <= set(law.reads)):
                continue
            kind = _WithoutBrokenRows if law.group == "gradient" else _ExactValueSubject
            yield base, kind(job, base), EXAMPLES


class _CorrectedSubject(Subject):
    """A subject with some results corrected or omitted because they break a base law."""

    def __init__(self, job: Job, base: Law) -> None:
        super().__init__(job.case, job.contract, job.format, device=job.device)
        self._base = base
        self.is_evident = False
        """Whether the corrected or omitted results show that another law follows from the base law."""


class _ExactValueSubject(_CorrectedSubject):
    """A subject whose wrong values are replaced by the exact ones."""

    def __call__(self, *inputs: Any) -> Any:
        """Call the implementation; replace each wrong row by the exact result, rounded to the format."""
        output = super().__call__(*inputs)
        measured = self._base.measure(Answered(self, output), **dict(zip(self._base.reads, inputs, strict=True)))
        wrong = _find_broken_rows(measured)
        if not wrong.any() or measured.expected.shape != tuple(output.shape):
            return output
        self.is_evident = True
        exact = torch.from_numpy(np.array(measured.expected)).to(output)
        return torch.where(torch.as_tensor(expand_along_rows(wrong, output.ndim)).to(output.device), exact, output)


class _WithoutBrokenRows(_CorrectedSubject):
    """A subject without the rows that break another law; if all are wrong, nothing follows."""

    _omitted = _kept = 0

    def measure(self, law: Law, example: Example) -> Measurement:
        """Measure in the rows that keep the other law."""
        measured = super().measure(law, example)
        wrong = _find_broken_rows(super().measure(self._base, example))
        if len(wrong) != len(_find_broken_rows(measured)):
            wrong = np.full(len(_find_broken_rows(measured)), wrong.any())
        self._omitted += int(wrong.sum())
        self._kept += int((~wrong).sum())
        self.is_evident = self._omitted > 0 and self._kept > 0
        return ignore_rows(measured, wrong)


class _WithoutRowsWrongAlone(_CorrectedSubject):
    """A subject without the rows that also lose their digits alone."""

    def __init__(self, job: Job, base: Law) -> None:
        super().__init__(job, base)
        self._axes = job.axes
        self._leading = next(axes.names[0] for axes in job.axes.values() if axes.names)

    def measure(self, law: Law, example: Example) -> Measurement:
        """Measure without the broken rows if all tried ones are also wrong alone."""
        measured = super().measure(law, example)
        broken = np.flatnonzero(_find_broken_rows(measured))
        tried = broken[np.linspace(0, len(broken) - 1, min(len(broken), ROWS_ALONE)).astype(int)]
        if not measured.ratio.ndim or not len(tried) or not self._find_rows_wrong_alone(example, tried).all():
            return measured
        self.is_evident = True
        deviation = measured.deviation.copy()
        deviation[broken] = 0.0
        return replace(measured, deviation=deviation)

    def _find_rows_wrong_alone(self, example: Example, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Return the rows whose errors differ too much when each row is alone and moved by a few ulp.

        A row with the same error in each call causes no difference between two runs.
        """
        wrong = np.zeros(len(rows), dtype=bool)
        errors: list[Array] = [np.zeros((0, 0))] * len(rows)
        for turn, times in enumerate(NEIGHBORS):
            rest = np.flatnonzero(~wrong)
            batch = take(example, self._axes, self._leading, rows[rest].repeat(times).tolist())
            if not len(rest) or batch is None:
                break
            moved = self._move_rows(batch, np.random.default_rng(turn), times if turn == 0 else 0)
            measured = self.replace_function(self._call_one_by_one).measure(self._base, moved)
            signed = np.copysign(measured.deviation, measured.actual - measured.expected)
            bounds = measured.bound.reshape(len(rest), times, -1).max(1)
            for row, row_errors, bound in zip(rest, signed.reshape(len(rest), times, -1), bounds, strict=True):
                errors[row] = np.concatenate([errors[row].reshape(-1, row_errors.shape[-1]), row_errors])
                wrong[row] = bool((_measure_spread(errors[row]) > 2.0 * bound).any())
        return wrong

    def _call_one_by_one(self, *arguments: Any) -> Tensor:
        places, _ = find_row_axes(self, self._base)
        n = next(x.shape[axis] for x, axis in zip(arguments, places, strict=True) if axis is not None)
        return torch.cat(self.each([select_rows(arguments, places, i, i + 1) for i in range(n)]))

    def _move_rows(self, batch: Example, rng: np.random.Generator, kept: int) -> Example:
        """Move the numbers of rows by up to three units toward zero, except for the first row per group."""
        moved = dict(batch)
        for name, axes in self._axes.items():
            x = batch[name]
            if not x.is_floating_point() or axes.names[:1] != (self._leading,):
                continue
            units = rng.integers(0, 4, size=tuple(x.shape))
            if kept:
                units[::kept] = 0
            nearer = (x.double() * torch.from_numpy(1.0 - units * 2.0 * self.format.u)).to(x.dtype)
            restored = nearer if axes.restore is None else axes.restore(nearer, self.format)
            moved[name] = x if restored is None else torch.where(x.isfinite(), restored, x)
        return moved


def _measure_spread(errors: Array) -> Array:
    """Return the range of the errors per entry; infinite if only some are infinite."""
    infinite = np.isinf(errors)
    finite = np.where(infinite, 0.0, errors)
    return np.where(infinite.any(0) & ~infinite.all(0), np.inf, finite.max(0) - finite.min(0))


def _find_broken_rows(measured: Measurement) -> NDArray[np.bool_]:
    """Return the broken rows; a single value without rows."""
    ratio = reduce_to_rows(measured.ratio)
    return np.array([measured.broken]) if ratio is None else ratio > 1.0
