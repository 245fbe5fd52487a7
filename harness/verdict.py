"""Verdicts: a law, a case and a dtype become a record.

The flow of one verdict: Hypothesis draws examples; the first that breaks the law on the screening oracle is made
minimal; ball arithmetic confirms it; only then is the law called broken.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass

import hypothesis
import torch
from hypothesis import HealthCheck, Phase, Verbosity, given, settings

from harness.case import Case
from harness.contracts import contract_named
from harness.error import UsageError
from harness.law import CaseError, Contract, Example, Law, Measurement, Subject
from harness.oracle import confirming
from harness.precision import Format, format_of
from harness.record import Status, Verdict, Violation
from harness.replay import replay_command, to_text
from harness.shrink import minimise, worst_row

SEED = 20240229
"""The seed of every run that names no other."""


@dataclass(frozen=True)
class Job:
    """One verdict to reach: a law of a case in a dtype."""

    case: Case
    contract: Contract
    law: Law
    format: Format

    @property
    def subject(self) -> Subject:
        """The case as the law sees it."""
        return Subject(self.case, self.contract, self.format)


@dataclass
class Census:
    """What ran, and the worst that was seen."""

    examples: int = 0
    rows: int = 0
    worst_ratio: float = -1.0
    deviation: float | None = None
    bound: float | None = None

    def add(self, measurement: Measurement) -> None:
        """Count one example."""
        self.examples += 1
        if measurement.ratio.size == 0:
            return
        self.rows += len(measurement.ratio) if measurement.ratio.ndim else 1
        ratio = float(measurement.ratio[measurement.worst])
        if ratio > self.worst_ratio:
            self.worst_ratio = ratio
            self.deviation = float(measurement.deviation[measurement.worst])
            self.bound = float(measurement.bound[measurement.worst])


class _Falsified(Exception):  # noqa: N818 - a signal from inside Hypothesis, never seen by a user
    def __init__(self, example: Example) -> None:
        super().__init__()
        self.example = example


def jobs(cases: Iterable[Case], *, laws: Iterable[str] = (), dtypes: Iterable[str] = ()) -> list[Job]:
    """List the verdicts to reach, in a fixed order.

    Parameters
    ----------
    cases
        The cases.
    laws, dtypes
        Names to restrict to; all where empty.

    Raises
    ------
    UsageError
        If a name matches nothing, or a case declares a break of a law that its contract does not have.
    """
    wanted_laws, wanted_dtypes = set(laws), [format_of(name).name for name in dtypes]
    listed = []
    known_laws = set()
    for case in cases:
        contract = contract_named(case.contract)
        names = {law.name for law in contract.laws}
        known_laws |= names
        for declared in case.breaks:
            if declared not in names:
                raise UsageError(
                    rule=f"`breaks` names laws of `{contract.name}`: {', '.join(f'`{name}`' for name in sorted(names))}",
                    value=f"`{declared}`",
                    place=case.name,
                )
        for law in contract.laws:
            if wanted_laws and law.name not in wanted_laws:
                continue
            for name in contract.dtypes:
                if name in case.dtypes and (not wanted_dtypes or name in wanted_dtypes):
                    listed.append(Job(case, contract, law, format_of(name)))
    unknown = wanted_laws - known_laws
    if unknown:
        raise UsageError(
            rule=f"`--law` is one of {', '.join(f'`{name}`' for name in sorted(known_laws))}",
            value=f"`{min(unknown)}`",
            remedy="`harness list --laws` shows the laws of each contract",
        )
    return listed


def decide(job: Job, *, examples: int | None = None, seed: int = SEED, example: Example | None = None) -> Verdict:
    """Reach one verdict.

    Parameters
    ----------
    job
        What to decide.
    examples
        Hypothesis examples; the contract's own number when absent.
    seed
        Seed of the draws.
    example
        The one example to look at, instead of drawing any.
    """
    started = time.perf_counter()
    census = Census()
    subject = job.subject
    violation, trouble = None, None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            if example is not None:
                violation = _measured(job, subject, example, census)
            elif (failing := _search(job, subject, census, examples, seed)) is not None:
                violation = _violation(job, subject, failing)
        except CaseError as error:
            trouble = str(error)
    status, reason = _status(job, violation, trouble)
    return Verdict(
        case=job.case.name,
        family=job.case.family,
        style=job.case.style,
        contract=job.contract.name,
        law=job.law.name,
        group=job.law.group,
        dtype=job.format.name,
        device="cpu",
        status=status,
        statement=job.law.statement,
        source=job.law.source,
        examples=census.examples,
        rows=census.rows,
        deviation=census.deviation,
        bound=census.bound,
        unit=job.law.unit,
        reason=reason,
        violation=violation,
        duration_s=time.perf_counter() - started,
    )


def _status(job: Job, violation: Violation | None, trouble: str | None) -> tuple[Status, str | None]:
    declared = job.case.declared_break(job.law.name, job.format.name)
    if trouble is not None:
        return Status.ERROR, trouble
    if violation is not None:
        return (Status.EXPECTED, declared) if declared else (Status.BROKEN, None)
    if declared:
        return Status.UNEXPECTED, f"declared to fail but it holds: {declared}"
    return Status.HOLDS, None


def _search(job: Job, subject: Subject, census: Census, examples: int | None, seed: int) -> Example | None:
    """Draw examples until one breaks the law on both tiers of the oracle; return its worst row."""

    @hypothesis.seed(seed)
    @settings(
        max_examples=examples or job.contract.examples,
        phases=(Phase.generate,),
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    @given(job.contract.inputs(job.format))
    def run(example: Example) -> None:
        measurement = job.law(subject, example)
        census.add(measurement)
        if measurement.broken:
            row = worst_row(example, job.contract.axes, measurement, lambda smaller: _breaks(job, subject, smaller))
            if _breaks(job, subject, row, confirm=True):
                raise _Falsified(row)

    try:
        run()
    except _Falsified as falsified:
        return falsified.example
    return None


def _breaks(job: Job, subject: Subject, example: Example, *, confirm: bool = False) -> bool:
    if not confirm:
        return job.law(subject, example).broken
    with confirming():
        return job.law(subject, example).broken


def _violation(job: Job, subject: Subject, example: Example) -> Violation | None:
    """Make a failing example minimal and measure it with ball arithmetic; ``None`` where the law holds on it."""
    minimal = minimise(example, job.contract.axes, job.format, lambda smaller: _breaks(job, subject, smaller))
    if not _breaks(job, subject, minimal, confirm=True):
        # Where the screen's own error matters (subnormal results), shrink again with the rigorous tier alone.
        minimal = minimise(
            example, job.contract.axes, job.format, lambda smaller: _breaks(job, subject, smaller, confirm=True)
        )
    return _measured(job, subject, minimal)


def _measured(job: Job, subject: Subject, example: Example, census: Census | None = None) -> Violation | None:
    with confirming():
        measurement = job.law(subject, example)
    if census is not None:
        census.add(measurement)
    if not measurement.broken:
        return None
    place = measurement.worst
    return Violation(
        place=place,
        actual=float(measurement.actual[place]),
        expected=float(measurement.expected[place]),
        deviation=float(measurement.deviation[place]),
        bound=float(measurement.bound[place]),
        over=measurement.over,
        of=measurement.ratio.size,
        magnitude=_magnitude(example),
        example=to_text(example),
        replay=replay_command(job.case, job.contract.name, job.law.name, job.format.name, example),
        cause=job.law.cause,
    )


def _magnitude(example: Example) -> float:
    """Largest absolute value among the floating-point inputs."""
    tensors = [v for v in example.values() if isinstance(v, torch.Tensor) and v.dtype.is_floating_point and v.numel()]
    return max((float(tensor.double().abs().max()) for tensor in tensors), default=0.0)
