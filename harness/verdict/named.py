"""Named mistakes of verdicts: which violations follow from the mistake that the diagnosis of a case found."""

import contextlib
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from harness.calling.adapter import NotApplicable
from harness.diagnosis import Diagnosis, find_mistake, find_rival, make_imitations
from harness.diagnosis.search import make_examples as small_examples
from harness.diagnosis.words import make_mistake
from harness.floats import Measurement
from harness.laws import CaseError, Example
from harness.record import Fault, Mistake, Status, Verdict, Violation
from harness.verdict.draw import draw_few_examples
from harness.verdict.job import Job
from harness.verdict.replay import restore_example
from harness.verdict.violation import make_violation

_WRONG = {Status.BROKEN, Status.LOST}
"""Statuses that start a search for a mistake."""

_REPORTED = {*_WRONG, Status.EXPECTED, Status.UNCLAIMED}
"""Statuses of violations that may follow from a mistake that was found."""


class Names:
    """The mistakes of cases, searched once per process, when a first law is broken."""

    def __init__(self) -> None:
        self._found: dict[Any, tuple[Diagnosis, Mistake] | None] = {}

    def add_mistake(self, job: Job, verdict: Verdict) -> Verdict:
        """Return the verdict with the mistake from which its violation follows."""
        if job.contract.form != "function":
            return verdict
        if verdict.violation is None:
            pair = self._find_mistake(job, examines=True) if verdict.fault in _EXPLAINED else None
            is_explained = pair is not None and _explains(pair[0], verdict)
            return verdict.model_copy(update={"named": pair[1]}) if pair and is_explained else verdict
        if verdict.status not in _REPORTED:
            return verdict
        pair = self._find_mistake(job, examines=verdict.status in _WRONG)
        if pair is None or pair[0].explains not in ("", job.format.name):
            return verdict
        diagnosis, mistake = pair
        follows = _Follows(job, diagnosis)
        first, *rest = (
            violation.model_copy(update={"named": mistake}) if follows.shows(violation) else violation
            for violation in (verdict.violation, *verdict.violation.beside)
        )
        if job.law.name == "value" and not _is_clear(first, diagnosis):
            clear = follows.find_clear_violation()
            if clear is not None:
                # The smallest example shows something else, such as an overflow, or NaN, or too little of a cap.
                rest = [*rest, first.model_copy(update={"beside": ()})] if first.named is None else rest
                first = clear.model_copy(update={"named": mistake})
        return verdict.model_copy(update={"violation": first.model_copy(update={"beside": tuple(rest)})})

    def _find_mistake(self, job: Job, *, examines: bool) -> tuple[Diagnosis, Mistake] | None:
        declares = str(
            sorted((name, str(value)) for name, value in job.case.declares.items() if name in job.contract.conventions)
        )
        key = job.case.name, id(job.case.function), declares, job.contract.name, job.device
        if key not in self._found and examines:
            with torch.random.fork_rng(devices=[]):
                self._found[key] = _diagnose(job)
        return self._found.get(key)


def _diagnose(job: Job) -> tuple[Diagnosis, Mistake] | None:
    """Return the mistake of a case, with the contract under which it would be none."""
    diagnosis = find_mistake(job.case, job.contract, job.device)
    alternative = (
        find_rival(job.case, job.contract, job.device) if diagnosis is None or _is_of_values(diagnosis) else None
    )
    if alternative is not None and (diagnosis is None or len(diagnosis.choices) > 1):
        diagnosis = alternative
    if diagnosis is None:
        return None
    mistake = make_mistake(diagnosis, job.case, job.contract)
    if alternative is not None and not mistake.declare:
        mistake = mistake.model_copy(update={"declare": alternative.choices[0].contract})
    return diagnosis, mistake


_EXPLAINED = {
    Fault.SHAPE: {"shape", "instead", "reduction", "before", "axis", "form"},
    Fault.RAISED: {"shape"},
    Fault.NO_GRADIENT: {"gradient"},
}
"""Errors that a mistake explains, and the slots of these mistakes."""


def _explains(diagnosis: Diagnosis, verdict: Verdict) -> bool:
    """Whether an error follows from a mistake."""
    slots = _EXPLAINED.get(verdict.fault, set()) if verdict.fault is not None else set()
    return not diagnosis.is_far and bool(slots & diagnosis.setting.choices.keys())


