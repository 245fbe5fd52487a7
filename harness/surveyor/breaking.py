"""Breaking points: a law followed along a ray to the exact number at which it first fails.

The screen measures thousands of parameters at once. Ball arithmetic then measures the breaking point and the number
before it, one at a time.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.findings.closed_form import FORMS, evaluate_form, reaches
from harness.floats import Measurement, confirming, from_ordinal, to_ordinal
from harness.laws import CaseError, Example, Law, Ray
from harness.record import Breaking, Status
from harness.surveyor.boundary import Boundary, Effort, Places, first_failure
from harness.verdict.job import Job
from harness.verdict.replay import MAX_ELEMENTS, format_hexadecimal
from harness.verdict.violation import make_witness

GROUPS = ("value", "finite", "gradient")
"""The groups of laws that are followed unless others are named: values and gradients apart."""

_GROUPED = Effort(whole=0, batch=512, width=64, near=64)
"""Effort if each row needs a separate call."""

_WHOLE_NUMBERS = Effort(whole=0, batch=1, width=1, near=2)

LONG = "value_on_long_rows"
"""The law about the value on long rows."""

_COUNTED = 16
"""Formats of more bits count further than a ray of lengths goes: only narrower sums within them stall there."""

_STRAY = 16
"""Numbers around a breaking point that are measured alone, where a row alone differs from a row in a batch."""


def is_followed(law: Law) -> bool:
    """Whether a law is followed along rays: it is about the contract's own inputs."""
    return law.inputs is None and law.group in GROUPS and law.every_row


def follows(job: Job, ray: Ray) -> bool:
    """Whether a ray has the inputs of the job's law."""
    example = ray.example(_make_parameters(ray, job, [ray.start(job.format)]), job.format)
    if ray.laws or job.law.inputs is not None:
        # A law about other inputs than the contract's is followed where a ray of such inputs names it.
        return job.law in ray.laws and set(job.law.reads) <= set(example)
    if not is_followed(job.law):
        return set(job.law.reads) <= set(example)
    # The number of rows or entries concerns only the value.
    return set(job.law.reads) <= set(example) and (not ray.whole or job.law == first_value(job))


def first_value(job: Job) -> Law | None:
    """The law of the value that is followed along the rays of a contract."""
    return next((law for law in job.contract.laws if is_followed(law) and law.group == "value"), None)


def _make_parameters(ray: Ray, job: Job, values: list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.int64 if ray.whole else job.format.dtype)


