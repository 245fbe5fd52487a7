"""Decide a law of a case in a dtype, and return a record.

Hypothesis draws examples. The first example that breaks the law on the screening oracle is made minimal, and ball
arithmetic confirms it. Only then is the law broken.
"""

import contextlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.calling.adapter import NotApplicable
from harness.calling.modes import seed_all
from harness.floats import Format, confirming, reuse_results
from harness.laws import CaseError, Example
from harness.laws.strategies import SEEDS
from harness.record import SEED, Fault, Status, Verdict, Violation
from harness.record.property import SUBNORMALS
from harness.record.schema import LOST_SUBNORMALS, TensorText
from harness.verdict.delivery import decide_loader_law
from harness.verdict.draw import FURTHER, Deadline, find_failing_example
from harness.verdict.job import Job
from harness.verdict.replay import CORPUS, list_known_examples
from harness.verdict.shrink import minimise, minimise_broken
from harness.verdict.trial import Trials
from harness.verdict.violation import add_explanation, make_violation, measure_violation
from harness.verdict.worst import Search, find_clearer_violation

PATIENCE = 16
"""Factor on the number of examples before a declared failure counts as not occurring."""


def decide(
    job: Job,
    *,
    examples: int | None = None,
    seed: int = SEED,
    example: Example | None = None,
    seconds: float | None = None,
    corpora: Sequence[Path] = (CORPUS,),
    minimal: bool = True,
    further: int = FURTHER,
    recheck_seed: int | None = None,
) -> Verdict:
    """Reach one verdict.

    Parameters
    ----------
    job
        The job.
    examples
        Hypothesis examples; the contract's number when absent.
    seed
        Seed of the examples.
    example
        A single example to try.
    seconds
        Processor time after which no further example is drawn or shrunk; no limit when absent.
    corpora
        Folders of counterexamples to try first.
    minimal
        Whether to make a failing example minimal.
    further
        Examples to draw after a failure, to show the worst one as well; none if the violation is declared.
    recheck_seed
        Seed of the final re-check of the value in a new process; no re-check when absent.
    """
    if job.exemption is not None:
        return make_unreached_verdict(job).model_copy(update={"reason": job.exemption})
    if job.contract.form == "delivery":
        return decide_loader_law(job, make_unreached_verdict(job), example=example)
    started = time.perf_counter()
    trials = Trials(job, job.subject)
    deadline = Deadline(math.inf if seconds is None else seconds, trials.subject.host.spent)
    minimal = minimal and not job.law.of_many
    violation, failure = None, None
    budget = examples or job.examples
    declared = job.case.declared_break(job.law.name, job.format.name)
    if declared:
        budget *= PATIENCE
    remembered = list_known_examples(job.contract, job.law, job.format, corpora)
    draws = f"--seed {seed} --examples {budget}"
    with torch.random.fork_rng(devices=[]), _set_seed(seed), trials.subject.watch.law(), reuse_results(), job.drawing():
        try:
            if example is not None:
                violation = measure_violation(trials, example, draws, counted=True)
            else:
                failing = find_failing_example(trials, remembered, examples=budget, seed=seed, deadline=deadline)
                if failing is not None:
                    violation = _confirm_violation(trials, failing, draws, deadline, minimal=minimal)
                    if not declared:
                        violation = add_explanation(job, violation, failing, seed=seed, deadline=deadline)
                elif recheck_seed is not None and is_rechecked(job):
                    violation = _recheck(trials, recheck_seed, deadline)
                searches = minimal and further and job.law.shows_worst and job.claimed and not declared
                if violation is not None and failing is not None and searches:
                    search = Search(trials, examples=further, seed=seed, deadline=deadline, draws=draws)
                    violation = search.add_other_causes(violation, failing)
        except (CaseError, NotApplicable) as error:
            failure = error
    if violation is None and failure is None:
        failure = _find_side_effect_error(trials) or (None if trials.census.judges else NotApplicable(_UNJUDGED))
    status, reason = _choose_status(job, violation, failure)
    verdict = make_unreached_verdict(job).model_copy(
        update={
            **trials.census.fields,
            "status": status,
            "reason": reason,
            "fault": failure.fault if isinstance(failure, CaseError) else None,
            "violation": violation,
            "duration_s": time.perf_counter() - started,
        }
    )
    if job.strict or not _loses_subnormals(verdict, job):
        return verdict
    remaining_s = None if seconds is None else max(deadline.remaining_s, _LEAST_S)
    options: dict[str, Any] = {"examples": examples, "seed": seed, "example": example, "corpora": corpora}
    again = decide(_make_flushing_job(job), **options, seconds=remaining_s, minimal=minimal, further=further)
    return _ignore_subnormals(verdict, again)


