"""Prove a unary operation in a 16-bit format: check all 65,536 bit patterns by ball arithmetic."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from harness.calling.adapter import unwrap_bridge
from harness.calling.host import HERE, clock_of, host_of
from harness.case import Case
from harness.floats import Format, Measurement, confirming, reuse_results, to_ordinal
from harness.laws import Contract, Example, Law, Subject
from harness.proof.layout import VALUE_LAYOUTS, ValueLayout
from harness.proof.tally import LIMITS, MOMENTS, Tally, attempt
from harness.record import Violation, Witness
from harness.verdict.decide import decide
from harness.verdict.job import Job
from harness.verdict.replay import encode_example, replay_command
from harness.verdict.shrink import minimise
from harness.verdict.trial import select_worst_row
from harness.verdict.violation import get_likely_cause

CONTRACTS = ("sigmoid", "logsigmoid", "softplus")
"""Contracts of a single number, with all values enumerable."""

QUANTITIES = ("value", "gradient")

_INFINITE = ("limits_at_infinity", "gradient_at_infinity")
_NAN = "nan_stays_in_its_row"


def every_number(format_: Format) -> Tensor:
    """Return all bit patterns of a 16-bit format: NaN first, then by size."""
    codes = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(format_.dtype)
    order = np.argsort(np.where(codes.isnan(), -(2**20), to_ordinal(codes)), kind="stable")
    return codes[torch.from_numpy(order)]


@dataclass(frozen=True)
class Values:
    """A proof of a unary operation: a case in one format and memory layout.

    ``quantity`` is ``value``, or ``gradient`` with cotangent one.
    """

    case: Case
    contract: Contract
    format_: Format
    layout: ValueLayout
    quantity: str

    shards = 1
    reference = VALUE_LAYOUTS[0].name
    following: tuple[Law, ...] = ()

    @property
    def space(self) -> str:
        """Description of the inputs."""
        return f"every {self.format_.name} number, infinities and NaN included"

    @property
    def expected_moments(self) -> tuple[int, ...]:
        """Sums of powers of 0, 1, ..., 65,535."""
        n = 2**16
        return (n, n * (n - 1) // 2, 0, (n - 1) * n * (2 * n - 1) // 6, 0, 0)

    @property
    def laws(self) -> tuple[Law, ...]:
        """The laws that judge each number, or numbers in order."""
        of_gradient = self.quantity == "gradient"
        laws = (law for law in self.contract.laws if ("cotangent" in law.reads) == of_gradient)
        return tuple(law for law in laws if _is_pointwise(law))

    @property
    def subject(self) -> Subject:
        """The case, called in the layout."""
        return Subject(self.laid_out, self.contract, self.format_)

    @property
    def laid_out(self) -> Case:
        """The case with a function that lays its argument out in memory."""
        return replace(self.case, function=self.layout.wrap(self.case.function))

    def tally(self) -> Tally:
        """Visit every number."""
        with confirming(), reuse_results():
            return attempt(self.case, lambda: self._compute_tally(every_number(self.format_)))

    @property
    def main(self) -> Law:
        """The law that compares with the oracle."""
        return next(law for law in self.laws if law.name == self.quantity)

    def _compute_tally(self, x: Tensor) -> Tally:
        # The value is also defined at infinities and for NaN; a separate law covers the gradient there.
        proper = x if self.quantity == "value" else x[x.isfinite()]
        measured = self.subject.measure(self.main, _build_example(proper))
        clock = clock_of(self.case)
        started = clock()
        bits = self._compute_output(self.subject, x)
        floor_s = clock() - started
        reference = self._compute_output(Subject(self.case, self.contract, self.format_), x)
        return Tally(
            moments=moments(x),
            not_correctly_rounded=int(np.count_nonzero(measured.deviation > 0.5)),
            beyond=tuple(int(np.count_nonzero(measured.deviation > limit)) for limit in LIMITS),
            not_finite=int(np.count_nonzero(np.isinf(measured.deviation))),
            differing=None if self.layout is VALUE_LAYOUTS[0] else _count_differing(bits, reference),
            witness=_find_witness(measured, proper),
            broken=dict(self._find_violations(x)),
            floor_s=floor_s,
        )

    def _compute_output(self, subject: Subject, x: Tensor) -> Tensor:
        return subject(x) if self.quantity == "value" else subject.gradient((x,), torch.ones_like(x))

    def _find_violations(self, x: Tensor) -> Iterator[tuple[str, Violation]]:
        """Measure each law on its numbers, and yield the violations."""
        finite, infinite, nan = x[x.isfinite()], x[x.isinf()], x[x.isnan()]
        for law in self.laws:
            about_nan = law.name == _NAN
            numbers = nan if about_nan else infinite if law.name in _INFINITE else finite
            violation = self._find_violation(self.main if about_nan else law, _build_example(numbers))
            if violation is not None:
                yield law.name, violation

    def _find_violation(self, law: Law, example: Example) -> Violation | None:
        """Measure one law, and shrink a failing example."""
        job = Job(self.laid_out, self.contract, law, self.format_)
        measurement = job.subject.measure(law, example)
        if not measurement.broken:
            return None

        def fails(smaller: Example) -> bool:
            return job.subject.measure(law, smaller).broken

        row = select_worst_row(example, job.axes, measurement, fails)
        minimal = row if len(row["x"]) == 1 else minimise(row, job.axes, self.format_, fails)
        violation = decide(job, example=minimal, corpora=()).violation
        if violation is None:
            return None
        if host_of(self.case) is not HERE:
            # The remote process can only trace the plain call, because the layout is applied in this process.
            plain = decide(replace(job, case=self.case), example=minimal, corpora=()).violation
            event, cause = (
                (None, get_likely_cause(law, violation.actual)) if plain is None else (plain.event, plain.cause)
            )
            violation = violation.model_copy(update={"event": event, "cause": cause})
        return bind_replay(violation, replace(job, case=self.case), minimal)


def _is_pointwise(law: Law) -> bool:
    """Return whether a law judges the numbers of this proof rather than inputs drawn for the law."""
    special = law.name in _INFINITE or law.name == _NAN
    return special or (law.inputs is None and law.group in {"value", "algebra", "finite", "gradient"})


def moments(x: Tensor) -> tuple[int, ...]:
    """Return sums of powers of the visited codes, for one operand."""
    codes = [int(code) for code in x.view(torch.int16).numpy().view(np.uint16)]
    return tuple(sum(code**i for code in codes) if j == 0 else 0 for i, j in MOMENTS)


def _build_example(x: Tensor) -> Example:
    return {"x": x, "cotangent": torch.ones_like(x)}


def _count_differing(bits: Tensor, reference: Tensor) -> int:
    """Count the outputs that differ in their bits; two NaN are equal."""
    different = (bits.view(torch.int16) != reference.view(torch.int16)) & ~(bits.isnan() & reference.isnan())
    return int(different.sum())


def _find_witness(measured: Measurement, x: Tensor) -> Witness | None:
    i = int(np.argmax(measured.deviation))
    return witness_of({"x": x[i : i + 1]}, measured, (i,), place=(0,)) if measured.deviation[i] else None


def witness_of(example: Example, measured: Measurement, at: tuple[int, ...], *, place: tuple[int, ...]) -> Witness:
    """Return the output at an index of a measurement, which is at a place of the example's output."""
    values = {name: float(getattr(measured, name)[at]) for name in ("actual", "expected", "deviation")}
    return Witness(example=encode_example(example), place=place, **values)


def bind_replay(violation: Violation, job: Job, example: Example) -> Violation:
    """Return the violation with the command that calls the case as the user does."""
    read = {name: example[name] for name in job.law.reads}
    replay = replay_command(unwrap_bridge(job.case), job.contract, job.law.name, job.format, read, "")
    return violation.model_copy(update={"replay": replay})
