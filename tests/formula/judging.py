"""Judge an implementation by a formula alone: by the laws of the formula, without the laws that apply to any code."""

import warnings
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from harness.case import Case
from harness.record import Status, Verdict
from harness.verdict.decide import decide
from harness.verdict.job import Job, list_jobs

GROUPS = {"value", "finite", "gradient", "special", "length"}
"""Groups of laws about the formula."""

OF_ANY_CODE = {"no_rows", "nan_stays_in_its_row", "value_on_many_rows", "no_drift"}


class Trial(NamedTuple):
    """An implementation to be judged by a formula.

    ``says`` is the law that its hand-written contract breaks, or the symptom. ``lossy`` is true if this law is about
    lost digits. ``breaks`` has laws that a sound implementation breaks nevertheless, with the reason. ``skips`` has
    groups and laws that are not checked.
    """

    case: Case
    dtypes: tuple[str, ...]
    says: str
    lossy: bool = False
    breaks: Mapping[str, str] = {}
    skips: frozenset[str] = frozenset()


class Outcome(NamedTuple):
    """Judgment of a trial."""

    name: str
    says: str
    as_it_is: bool
    said: bool
    text: str


def decided(listed: Iterable[Job], *, examples: int | None, until: Collection[Status] = ()) -> list[Verdict]:
    """Decide jobs until a verdict has a given status. Failing examples are not minimized, to save time."""
    verdicts: list[Verdict] = []
    for job in listed:
        verdicts.append(decide(job, examples=examples, minimal=False, further=0))
        if verdicts[-1].status in until:
            break
    return verdicts


def of_the_formula(trial: Trial) -> list[Job]:
    """Return the jobs of the laws of the formula; the laws of the value come first."""
    listed = list_jobs([trial.case], dtypes=trial.dtypes)
    unasked = OF_ANY_CODE | trial.skips
    return [job for job in listed if job.law.group in GROUPS - unasked and job.law.name not in unasked]


def judged(trial: Trial, *, wrong: bool, examples: int | None = None) -> Outcome:
    """Decide the laws; for a wrong implementation, stop at the first law that breaks.

    A mutant whose contract expects lost digits may be caught by lost digits.
    """
    caught = {Status.BROKEN, Status.LOST} if trial.lossy else {Status.BROKEN}
    shown = {Status.BROKEN, Status.LOST, Status.ERROR} if wrong else {Status.BROKEN, Status.ERROR}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch warns about the deviation of one number
        verdicts = decided(of_the_formula(trial), examples=examples, until=caught if wrong else ())
    seen = [verdict for verdict in verdicts if verdict.status in shown]
    broken = [verdict for verdict in seen if verdict.status in caught]
    as_it_is = bool(broken) if wrong else all(verdict.law in trial.breaks for verdict in seen)
    text = "; ".join(_line(verdict, trial.breaks) for verdict in broken or seen) or "holds"
    return Outcome(trial.case.name, trial.says, as_it_is, bool(seen), text)


def _line(verdict: Verdict, reasons: Mapping[str, str]) -> str:
    violation = verdict.violation
    what = verdict.reason or "" if violation is None else f"{violation.actual:g} for {violation.expected:g}"
    over = "" if violation is None else f", {violation.deviation:.3g} ulp, bound {violation.bound:.3g}"
    why = f" ({reasons[verdict.law]})" if verdict.law in reasons else ""
    return f"{verdict.law} [{verdict.dtype}] {verdict.status.value}: {what}{over}{why}"