NEGLIGIBLE = 2.0**-100
"""Size below which a result may be lost; the subnormal numbers of float16 begin at 6e-5, and are ordinary ones."""

_OF_INTERMEDIATE = 16.0
"""Multiple of the smallest normal number up to which a zero may be due to subnormal intermediate results."""

_LEAST_S = 0.1
"""Seconds within which a law is decided again if its time is up."""


def _loses_subnormals(verdict: Verdict, job: Job) -> bool:
    """Whether the example of a broken law shows a subnormal result that is zero or another subnormal number.

    For a defect, a zero beside a number near the subnormal ones counts as well: an intermediate result may have been
    subnormal. If the law is about lost digits, the example may also show subnormal inputs.
    """
    violation = verdict.violation
    if violation is None or SUBNORMALS in job.case.declares or job.format.tiny > NEGLIGIBLE:
        return False
    smaller, larger = sorted((abs(violation.actual), abs(violation.expected)))
    is_lost = 0.0 < abs(violation.expected) < job.format.tiny and abs(violation.actual) < job.format.tiny
    if verdict.status is Status.LOST and verdict.group != "special":
        return is_lost or _has_subnormals(violation, job.format)
    return verdict.status is Status.BROKEN and (is_lost or smaller == 0.0 < larger < _OF_INTERMEDIATE * job.format.tiny)


def _has_subnormals(violation: Violation, format_: Format) -> bool:
    """Whether an input of the example is subnormal."""
    tensors = [x for x in violation.example.values() if isinstance(x, TensorText) and "float" in x.dtype]
    return any(0.0 < abs(float.fromhex(number)) < format_.tiny for x in tensors for number in x.values)


def _make_flushing_job(job: Job) -> Job:
    """Return the job for an implementation without subnormal numbers."""
    return replace(job, case=replace(job.case, declares={**job.case.declares, SUBNORMALS: "flushed"}))


def _ignore_subnormals(verdict: Verdict, without: Verdict) -> Verdict:
    """Return the violation besides subnormal numbers; without one, the verdict is `loses digits`."""
    if without.status is Status.HOLDS:
        return verdict.model_copy(update={"status": Status.LOST, "reason": LOST_SUBNORMALS})
    return without if without.status in {Status.BROKEN, Status.LOST} else verdict


_UNJUDGED = "not judged: no bound is known for the inputs that were tried"


def _recheck(trials: Trials, seed: int, deadline: Deadline) -> Violation | None:
    """Check once more in a fresh process with a new seed; the figures of the run omit this check."""
    trials.subject.host.renew()
    larger = Trials(make_larger_job(trials.job), trials.subject)
    failing = find_failing_example(larger, (), examples=EXAMPLES, seed=seed, deadline=deadline)
    trials.census.cut_short |= larger.census.cut_short
    return None if failing is None else _confirm_violation(larger, failing, f"--seed {seed}", deadline, minimal=False)


@contextlib.contextmanager
def _set_seed(seed: int) -> Iterator[None]:
    seed_all(seed)
    yield


def make_unreached_verdict(job: Job) -> Verdict:
    """Return the verdict on a job that did not run."""
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


def _find_side_effect_error(trials: Trials) -> CaseError | None:
    """Return the error, if any, that invalidates a law which did not break."""
    if trials.subject.watch.noticed is not None:
        fault, sentence = trials.subject.watch.noticed
        return CaseError(f"{trials.job.case.name} {sentence}", fault)
    if trials.census.rows == 0:
        return CaseError("nothing was checked: no example had a row", Fault.NOTHING)
    return None


def _choose_status(
    job: Job, violation: Violation | None, error: CaseError | NotApplicable | None
) -> tuple[Status, str | None]:
    if error is not None:
        if isinstance(error, NotApplicable):
            return Status.SKIPPED, str(error)
        is_unclaimed = not job.claimed and error.fault is not Fault.ORACLE
        return Status.UNCLAIMED if is_unclaimed else Status.ERROR, str(error)
    if violation is not None:
        return choose_broken_status(job, violation)
    if declared := job.case.declared_break(job.law.name, job.format.name):
        return Status.UNEXPECTED, declared
    return Status.HOLDS, None


