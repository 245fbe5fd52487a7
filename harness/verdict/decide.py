"""Verdicts: a law, a case and a dtype become a record.

The flow of one verdict: Hypothesis draws examples; the first that breaks the law on the screening oracle is made
minimal; ball arithmetic confirms it; only then is the law called broken.
"""

import contextlib
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import numpy as np
import torch
from hypothesis import HealthCheck, Phase, Verbosity, given, settings

from harness.calling.adapter import NotApplicable
from harness.calling.watch import Trust
from harness.floats.measurement import Measurement
from harness.floats.oracle import confirming
from harness.laws.law import Example
from harness.laws.subject import CaseError, Subject
from harness.record import SEED, Fault, Status, Verdict, Violation
from harness.verdict import corpus
from harness.verdict.job import Job
from harness.verdict.replay import replay_command, to_json, to_text
from harness.verdict.reproducible import reproducible
from harness.verdict.shrink import minimise, worst_row

PATIENCE = 16
"""A declared failure is looked for in this many times the examples before its declaration is called wrong."""


ATTEMPTS = 16
"""So often a law that broke is measured again at most, where what breaks it need not show each time."""

TRIES = 4
"""In so many of so many measurements it has to show before a failing example is made minimal."""


@dataclass
class Census:
    """What ran, and the worst that was seen."""

    examples: int = 0
    rows: int = 0
    worst_ratio: float = -1.0
    deviation: float | None = None
    bound: float | None = None
    largest: float | None = None
    witness: tuple[Example, Measurement] | None = None
    """Where an intermittent law was first seen to break."""

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


@dataclass(frozen=True)
class Clock:
    """Until when to search."""

    end: float

    @property
    def is_up(self) -> bool:
        """Whether it is later."""
        return time.perf_counter() > self.end


class _Stop(BaseException):
    """There is an outcome.

    No ``Exception``, since Hypothesis would run one of those again, and spell its example out for nobody to read.
    """