@dataclass(frozen=True)
class RaySearch:
    """A law followed along a ray: parameters by their place, from the ray's start to its end."""

    job: Job
    ray: Ray

    @cached_property
    def ends(self) -> tuple[int, int]:
        """Integers of the first and of the last parameter."""
        start, end = (
            _make_parameters(self.ray, self.job, [limit(self.job.format)]) for limit in (self.ray.start, self.ray.end)
        )
        return (int(start), int(end)) if self.ray.whole else (int(to_ordinal(start)[0]), int(to_ordinal(end)[0]))

    @property
    def length(self) -> int:
        """Number of parameters."""
        return abs(self.ends[1] - self.ends[0]) + 1

    @property
    def falling(self) -> bool:
        """Whether the parameter falls."""
        return self.ends[1] < self.ends[0]

    def parameters(self, places: Places) -> torch.Tensor:
        """The parameters at some places."""
        integers = self.ends[0] + (-places if self.falling else places)
        return torch.from_numpy(integers) if self.ray.whole else from_ordinal(integers, self.job.format)

    def value(self, index: int) -> float:
        """Return the parameter at a place."""
        return float(self.parameters(np.array([index], dtype=np.int64))[0])

    def place(self, value: float) -> int:
        """The place of a parameter, rounded to the format."""
        return self.places([value])[0]

    def places(self, values: list[float]) -> list[int]:
        """Return the places of parameters, each rounded to the format; -1 before the start of the ray."""
        parameters = _make_parameters(self.ray, self.job, values)
        integers = parameters.tolist() if self.ray.whole else to_ordinal(parameters).tolist()
        start = self.ends[0]
        return [abs(integer - start) if (integer < start) == self.falling else -1 for integer in integers]

    def example(self, places: Places) -> Example:
        """The inputs at some places."""
        return self.ray.example(self.parameters(places), self.job.format)

    def measure_place(self, index: int, *, confirm: bool = False) -> Measurement:
        """Measure one place alone."""
        example = self.example(np.array([index], dtype=np.int64))
        if not confirm:
            return self.job.subject.measure(self.job.law, example)
        with confirming():
            return self.job.subject.measure(self.job.law, example)

    def fails(self, places: Places) -> NDArray[np.bool_]:
        """Whether the law fails at each place, on the screen."""
        if self.ray.whole and not self.ray.together:
            return np.array([self.measure_place(int(index)).broken for index in places])
        return worst_of_each(self.job.subject.measure(self.job.law, self.example(places)), len(places)) > 1.0

    @property
    def effort(self) -> Effort:
        """Return limits that suit the cost of a row."""
        if self.ray.whole and not self.ray.together:
            return _WHOLE_NUMBERS
        return _GROUPED if self.job.contract.grouped else Effort()

    def probes(self) -> list[int]:
        """Return the first places to try: spread over the ordinals, and denser in the range of exponentials."""
        if self.ray.whole:
            wide = self.job.format.precision > _COUNTED
            lengths = (256, 2048, 65_520, 65_536) if wide else (*(2**i for i in range(1, 17)), 65_520)
            return self.places([n + step for n in lengths for step in (0, 1)])
        number = 128 if self.job.contract.grouped else 512
        spread = [self.length * i // number for i in range(number)]
        return spread + self.places([2.0 ** (i / (number // 8)) for i in range(-6 * number // 8, 11 * number // 8)])


def worst_of_each(measurement: Measurement, rows: int) -> NDArray[np.float64]:
    """Return the largest ratio per row."""
    ratio = np.asarray(measurement.ratio, dtype=np.float64)
    assert ratio.size % rows == 0, "a law on a ray returns one result per row"
    return np.asarray(ratio.reshape(rows, -1).max(1, initial=0.0))


def breaking(job: Job, ray: Ray) -> Breaking:
    """Follow a law along a ray."""
    search = RaySearch(job, ray)
    try:
        boundary = first_failure(search.fails, search.length, search.probes(), search.effort)
        index, confirmed = _confirm(search, boundary)
        fields = _measured_fields(search, index) if index is not None else {}
    except CaseError as error:
        return _record(search, Boundary(None, "scanned", 0), None, reason=str(error))
    return _record(search, boundary, index, confirmed=confirmed, **fields)


def _confirm(search: RaySearch, boundary: Boundary) -> tuple[int | None, bool | None]:
    """Measure the breaking point and its predecessor alone, by ball arithmetic; search nearby if they disagree."""
    if boundary.place is None:
        return None, None
    around = range(max(0, boundary.place - _STRAY), min(search.length, boundary.place + _STRAY + 1))
    if _is_first(search, boundary.place):
        return boundary.place, True
    first = next((index for index in around if _is_first(search, index)), None)
    return (boundary.place, False) if first is None else (first, True)


def _is_first(search: RaySearch, index: int) -> bool:
    holds_before = index == 0 or not search.measure_place(index - 1, confirm=True).broken
    return holds_before and search.measure_place(index, confirm=True).broken


def _measured_fields(search: RaySearch, index: int) -> dict[str, Any]:
    """Return the values at the breaking point."""
    job, value = search.job, search.value(index)
    example = search.example(np.array([index], dtype=np.int64))
    measurement = search.measure_place(index, confirm=True)
    fields = make_witness(job, example, measurement, measurement.worst, "")
    if any(isinstance(x := example[name], torch.Tensor) and x.numel() > MAX_ELEMENTS for name in job.law.reads):
        fields["replay"] = None  # the input is too large to be spelled out
    value_hex = str(int(value)) if search.ray.whole else format_hexadecimal(value)
    return {"value": value, "value_hex": value_hex, **fields}


def _find_form(search: RaySearch, index: int | None) -> dict[str, Any]:
    """Return the closed form that the case declares, or a known form with exactly this value."""
    job, ray = search.job, search.ray
    declared = job.case.declared_point(job.law.name, ray.name, job.format.name)
    for name in (declared,) if declared else (FORMS if index else ()):
        form = evaluate_form(name, job.format.name, ray.columns)
        agrees = index is not None and _reaches(search, index, form)
        agrees = agrees and not (index and _reaches(search, index - 1, form))
        if declared or agrees:
            return {"form": name, "form_value": float(form), "declared": bool(declared), "agrees": agrees}
    return {}


def _reaches(search: RaySearch, index: int, form: Any) -> bool:
    return reaches(search.value(index), form, falling=search.falling)


def _is_expected(search: RaySearch) -> bool:
    """Whether the case declares the break, or the ray has no law, so that the break is a property of the format.

    A break along a ray of lengths is declared under the name of the law on long rows.
    """
    job = search.job
    names = [job.law.name, *([LONG] if search.ray.whole else [])]
    if job.law.inputs is not None:
        # The same property on the contract's own inputs, which the beginning of the ray may be among.
        names += [law.name for law in job.contract.laws if law.measure is job.law.measure and law.inputs is None]
    if job.law not in job.contract.laws or job.when_broken[0] is Status.LOST:
        return True
    return any(job.case.declared_break(name, job.format.name) for name in names)


def _record(search: RaySearch, boundary: Boundary, index: int | None, **fields: Any) -> Breaking:
    job, ray = search.job, search.ray
    return Breaking(
        **job.identity,
        unit=job.law.unit,
        ray=ray.name,
        formula=ray.formula,
        end=ray.end(job.format),
        expected_break=_is_expected(search),
        certainty=boundary.certainty,
        probes=boundary.probes,
        **{"value": None, "value_hex": None, **_find_form(search, index), **fields},
    )