def choose_broken_status(job: Job, violation: Violation) -> tuple[Status, str | None]:
    """Return the status of a broken law: a number without any correct digit is more than a loss of digits."""
    answers = [(violation.actual, violation.expected)]
    if violation.worst is not None:
        answers.append((violation.worst.actual, violation.worst.expected))
    lost = [expected for actual, expected in answers if _is_lost_entirely(actual, expected, job.format.tiny)]
    is_defect = bool(lost) and (job.law.loses_digits_only or any(_is_everyday(job, expected) for expected in lost))
    return (replace(job, strict=True) if is_defect else job).when_broken


def _is_lost_entirely(actual: float, expected: float, tiny: float) -> bool:
    """Whether a result is not finite where the exact one is, or zero where that is a normal number."""
    return math.isfinite(expected) and (not math.isfinite(actual) or (actual == 0.0 and abs(expected) >= tiny))


def _is_everyday(job: Job, expected: float) -> bool:
    """Whether a result is an ordinary number at extreme inputs of a format in which these are ordinary, too.

    Extreme inputs of float16 begin at 44 in formulas, because a few products of larger numbers overflow.
    """
    is_narrow = job.format.tiny > NEGLIGIBLE and job.law.group == "special"
    return is_narrow and 2.0 * job.format.u <= abs(expected) <= 4.0 * job.format.log_max


def _confirm_violation(trials: Trials, failing: Example, draws: str, deadline: Deadline, *, minimal: bool) -> Violation:
    """Return the violation of an example that failed, made minimal where it shows each time."""
    smallest = _make_minimal(trials, failing, deadline) if minimal and trials.shows_each_time(failing) else failing
    violation = measure_violation(trials, smallest, draws)
    if violation is not None and smallest is not failing:
        violation = find_clearer_violation(trials, failing, violation, draws, deadline)
    if violation is None and trials.census.witness is not None:
        violation = make_violation(trials.job, *trials.census.witness, draws)
    if violation is None:
        name = trials.job.case.name
        raise CaseError(f"{name} breaks the law, but not when it is called again", Fault.UNREPEATABLE)
    return violation


def _make_minimal(trials: Trials, example: Example, deadline: Deadline) -> Example:
    """Make a failing example minimal, on the screen first."""

    def fails_exactly(smaller: Example) -> bool:
        with confirming():
            return not deadline.is_up and trials.breaks(smaller)

    minimal = minimise_broken(trials, example, deadline)
    with confirming():
        if trials.breaks(minimal):
            return minimal
    # If the screen's own error matters (subnormal results), shrink again with the rigorous tier only.
    whole = trials.job.law.of_whole_numbers
    return minimise(example, trials.job.axes, trials.job.format, fails_exactly, whole=whole)


EXAMPLES = 3
"""Examples per law in the final re-check."""

ROWS = st.integers(513, 6_000)
"""Rows per example in the final re-check, for implementations that treat rows independently."""


_TRAINED = {"training", "step", "curves"}


def is_rechecked(job: Job) -> bool:
    """Return whether the re-check includes a law: the value and gradient of a function, or the result of a training."""
    if job.contract.form in _TRAINED:
        return job.law.name == job.contract.laws[0].name
    of_gradient = job.law.group == "gradient" and job.law.inputs is None and job.law.every_row
    asks = job.law.name == "value" or of_gradient
    return asks and job.contract.output is not None and job.contract.form == "function"


def make_larger_job(job: Job) -> Job:
    """Return the law on larger, shuffled batches of its inputs; unchanged if it reduces over rows."""
    places = {name: axes.names.index("n") for name, axes in job.contract.axes.items() if "n" in axes.names}
    if job.contract.grouped or job.contract.output is None or job.contract.output[:1] != ("n",):
        return job

    def inputs(format_: Format) -> st.SearchStrategy[Example]:
        return st.tuples(job.inputs(format_), ROWS, SEEDS).map(lambda drawn: _sample_rows(*drawn, places))

    return replace(job, law=replace(job.law, inputs=inputs))


def _sample_rows(example: Example, rows: int, seed: int, places: Mapping[str, int]) -> Example:
    """Return an example with random rows of a smaller one, along the axis at which each input has them."""
    sizes = [x.shape[places[name]] for name, x in example.items() if name in places and isinstance(x, Tensor)]
    if not sizes or sizes[0] == 0:
        return example
    index = torch.from_numpy(np.random.default_rng(seed).integers(sizes[0], size=rows))
    return {name: x.index_select(places[name], index) if name in places else x for name, x in example.items()}
