"""What follows from a wrong value or gradient: a law that is broken only where they are, and says nothing beside them.

A law of answers is measured on the same implementation, of which the answers that the law of the value calls wrong are
put right. Where it holds then, on the examples that broke it and on others, whatever is wrong with it is wrong with the
value. A gradient cannot be put right: rows whose value is wrong are left out, and it follows from the value where it is
right in others. So does another law of the gradient from the first of them.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.calling.adapter import NotApplicable
from harness.floats import Measurement
from harness.laws.law import Example, Law
from harness.laws.subject import CaseError, Subject
from harness.verdict.draw import Deadline, first_failing
from harness.verdict.job import Job
from harness.verdict.rows import of_rows
from harness.verdict.trial import Trials

EXAMPLES = 16
"""Examples drawn beside those that failed: what is wrong in two ways breaks the law where the value is right."""

_OF_ANSWERS = {"algebra", "finite", "gradient"}
"""Groups of laws about what is answered; those of special numbers, of lengths and of any implementation stand alone."""

BASES = ("value", "gradient")
"""The laws that others may follow from."""


def followed(job: Job, examples: Sequence[Example], *, seed: int, deadline: Deadline) -> str:
    """Return the law from which another follows that is broken; nothing where it says something of its own.

    Parameters
    ----------
    job
        The law that is broken, of a case in a dtype.
    examples
        Some that break it.
    seed, deadline
        Of the examples that are drawn beside them, and until when.
    """
    law = job.law
    if law.group not in _OF_ANSWERS or law.intermittent or law.lost_digits or law.of_many:
        return ""
    for base in (other for other in job.contract.laws if other.name in BASES and other is not law):
        if law.name in BASES and base.name != "value":
            continue
        if base.group == "gradient" and (law.group != "gradient" or not set(base.reads) <= set(law.reads)):
            continue
        subject = _LeftOut(job, base) if law.group == "gradient" else _PutRight(job, base)
        # What does not answer here says nothing.
        with suppress(CaseError, NotApplicable):
            failing = first_failing(Trials(job, subject), examples, examples=EXAMPLES, seed=seed, deadline=deadline)
            if failing is None and subject.is_evident:
                return base.name
    return ""


class _PutRight(Subject):
    """A subject whose wrong values are right.

    Parameters
    ----------
    job
        What is decided.
    value
        The law of its value.
    """

    def __init__(self, job: Job, value: Law) -> None:
        super().__init__(job.case, job.contract, job.format, device=job.device)
        self._value = value
        self.is_evident = False
        """Whether anything was put right."""

    def __call__(self, *inputs: Any) -> Any:
        """Call the implementation; answer exactly, rounded to the format, in each row in which it is wrong."""
        output = super().__call__(*inputs)
        measured = self._value.measure(_Answered(self, output), **dict(zip(self._value.reads, inputs, strict=True)))
        wrong = _broken_rows(measured)
        if not wrong.any() or measured.expected.shape != tuple(output.shape):
            return output
        self.is_evident = True
        exact = torch.from_numpy(np.array(measured.expected)).to(output)
        chosen = torch.from_numpy(wrong).to(output.device)
        return torch.where(chosen.reshape(-1, *(1,) * (output.ndim - 1)) if output.ndim else chosen[0], exact, output)


class _Answered(Subject):
    """A subject that has answered already."""

    def __init__(self, asked: Subject, answer: Tensor) -> None:
        super().__init__(asked.case, asked.contract, asked.format, asked.watch, asked.device)
        self._answer = answer

    def __call__(self, *_: Any) -> Tensor:
        """Return the answer."""
        return self._answer


class _LeftOut(Subject):
    """A subject of which the rows are left out that break another law.

    Parameters
    ----------
    job
        What is decided.
    base
        The other law.
    """

    def __init__(self, job: Job, base: Law) -> None:
        super().__init__(job.case, job.contract, job.format, device=job.device)
        self._base = base
        self._left_out = self._kept = 0

    @property
    def is_evident(self) -> bool:
        """Whether there were rows of both kinds: what is wrong everywhere has nothing that it follows from."""
        return self._left_out > 0 and self._kept > 0

    def measure(self, law: Law, example: Example) -> Measurement:
        """Measure in the rows that keep the other law."""
        measured = super().measure(law, example)
        wrong = _broken_rows(super().measure(self._base, example))
        if len(wrong) != len(_broken_rows(measured)):
            wrong = np.full(len(_broken_rows(measured)), wrong.any())
        self._left_out += int(wrong.sum())
        self._kept += int((~wrong).sum())
        apart = wrong.reshape(-1, *(1,) * (measured.ratio.ndim - 1)) if measured.ratio.ndim else wrong[0]
        return replace(measured, deviation=np.where(apart, 0.0, measured.deviation))


def _broken_rows(measured: Measurement) -> NDArray[np.bool_]:
    """Which rows are broken; one for all of what has no rows."""
    ratio = of_rows(measured.ratio)
    return np.array([measured.broken]) if ratio is None else ratio > 1.0
