"""Verdicts: a law, a case and a dtype become a record.

The flow of one verdict: Hypothesis draws examples; the first that breaks the law on the screening oracle is made
minimal; ball arithmetic confirms it; only then is the law called broken.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import hypothesis
import torch
from hypothesis import HealthCheck, Phase, Verbosity, given, settings

from harness.case import Case
from harness.contracts import contract_named
from harness.error import UsageError
from harness.law import Axes, Contract, Example, Inputs, Law
from harness.measurement import Measurement
from harness.oracle import confirming
from harness.precision import Format, format_of
from harness.record import Status, Verdict, Violation, violation_block
from harness.replay import replay_command, to_text
from harness.shrink import minimise, worst_row
from harness.subject import CaseError, Subject

if TYPE_CHECKING:
    import pandas as pd

SEED = 20240229
"""The seed of every run that names no other."""

PATIENCE = 4
"""A declared failure is looked for in this many times the examples before its declaration is called wrong."""


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

    @property
    def inputs(self) -> Inputs:
        """What the law's examples are drawn from."""
        return self.law.inputs or self.contract.inputs

    @property
    def axes(self) -> dict[str, Axes]:
        """How those inputs shrink that the law reads."""
        return {name: axes for name, axes in self.contract.axes.items() if name in self.law.reads}


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
        known_laws |= {law.name for law in contract.laws}
        _validate(case, contract)
        for law in contract.laws:
            if wanted_laws and law.name not in wanted_laws:
                continue
            listed += [
                Job(case, contract, law, format_of(name))
                for name in contract.dtypes
                if name in case.dtypes and (not wanted_dtypes or name in wanted_dtypes)
            ]
    unknown = wanted_laws - known_laws
    if unknown:
        raise UsageError(
            rule=f"`--law` is one of {', '.join(f'`{name}`' for name in sorted(known_laws))}",
            value=f"`{min(unknown)}`",
            remedy="`harness list --laws` shows the laws of each contract",
        )
    return listed


def _validate(case: Case, contract: Contract) -> None:
    """Hold a declaration against the contract: its laws, its conventions."""
    names = {law.name for law in contract.laws}
    for declared in case.breaks:
        if declared not in names:
            rule = f"`breaks` names laws of `{contract.name}`: {_listed(sorted(names))}"
            raise UsageError(rule=rule, value=f"`{declared}`", place=case.name)
    for name, value in case.declares.items():
        if name not in contract.conventions:
            choices = _listed(contract.conventions) or "none"
            rule = f"the conventions of `{contract.name}` are {choices}"
            raise UsageError(rule=rule, value=f"`{name}`", place=case.name)
        if value not in contract.conventions[name]:
            rule = f"the convention `{name}` of `{contract.name}` is {_listed(contract.conventions[name])}"
            raise UsageError(rule=rule, value=f"`{value}`", place=case.name)


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(f"`{name}`" for name in names)


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
    budget = examples or job.law.examples or job.contract.examples
    if job.case.declared_break(job.law.name, job.format.name):
        budget *= PATIENCE
    draws = f"--seed {seed} --examples {budget}"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            if example is not None:
                violation = _measured(job, subject, example, draws, census)
            elif (failing := _search(job, subject, census, budget, seed)) is not None:
                violation = _measured(job, subject, _minimal(job, subject, failing), draws)
        except CaseError as error:
            trouble = str(error)
    if violation is None and trouble is None and census.rows == 0:
        trouble = "nothing was checked: no example had a row"
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
        return Status.UNEXPECTED, declared
    return Status.HOLDS, None


def _search(job: Job, subject: Subject, census: Census, examples: int, seed: int) -> Example | None:
    """Draw examples until one breaks the law on both tiers of the oracle; return its worst row."""

    @hypothesis.seed(seed)
    @settings(
        max_examples=examples,
        phases=(Phase.generate,),
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    @given(job.inputs(job.format))
    def run(example: Example) -> None:
        measurement = job.law(subject, example)
        census.add(measurement)
        if measurement.broken:
            row = worst_row(example, job.axes, measurement, lambda smaller: _breaks(job, subject, smaller))
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


def _minimal(job: Job, subject: Subject, example: Example) -> Example:
    """Make a failing example minimal, on the screen first."""
    minimal = minimise(example, job.axes, job.format, lambda smaller: _breaks(job, subject, smaller))
    if _breaks(job, subject, minimal, confirm=True):
        return minimal
    # Where the screen's own error matters (subnormal results), shrink again with the rigorous tier alone.
    return minimise(example, job.axes, job.format, lambda smaller: _breaks(job, subject, smaller, confirm=True))


def _measured(
    job: Job, subject: Subject, example: Example, draws: str, census: Census | None = None
) -> Violation | None:
    """Measure with ball arithmetic; ``None`` where the law holds on the example."""
    with confirming():
        measurement = job.law(subject, example)
    if census is not None:
        census.add(measurement)
    if not measurement.broken:
        return None
    place = measurement.worst
    read = {name: example[name] for name in job.law.reads}
    return Violation(
        place=place,
        actual=float(measurement.actual[place]),
        expected=float(measurement.expected[place]),
        deviation=float(measurement.deviation[place]),
        bound=float(measurement.bound[place]),
        over=measurement.over,
        of=measurement.ratio.size,
        magnitude=_magnitude(read),
        example=to_text(read),
        replay=replay_command(job.case, job.contract, job.law.name, job.format, read, draws),
        cause=job.law.likely_cause(float(measurement.actual[place])),
    )


def _magnitude(example: Example) -> float:
    """Largest absolute value among the floating-point inputs."""
    tensors = [v for v in example.values() if isinstance(v, torch.Tensor) and v.dtype.is_floating_point and v.numel()]
    return max((float(tensor.double().abs().max()) for tensor in tensors), default=0.0)


class Verdicts(list[Verdict]):
    """The verdicts on one implementation."""

    @property
    def failing(self) -> list[Verdict]:
        """Those that make a run fail."""
        return [verdict for verdict in self if verdict.status.fails]

    def to_frame(self) -> "pd.DataFrame":
        """One row a verdict."""
        import pandas as pd

        return pd.DataFrame([verdict.model_dump(mode="json", exclude={"violation"}) for verdict in self])

    def __str__(self) -> str:
        """Return the violation blocks, or one line where every law holds."""
        blocks = [violation_block(verdict) for verdict in self if verdict.violation is not None]
        return "\n\n".join(blocks) or f"{len(self)} laws hold"


def check(
    function: Callable[..., Any],
    contract: str,
    *,
    dtypes: Sequence[str] = (),
    breaks: Mapping[str, str] | None = None,
    declares: Mapping[str, Any] | None = None,
    examples: int | None = None,
    seed: int = SEED,
) -> Verdicts:
    """Check an implementation against a contract.

    Parameters
    ----------
    function
        The implementation, with the contract's signature.
    contract
        Name of the contract.
    dtypes
        Names of the dtypes to check in; all of the contract's where empty.
    breaks
        Laws it is known to break, with the reason.
    declares
        Conventions in which the contract leaves a choice.
    examples
        Hypothesis examples a law.
    seed
        Seed of the draws.

    Returns
    -------
    Verdicts
        A list with one verdict for each law and dtype.

    Raises
    ------
    UsageError
        If the contract, a law or a dtype does not exist.
    """
    case = Case(function, contract, breaks=breaks or {}, declares=declares or {}, style="foreign")
    return Verdicts(decide(job, examples=examples, seed=seed) for job in jobs([case], dtypes=dtypes))