def _is_of_values(diagnosis: Diagnosis) -> bool:
    """Whether ordinary values are wrong."""
    return not diagnosis.is_far and "gradient" not in diagnosis.setting.choices


def _find_worst(measured: Measurement) -> tuple[tuple[int, ...], float, float]:
    """Return the place of the largest deviation, and the answer and the exact value there."""
    index = measured.worst
    return index, float(measured.actual[index]), float(measured.expected[index])


def _sort_by_size(given: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(given, key=lambda one: sum(x.numel() for x in one if isinstance(x, Tensor)))


_PART = 0.5
"""Share of a deviation that a mistake may leave unexplained."""


def _is_clear(violation: Violation, diagnosis: Diagnosis) -> bool:
    """Whether a violation shows the mistake as a finite number that is far from the right one."""
    has_cap = any(choice.cap is not None for choice in diagnosis.choices)
    return violation.named is not None and math.isfinite(violation.actual) and not has_cap


class _Follows:
    """Whether violations of a law follow from a mistake: whether its imitation breaks the law in the same way."""

    def __init__(self, job: Job, diagnosis: Diagnosis) -> None:
        self._job = job
        imitated = make_imitations(job.contract, diagnosis.setting, job.format)
        self._imitated = [job.subject.replace_function(function) for function in imitated]

    def shows(self, violation: Violation) -> bool:
        """Whether the imitation is off in the same way on the example, or on others if it is not spelled out."""
        element = violation.place, violation.actual, violation.expected
        examples = restore_example(violation.example, self._job.contract)
        return any(self._is_imitated(example, *element) for example in examples) if examples else self._shows_on_drawn()

    def _shows_on_drawn(self) -> bool:
        """Whether the imitation is off in the same way on the first drawn example that the case breaks."""
        for example in draw_few_examples(self._job.inputs, self._job.format):
            measurement = self._measure(self._job.subject, example)
            if measurement is not None and measurement.broken:
                return self._is_imitated(example, *_find_worst(measurement))
        return False

    def _is_imitated(self, example: Example, index: tuple[int, ...], actual: float, expected: float) -> bool:
        """Whether an imitation deviates as the case does at a place: not finite either, or by about as much.

        The smallest example lies just beyond the bound, so roundings of the case may contribute to its deviation.
        """
        if not (math.isfinite(actual) and math.isfinite(expected)):
            return self._breaks(example, finite=math.isfinite(actual))
        measured = self._measure(self._imitated[0], example)
        if measured is None:
            return False
        # The record of a violation with a single group has no axis of groups.
        index = (0,) * (measured.actual.ndim - len(index)) + index
        if len(index) != measured.actual.ndim:
            return False
        if any(position >= size for position, size in zip(index, measured.actual.shape, strict=True)):
            return False
        off = float(measured.actual[index]) - float(measured.expected[index])
        return math.isfinite(off) and abs(off - (actual - expected)) <= _PART * abs(actual - expected)

    def _breaks(self, example: Example, *, finite: bool) -> bool:
        measurements = [self._measure(subject, example) for subject in self._imitated]
        wrong = [measurement for measurement in measurements if measurement is not None and measurement.broken]
        return any(math.isfinite(measurement.actual[measurement.worst]) == finite for measurement in wrong)

    def _measure(self, subject: Any, example: Example) -> Measurement | None:
        inputs = {name: x.clone() if isinstance(x, Tensor) else x for name, x in example.items()}
        with contextlib.suppress(CaseError, NotApplicable, KeyError):
            return subject.measure(self._job.law, inputs)  # type: ignore[no-any-return]
        return None

    def find_clear_violation(self) -> Violation | None:
        """Return a violation of the case on a small example that the imitation breaks, too."""
        for example in self._make_small_examples():
            measured = self._measure(self._job.subject, example)
            if measured is not None and measured.broken and self._is_imitated(example, *_find_worst(measured)):
                return make_violation(self._job, example, measured, "")
        return None

    def _make_small_examples(self) -> Sequence[Example]:
        grouped, names = self._job.contract.grouped, self._job.law.reads
        return [
            {name: x[None] if grouped and isinstance(x, Tensor) else x for name, x in zip(names, values, strict=True)}
            for far in (True, False)
            for values in _sort_by_size(
                small_examples(self._job.contract, dtype=self._job.format.dtype, far=far)[: 1 if far else None]
            )
        ]