def decide(
    job: Job,
    *,
    examples: int | None = None,
    seed: int = SEED,
    example: Example | None = None,
    seconds: float | None = None,
    corpora: Sequence[Path] = (corpus.FOLDER,),
    minimal: bool = True,
    watched: bool = True,
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
    seconds
        After how many no further example is drawn, and a failing one is not made smaller; no limit when absent.
    corpora
        Folders of counterexamples that are tried first.
    minimal
        Whether a failing example is made minimal.
    watched
        Whether what calls do besides answering is looked at, which takes a tenth of the time.
    """
    started = time.perf_counter()
    clock = Clock(math.inf if seconds is None else started + seconds)
    census, subject = Census(), job.subject
    if not watched:
        subject.watch = Trust()
    violation, trouble = None, None
    budget = examples or job.examples
    if job.case.declared_break(job.law.name, job.format.name):
        budget *= PATIENCE
    remembered = corpus.examples(job.contract, job.law, job.format, corpora)
    draws = f"--seed {seed} --examples {budget}"
    with torch.random.fork_rng(devices=[]), _seeded(seed), subject.watch.law():
        try:
            if example is not None:
                violation = _measured(job, subject, example, draws, census)
            elif (failing := _search(job, subject, census, remembered, budget, seed, clock)) is not None:
                if minimal and _shows_each_time(job, subject, failing):
                    failing = _minimal(job, subject, failing, clock)
                violation = _measured(job, subject, failing, draws)
                if violation is None and census.witness is not None:
                    violation = _violation(job, *census.witness, draws)
                if violation is None:
                    raise CaseError(
                        f"{job.case.name} breaks the law, and no longer where it is called again", Fault.UNREPEATABLE
                    )
        except (CaseError, NotApplicable) as error:
            trouble = error
    if violation is None and trouble is None:
        trouble = _misconduct(subject, census)
    status, reason = _status(job, violation, trouble)
    return unreached(job).model_copy(
        update={
            "status": status,
            "examples": census.examples,
            "rows": census.rows,
            "deviation": census.deviation,
            "bound": census.bound,
            "largest": census.largest,
            "reason": reason,
            "fault": trouble.fault if isinstance(trouble, CaseError) else None,
            "violation": violation,
            "duration_s": time.perf_counter() - started,
        }
    )


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    torch.manual_seed(seed)
    yield


def unreached(job: Job) -> Verdict:
    """The verdict on what was not looked at."""
    return Verdict(
        **job.identity,
        status=Status.SKIPPED,
        statement=job.law.statement,
        source=job.law.source,
        examples=0,
        rows=0,
        unit=job.law.unit,
        reason="it was not reached",
        duration_s=0.0,
    )


def _misconduct(subject: Subject, census: Census) -> CaseError | None:
    """What spoils a law that was not found broken."""
    if subject.watch.noticed is not None:
        fault, sentence = subject.watch.noticed
        return CaseError(f"{subject.case.name} {sentence}", fault)
    if census.rows == 0:
        return CaseError("nothing was checked: no example had a row", Fault.NOTHING)
    return None


def _status(
    job: Job, violation: Violation | None, trouble: CaseError | NotApplicable | None
) -> tuple[Status, str | None]:
    declared = job.case.declared_break(job.law.name, job.format.name)
    if trouble is not None:
        return Status.SKIPPED if isinstance(trouble, NotApplicable) else Status.ERROR, str(trouble)
    if violation is not None:
        return (Status.EXPECTED, declared) if declared else (Status.BROKEN, None)
    if declared:
        return Status.UNEXPECTED, declared
    return Status.HOLDS, None


def _search(
    job: Job,
    subject: Subject,
    census: Census,
    remembered: Iterable[Example],
    examples: int,
    seed: int,
    clock: Clock,
) -> Example | None:
    """Replay what was found before, then draw, until the law breaks on both tiers of the oracle or time is up."""
    for example in remembered:
        if clock.is_up and census.rows:
            return None
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
        if (end := _end(job, subject, example, census, clock)) is not None:
            outcome.append(end)
            raise _Stop

    outcome: list[Example | CaseError | NotApplicable] = []
    with reproducible(), contextlib.suppress(_Stop):
        run()
    for end in outcome:
        if isinstance(end, Exception):
            raise end
        return end or None
    return None


def _end(
    job: Job, subject: Subject, example: Example, census: Census, clock: Clock
) -> Example | CaseError | NotApplicable | None:
    """Try one example; return what ends the search, if it does: a failing row, trouble, or nothing where time is up."""
    if clock.is_up and census.rows:
        return {}
    try:
        return _tried(job, subject, example, census)
    except (CaseError, NotApplicable) as trouble:
        return trouble


def _tried(job: Job, subject: Subject, example: Example, census: Census) -> Example | None:
    """Measure one example; return its worst row where it breaks the law and ball arithmetic agrees."""
    measurement = _measurement(job, subject, example)
    census.count(measurement)
    if measurement.broken and job.law.intermittent:
        census.note(measurement)
        census.witness = example, measurement
        return example
    if measurement.broken:
        row = worst_row(example, job.axes, measurement, lambda smaller: _breaks(job, subject, smaller))
        with confirming():
            confirmed = subject.measure(job.law, row)
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
    first, second = _measurement(job, subject, row), _measurement(job, subject, row)
    if not np.array_equal(first.actual, second.actual, equal_nan=True) or not first.broken:
        raise CaseError(
            f"{job.case.name} gives another answer when it is called again on the same inputs", Fault.UNREPEATABLE
        )
    at = first.worst
    screened, exact = float(first.deviation[at]), float(confirmed.deviation[at])
    if not math.isclose(screened, exact, rel_tol=_TIERS_AGREE, abs_tol=_TIERS_AGREE):
        raise CaseError(
            f"a fault of the harness: the two tiers of the oracle disagree on {job.law.name}, {screened:.6g} "
            f"{job.law.unit} and {exact:.6g}, on {to_json(row, job.contract, job.format)}",
            Fault.ORACLE,
        )


def _breaks(job: Job, subject: Subject, example: Example, *, confirm: bool = False) -> bool:
    if not confirm:
        return _measurement(job, subject, example).broken
    with confirming():
        return _measurement(job, subject, example).broken


def _shows_each_time(job: Job, subject: Subject, example: Example) -> bool:
    return not job.law.intermittent or all(_breaks(job, subject, example) for _ in range(TRIES))


def _again(job: Job, subject: Subject, example: Example) -> Measurement:
    """Measure where the law is expected to break; until it does, where that does not show each time."""
    measurement = _measurement(job, subject, example)
    for _ in range(ATTEMPTS - 1 if job.law.intermittent else 0):
        if measurement.broken:
            break
        measurement = _measurement(job, subject, example)
    return measurement


def _measurement(job: Job, subject: Subject, example: Example) -> Measurement:
    """Measure; what a law makes of a result that its contract leaves to it, and cannot, is the implementation's error.

    Where the contract says what comes back, the subject has held it against that already.
    """
    try:
        return subject.measure(job.law, example)
    except (CaseError, NotApplicable):
        raise
    except (Exception, SystemExit) as error:
        if job.contract.output is not None:
            raise
        raise subject.misfit(error) from error


def _minimal(job: Job, subject: Subject, example: Example, clock: Clock) -> Example:
    """Make a failing example minimal, on the screen first."""

    def fails(smaller: Example, *, confirm: bool = False) -> bool:
        return not clock.is_up and _breaks(job, subject, smaller, confirm=confirm)

    minimal = minimise(example, job.axes, job.format, fails)
    if _breaks(job, subject, minimal, confirm=True):
        return minimal
    # Where the screen's own error matters (subnormal results), shrink again with the rigorous tier alone.
    return minimise(example, job.axes, job.format, lambda smaller: fails(smaller, confirm=True))


def _measured(
    job: Job, subject: Subject, example: Example, draws: str, census: Census | None = None
) -> Violation | None:
    """Measure with ball arithmetic; ``None`` where the law holds on the example."""
    with confirming():
        measurement = _again(job, subject, example)
    if census is not None:
        census.count(measurement)
        census.note(measurement)
    return _violation(job, example, measurement, draws) if measurement.broken else None


def _violation(job: Job, example: Example, measurement: Measurement, draws: str) -> Violation:
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
        replay=replay_command(job.case, job.contract, job.law.name, job.format, read, draws, device=job.device),
        cause=job.law.likely_cause(float(measurement.actual[place])),
    )


def _magnitude(example: Example) -> float:
    """Largest absolute value among the floating-point inputs; NaN counts as infinite."""
    tensors = [v for v in example.values() if isinstance(v, torch.Tensor) and v.dtype.is_floating_point and v.numel()]
    return max((float(tensor.double().abs().nan_to_num(torch.inf).max()) for tensor in tensors), default=0.0)
