"""How an implementation is judged by a formula alone: by the laws of the formula, and not by those of any code."""

import warnings
from typing import NamedTuple

from formula.patterns import Trial

from harness.record import Status, Verdict
from harness.verdict.decide import decide
from harness.verdict.job import Job, jobs

GROUPS = {"value", "finite", "gradient", "special", "length"}
"""Of the laws that are about the formula."""

OF_ANY_CODE = {"no_rows", "nan_stays_in_its_row", "value_on_many_rows", "no_drift"}


class Outcome(NamedTuple):
    """What is said of one trial."""

    name: str
    says: str
    as_it_is: bool
    said: bool
    text: str


def of_the_formula(trial: Trial) -> list[Job]:
    """The laws, those of the value first."""
    listed = jobs([trial.case], dtypes=trial.dtypes)
    unasked = OF_ANY_CODE | trial.skips
    return [job for job in listed if job.law.group in GROUPS - unasked and job.law.name not in unasked]


def judged(trial: Trial, *, wrong: bool, examples: int | None = None) -> Outcome:
    """Decide the laws; of a wrong implementation until one breaks.

    A mutant that loses digits by its contract is caught where the formula says that it does.
    """
    caught = {Status.BROKEN, Status.LOST} if trial.lossy else {Status.BROKEN}
    seen: list[Verdict] = []
    shown = {Status.BROKEN, Status.LOST, Status.ERROR} if wrong else {Status.BROKEN, Status.ERROR}
    for job in of_the_formula(trial):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            verdict = decide(job, examples=examples, minimal=False, further=0)
        seen += [verdict] * (verdict.status in shown)
        if wrong and verdict.status in caught:
            break
    broken = [verdict for verdict in seen if verdict.status in caught]
    text = "; ".join(_line(verdict) for verdict in broken or seen) or "holds"
    return Outcome(trial.case.name, trial.says, bool(broken) if wrong else not seen, bool(seen), text)


def _line(verdict: Verdict) -> str:
    violation = verdict.violation
    what = verdict.reason or "" if violation is None else f"{violation.actual:g} for {violation.expected:g}"
    over = "" if violation is None else f", {violation.deviation:.3g} ulp, bound {violation.bound:.3g}"
    return f"{verdict.law} [{verdict.dtype}] {verdict.status.value}: {what}{over}"
