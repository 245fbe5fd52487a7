"""The findings in one sentence each. The verdict on the whole run is :func:`harness.wording.verdict_line`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

from harness.findings import Finding, findings
from harness.findings.merging import group_by
from harness.record import Breaking, Ended, Outcome, Proof, RayTrace, Run, Status, Worst, find_unfinished
from harness.wording.audit import report_failed_steps
from harness.wording.finding import sentence
from harness.wording.number import plain
from harness.wording.survey import (
    find_first_loss,
    group_by_case,
    select_disagreeing,
    select_unanswered,
    select_undeclared,
    summarize_failures,
)

from .history import Change, tally
from .page_part import Cause
from .reading import Reading, Surveyed
from .text import count, cut, listing

FAILING = (Outcome.REGRESSED, Outcome.NO_VERDICT)
"""Outcomes of the gate that make it fail."""

SUBJECT = attrgetter("case", "law", "dtype")
"""Case, law and dtype of a record."""


CAUSES = {
    "ln(max + ulp/2)": "exp overflows",
    "ln((max + ulp/2) / k)": "the sum of exponentials overflows",
    "-ln(sub/2)": "exp underflows to zero",
}
"""The cause of a breaking point with a closed form, in words."""

NOT_FINITE, INEXACT = "not finite", "inexact"
"""Causes of breaking points without a closed form."""

DEFAULT_DTYPE = "float32"
"""The dtype of the example, if there is one."""


@dataclass(frozen=True)
class Break:
    """The breaking points of a case with one cause.

    Parameters
    ----------
    cause
        The closed form, or the kind of failure without one.
    points
        The breaking points.
    """

    cause: str
    points: tuple[Breaking, ...]

    @property
    def first(self) -> Breaking:
        """The example: in the usual dtype if possible, with the smallest parameter."""
        return min(self.points, key=lambda point: (point.dtype != DEFAULT_DTYPE, abs(point.value or 0.0)))

    @property
    def sentence(self) -> str:
        """The cause and the first number at which it occurs, without a full stop."""
        first = self.first
        where = f"t = {first.value!r} in {first.dtype}"
        if self.cause in (NOT_FINITE, INEXACT):
            cause = "the answer is not finite" if self.cause == NOT_FINITE else "the error exceeds its bound"
            return f"{cause} from {where} on the ray {first.ray}"
        cause = CAUSES.get(self.cause, "the law breaks")
        return f"{cause} from t = {first.value!r} on in {first.dtype} (t = {self.cause})"

    @property
    def card(self) -> Cause:
        """The finding on the first layer."""
        first = self.first
        laws, rays = (list(dict.fromkeys(getattr(point, name) for point in self.points)) for name in ("law", "ray"))
        where = ", ".join(dict.fromkeys(point.dtype for point in self.points))
        result = f"{first.actual!r}, expected {first.expected!r}"
        rows = [
            ("example", f"[{first.dtype}] {first.formula} at t = {first.value!r}: {result}"),
            ("breaks", f"{listing(laws, at_most=6)}, in {where}"),
            ("rays", listing(rays, at_most=6)),
            *([("rerun", first.replay)] if first.replay else []),
        ]
        return Cause(first.case, "DEFECT", self.sentence, tuple(rows), "")


def breaks(points: Sequence[Breaking]) -> list[Break]:
    """Group the undeclared breaking points by case and cause; causes with a closed form come first."""
    undeclared = [point for point in points if point.value is not None and not (point.expected_break or point.declared)]
    groups = group_by(undeclared, lambda point: (point.case, _find_cause(point)))
    causes = [Break(cause, tuple(group)) for (_, cause), group in groups.items()]
    return sorted(causes, key=lambda group: group.cause in (NOT_FINITE, INEXACT))


def _find_cause(point: Breaking) -> str:
    if point.form is not None:
        return point.form
    return INEXACT if point.actual is not None and math.isfinite(point.actual) else NOT_FINITE


def wrong_in(reading: Reading) -> list[Finding]:
    """Return the findings that make a check fail, the worst first."""
    return findings(reading.verdicts, [status for status in Status if status.fails])


def list_sentences(reading: Reading) -> list[str]:
    """Return the findings that need attention and the changes as sentences, and the number of the rest."""
    sentences = [explain_finding(finding) for finding in wrong_in(reading)]
    sentences += [sentence for proof in reading.proofs for sentence in list_refuted(proof)]
    sentences += further(reading)
    more = [f"{count(len(sentences) - 5, 'more finding')} on the page."] if len(sentences) > 5 else []
    return [*sentences[:5], *more, *remarks(reading.head), *since(reading)]


def since(reading: Reading) -> list[str]:
    """Return one sentence on the changes since the previous run; an empty list without one."""
    if reading.changes is None:
        return []
    counts = {change: number for change, number in tally(reading.changes).items() if change is not Change.UNCHANGED}
    before = reading.before.name
    unchanged = f"all {count(len(reading.changes), 'law and figure', plural='laws and figures')} unchanged"
    changed = listing([f"{number:,} {change.value}" for change, number in counts.items()])
    return [f"Since {before}: {changed or unchanged}."]


def explain_finding(finding: Finding) -> str:
    """Return one sentence on a finding: its cause, its deviation if recorded, and the number of broken laws."""
    first, amount = finding.first, ""
    if first.deviation is not None and first.bound is not None:
        amount = f": deviation {plain(first.deviation)} {first.unit}, bound {plain(first.bound)} {first.unit}"
    name = cut(sentence(finding).splitlines()[0].rstrip("."), limit=300)
    laws = count(len(finding.broken_laws), "law")
    return f"{finding.case}: {name} ({first.law} [{first.where}]{amount}; {laws})."


def explain_declared(found: Sequence[Finding]) -> list[str]:
    """Return a sentence on each observed declared failure; a declaration may cover several causes."""

    def format_name(finding: Finding) -> str:
        name = cut((finding.first.reason or sentence(finding)).splitlines()[0].rstrip("."), limit=200)
        return f"{finding.case}: {name}"

    lines = []
    for name, group in group_by(found, format_name).items():
        laws = {verdict.law for finding in group for verdict in finding.verdicts}
        dtypes = list(dict.fromkeys(dtype for finding in group for dtype in finding.dtypes))
        lines.append(f"{name} ({count(len(laws), 'law')}, in {listing(dtypes)}).")
    return lines


def list_refuted(proof: Proof) -> list[str]:
    """Return a sentence on each law with an undeclared break, or on the reason for a missing result."""
    where = f"[{proof.dtype}, {proof.layout}]"
    if proof.error is not None:
        return [f"No proof for {proof.case} {where}: {cut(proof.error, limit=300)}."]
    broken = (outcome.law for outcome in proof.laws if outcome.status is Status.BROKEN)
    return [f"{proof.case} breaks {law} {where}: found by visiting every input." for law in broken]


def unknown(reading: Reading) -> Surveyed:
    """Return the results of a survey that no verdict has."""
    failures = {SUBJECT(verdict) for verdict in reading.verdicts if verdict.status.fails}
    breakings = tuple(record for record in reading.survey.breakings if SUBJECT(record) not in failures)
    return Surveyed(breakings, tuple(record for record in reading.survey.worst if SUBJECT(record) not in failures))


def further(reading: Reading, *, grouped: bool = False) -> list[str]:
    """Return the results of a survey that no verdict has, and the failed steps without an audit.

    Without the breaking points that :func:`breaks` groups by cause if ``grouped``.
    """
    new = unknown(reading)
    if grouped:
        grouped_points = {SUBJECT(point): point for group in breaks(new.breakings) for point in group.points}
        rest = [record for record in new.breakings if record.value is None or record.expected_break or record.declared]
        new = Surveyed(tuple(rest), tuple(record for record in new.worst if SUBJECT(record) not in grouped_points))
    unseen = [
        f"{audit.title}: {report_failed_steps(audit.run)}.".replace("`", "")
        for audit in reading.audits
        if audit.run is not None and audit.run.is_open
    ]
    return [*list_surveyed(new, reading.traces), *unseen]


def list_surveyed(survey: Surveyed, traces: Sequence[RayTrace] = ()) -> list[str]:
    """Return a sentence on each law that broke at an undeclared place, or had no result along a ray."""
    wrong = [_compare_points(breaking) for breaking in select_disagreeing(survey.breakings)]
    broken = [
        _explain(failures, traces) for failures in group_by_case(select_undeclared(survey.breakings, survey.worst))
    ]
    silent = []
    for ray in select_unanswered(survey.breakings):
        reason, *_ = (ray.reason or "").strip().splitlines() or ["no reason was recorded"]
        where = f"{ray.law} [{ray.dtype}] along {ray.ray}"
        silent.append(f"{ray.case} gave no answer for {where}: {cut(reason.rstrip('.'), limit=300)}.")
    return [*wrong, *broken, *silent]


def _explain(failures: Sequence[Breaking | Worst], traces: Sequence[RayTrace]) -> str:
    """Return the undeclared failures of a case, and the operation that causes them if calls show it."""
    cause = find_first_loss(traces, failures[0].case)
    return f"{summarize_failures(failures)}, found by the survey{f': {cause}' if cause else ''}."


def _compare_points(breaking: Breaking) -> str:
    """Return the actual and the declared breaking point of a law."""
    where = "does not break" if breaking.value is None else f"breaks at {plain(breaking.value, digits=10)}"
    form = f"{breaking.form} = {plain(breaking.form_value, digits=10)}"
    name = f"{breaking.case} {breaking.law} [{breaking.dtype}]"
    return f"{name} {where} along {breaking.ray}; the declared breaking point is {form}."


def remarks(run: Run) -> list[str]:
    """Return remarks on the run itself, a sentence each."""
    sentences = []
    for work in find_unfinished(run.work):
        was = "" if work.ended is Ended.FAILED else "was "
        sentences.append(f"`harness {work.name}` {was}{work.sentence}: its results are incomplete.")
    if run.data is not None and not run.data.genuine:
        sentences.append(f"The data set is not the published one: {run.data.note.rstrip('.')}.")
    if run.environment.git_dirty:
        sentences.append("The working tree had uncommitted changes: the commit alone does not reproduce this run.")
    return sentences
