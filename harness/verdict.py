"""Verdicts: a law, a case and a dtype become a record.

The flow of one verdict: Hypothesis draws examples; the first that breaks the law on the screening oracle is made
minimal; ball arithmetic confirms it; only then is the law called broken.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import numpy as np
import torch
from hypothesis import HealthCheck, Phase, Verbosity, given, settings

from harness import corpus
from harness.case import Case
from harness.drawing import reproducible
from harness.job import Job, jobs
from harness.law import Example
from harness.measurement import Measurement
from harness.oracle import confirming
from harness.record import Status, Verdict, Violation, violation_block
from harness.replay import replay_command, to_json, to_text
from harness.shrink import minimise, worst_row
from harness.subject import CaseError, Subject

if TYPE_CHECKING:
    import pandas as pd

SEED = 20240229
"""The seed of every run that names no other."""

PATIENCE = 16
"""A declared failure is looked for in this many times the examples before its declaration is called wrong."""


@dataclass
class Census:
    """What ran, and the worst that was seen."""

    examples: int = 0
    rows: int = 0
    worst_ratio: float = -1.0
    deviation: float | None = None
    bound: float | None = None
    largest: float | None = None

    def count(self, measurement: Measurement) -> None:
        """Count one example and its rows."""
        self.examples += 1
        if measurement.ratio.size:
            self.rows += len(measurement.ratio) if measurement.ratio.ndim else 1

    def note(self, measurement: Measurement) -> None:
        """Keep the worst that was seen, relative to its bound, and the largest deviation."""
        if measurement.ratio.size == 0:
            return
        self.largest = max(self.largest or 0.0, float(measurement.deviation.max()))
        ratio = float(measurement.ratio[measurement.worst])
        if ratio > self.worst_ratio:
            self.worst_ratio = ratio
            self.deviation = float(measurement.deviation[measurement.worst])
            self.bound = float(measurement.bound[measurement.worst])


class _Falsified(BaseException):
    """A failing example.

    No ``Exception``, since Hypothesis would run one of those again, and spell its example out for nobody to read.
    """

    def __init__(self, example: Example) -> None:
        super().__init__()
        self.example = example


def decide(
    job: Job,
    *,
    examples: int | None = None,
    seed: int = SEED,
    example: Example | None = None,
    corpora: Sequence[Path] = (corpus.FOLDER,),
    minimal: bool = True,
) -> Verdict:
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
    corpora
        Folders of counterexamples that are tried first.
    minimal
        Whether a failing example is made minimal.
    """
    started = time.perf_counter()
    census = Census()
    subject = job.subject
    violation, trouble = None, None
    budget = examples or job.examples
    if job.case.declared_break(job.law.name, job.format.name):
        budget *= PATIENCE
    remembered = corpus.examples(job.contract, job.law, job.format, corpora)
    draws = f"--seed {seed} --examples {budget}"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            if example is not None:
                violation = _measured(job, subject, example, draws, census)
            elif (failing := _search(job, subject, census, remembered, budget, seed)) is not None:
                violation = _measured(job, subject, _minimal(job, subject, failing) if minimal else failing, draws)
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
        largest=census.largest,
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


def _search(
    job: Job, subject: Subject, census: Census, remembered: Iterable[Example], examples: int, seed: int
) -> Example | None:
    """Replay what was found before, then draw, until the law breaks on both tiers of the oracle."""
    for example in remembered:
        if (failing := _tried(job, subject, example, census)) is not None:
            return failing

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
        if (failing := _tried(job, subject, example, census)) is not None:
            raise _Falsified(failing)

    try:
        with reproducible():
            run()
    except _Falsified as falsified:
        return falsified.example
    return None


def _tried(job: Job, subject: Subject, example: Example, census: Census) -> Example | None:
    """Measure one example; return its worst row where it breaks the law and ball arithmetic agrees."""
    measurement = job.law(subject, example)
    census.count(measurement)
    if measurement.broken:
        row = worst_row(example, job.axes, measurement, lambda smaller: _breaks(job, subject, smaller))
        with confirming():
            confirmed = job.law(subject, row)
        if confirmed.broken:
            census.note(measurement)
            return row
        _agree(job, subject, row, confirmed)
        measurement = confirmed
    census.note(measurement)
    return None


_TIERS_AGREE = 2.0**-10
"""Largest difference between the two tiers, relatively or in the unit of the law, that is not worth a word."""


def _agree(job: Job, subject: Subject, row: Example, confirmed: Measurement) -> None:
    """Refuse to pass over what only the screen found, unless it is as near to its bound as the screen is exact.

    Raises
    ------
    CaseError
        If the implementation answers otherwise when it is called again, or the two tiers of the oracle disagree.
    """
    first, second = job.law(subject, row), job.law(subject, row)
    if not np.array_equal(first.actual, second.actual, equal_nan=True) or not first.broken:
        raise CaseError(f"{job.case.name} gives another answer when it is called again on the same inputs")
    at = first.worst
    screened, exact = float(first.deviation[at]), float(confirmed.deviation[at])
    if not math.isclose(screened, exact, rel_tol=_TIERS_AGREE, abs_tol=_TIERS_AGREE):
        raise CaseError(
            f"a fault of the harness: the two tiers of the oracle disagree on {job.law.name}, {screened:.6g} "
            f"{job.law.unit} and {exact:.6g}, on {to_json(row, job.contract, job.format)}"
        )


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
        census.count(measurement)
        census.note(measurement)
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
    """Largest absolute value among the floating-point inputs; NaN counts as infinite."""
    tensors = [v for v in example.values() if isinstance(v, torch.Tensor) and v.dtype.is_floating_point and v.numel()]
    return max((float(tensor.double().abs().nan_to_num(torch.inf).max()) for tensor in tensors), default=0.0)


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
    laws: Sequence[str] = (),
    dtypes: Sequence[str] = (),
    breaks: Mapping[str, str] | None = None,
    declares: Mapping[str, Any] | None = None,
    examples: int | None = None,
    seed: int = SEED,
    corpora: Sequence[Path] = (corpus.FOLDER,),
) -> Verdicts:
    """Check an implementation against a contract.

    Parameters
    ----------
    function
        The implementation, with the contract's signature.
    contract
        Name of the contract.
    laws, dtypes
        Names of the laws and dtypes to check; all of the contract's where empty.
    breaks
        Laws it is known to break, with the reason.
    declares
        Conventions in which the contract leaves a choice.
    examples
        Hypothesis examples a law.
    seed
        Seed of the draws.
    corpora
        Folders of counterexamples that are tried first.

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
    listed = jobs([case], laws=laws, dtypes=dtypes)
    return Verdicts(decide(job, examples=examples, seed=seed, corpora=corpora) for job in listed)
