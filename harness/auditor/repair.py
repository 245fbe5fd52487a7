"""Fixes of a step: a rewritten step does not have the finding of the audit, and agrees on ordinary inputs."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.command.option_groups import ExecutionOptions
from harness.error import UsageError
from harness.repair.proposal import (
    NOTHING,
    UNSAFE,
    FixRequest,
    Proposal,
    explain_absence,
    explain_lateness,
    propose,
    read_source,
    show_search,
)
from harness.wording.number import count

if TYPE_CHECKING:
    from harness.auditor.ordinary import Agreement
    from harness.auditor.plan import AuditPlan
    from harness.record import Audit, AuditFinding, AuditKind
    from harness.repair.candidates import Candidate
    from harness.repair.search import Judge, VerifiedFix


def wrong_in(audit: "Audit") -> "tuple[AuditFinding, ...]":
    """Return the findings that a fix should repair: unexpected ones, and all of a simulated format."""
    return audit.findings if audit.what_if is not None else audit.unexpected


class AuditJudge:
    """Audits rewritten steps by the plans of the user, and compares them on ordinary inputs."""

    def __init__(
        self, plans: "Sequence[AuditPlan]", execution: ExecutionOptions, expected: "tuple[AuditKind, ...]" = ()
    ) -> None:
        self._plans, self._execution, self._expected = plans, execution, expected

    def of(self, file: Path, text: str, finding: "AuditFinding", audits: "Sequence[Audit]") -> "Judge":
        """Return the judge of the candidates for a file and one of its findings."""

        def judged(candidate: "Candidate", best: "VerifiedFix | None") -> "VerifiedFix | None":
            from harness.repair.law_judge import make_temporary_sibling
            from harness.repair.search import VerifiedFix, list_edits

            with make_temporary_sibling(file, candidate.text) as copy:
                after = self._audits(copy.parent)
                left = [] if after is None else _wrong(after)
                changed = new_lines(list_edits(text, candidate.text))
                if after is None or not _helps(finding, left, _new(left, audits), changed, file):
                    return None
                if best is not None and len(left) >= best.left:
                    return None
                agrees = self._agreement(copy.parent)
            if candidate.is_safe and not agrees.is_close:
                return None
            return VerifiedFix(candidate, _sentence(audits, after, agrees), len(left))

        return judged

    def _audits(self, folder: Path) -> "list[Audit] | None":
        """Return the audits of the step in a folder; None if it cannot be audited."""
        from harness.auditor.plan import Auditing

        plans = [replace(plan, target=_moved(plan.target, folder)) for plan in self._plans]
        auditing = Auditing(plans, self._execution.backend)
        try:
            found = [audit for audit in auditing.audits() if audit is not None]
        except UsageError:
            return None
        expected = {"expected": self._expected}
        return None if auditing.stopped else [audit.model_copy(update=expected) for audit in found]

    def _agreement(self, folder: Path) -> "Agreement":
        from harness.auditor.ordinary import agreement

        return agreement(self._before, self._results(_moved(self._target, folder)))

    @property
    def _target(self) -> str:
        return self._plans[0].target

    @cached_property
    def _before(self) -> list[dict[str, Any]]:
        return self._results(self._target)

    def _results(self, target: str) -> list[dict[str, Any]]:
        from harness.auditor.ordinary import OrdinaryPlan

        with self._execution.backend(OrdinaryPlan(target)) as backend:
            answers = list(backend.answers(range(len(backend.pieces))))
        return [{"results": []} if answer.reply is None else answer.reply for answer in answers]


def _moved(target: str, folder: Path) -> str:
    """Return the same function in the file of the same name in another folder."""
    file, _, name = target.rpartition(":")
    return f"{folder / Path(file).name}:{name}"


def _wrong(audits: "Sequence[Audit]") -> "list[AuditFinding]":
    return [finding for audit in audits for finding in wrong_in(audit)]


def new_lines(edits: Sequence[Any]) -> set[int]:
    """Return the numbers of the lines that edits have written, in the new text."""
    found, shift = set[int](), 0
    for edit in edits:
        added = edit.text.count("\n") + (not edit.text.endswith("\n") and bool(edit.text))
        first = edit.line + shift
        found |= set(range(first, first + added))
        shift += added - (edit.end - edit.line + (edit.end_column > 1))
    return found


_NOT_FINITE = ("overflow", "pole", "invalid", "masked", "data")
"""Kinds of findings that hide later findings of the step."""


def _new(left: "Sequence[AuditFinding]", before: "Sequence[Audit]") -> "list[AuditFinding]":
    """Return the findings that were not there before."""
    known = {_general(finding) for finding in _wrong(before)}
    return [finding for finding in left if _general(finding) not in known]


def _general(finding: "AuditFinding") -> tuple[str, ...]:
    """Return the words of a finding without numbers, which depend on the line and on the batch."""
    sentence = re.sub(r"\d+(\.\d+)?(e[+-]?\d+)?", "#", finding.sentence)
    return (finding.kind, finding.operation, finding.function, sentence)


def _helps(
    finding: "AuditFinding",
    left: "Sequence[AuditFinding]",
    new: "Sequence[AuditFinding]",
    changed: set[int],
    file: Path,
) -> bool:
    """Whether the rewrite removes a finding and adds none."""
    is_left = any(_general(one) == _general(finding) for one in left)
    if is_left or any(Path(one.file).name == file.name and one.line in changed for one in left):
        return False
    # Later findings of the step show only where the earlier numbers are finite.
    return not new or finding.kind in _NOT_FINITE


def _sentence(before: "Sequence[Audit]", after: "Sequence[Audit]", agrees: "Agreement") -> str:
    """Return the result of the verification."""
    left = _wrong(after)
    found = "no finding" if not left else count(len(left), "finding")
    text = f"verified: {found} in {count(after[-1].operations, 'operation')}; was {len(_wrong(before)):,}"
    if left:
        text += f"; still wrong: {', '.join(dict.fromkeys(f'{Path(one.file).name}:{one.line}' for one in left))}"
    if not agrees.comparison:
        return f"{text}; not compared on ordinary inputs"
    names = [f"{number:,} {kind if number == 1 else _PLURALS[kind]}" for kind, number in agrees.comparison.items()]
    return f"{text}; on ordinary inputs, {' and '.join(names)} {_how_close(agrees)}"


_PLURALS = {"loss": "losses", "gradient": "gradients", "result": "results"}


def _how_close(agrees: "Agreement") -> str:
    ending = "s" if sum(agrees.comparison.values()) == 1 else ""
    if agrees.is_close:
        return f"agree{ending} within rounding"
    return f"differ{ending} by up to {agrees.off:.2g} of {'its' if ending else 'their'} size"


def fix_of_audits(request: FixRequest, judge: "AuditJudge", audits: "Sequence[Audit]") -> Proposal:
    """Return a fix of the first finding of audits that has one."""
    from harness.repair.search import SECONDS, find_best_fix

    deadline = time.perf_counter() + SECONDS
    wrong = [(audit, finding) for audit in audits for finding in wrong_in(audit)]
    reason = NOTHING
    with show_search():
        for audit, finding in wrong:
            narrowed = _within(request, finding)
            if narrowed is None:
                reason = reason if reason != NOTHING else _ELSEWHERE
                continue
            tried, untried = _candidates_of(narrowed, finding), list["Candidate"]()
            seconds = max(0.0, deadline - time.perf_counter())
            judged = judge.of(narrowed.file, narrowed.text, finding, audits)
            found = find_best_fix(tried(unsafe=narrowed.unsafe), judged, seconds=seconds, untried=untried)
            if found is not None:
                return propose(narrowed, found, audit.case, finding.sentence)
            message = "repairs a finding of the audit and agrees on ordinary inputs"
            none = explain_lateness(untried) or explain_absence(narrowed, tried, message)
            reason = none if reason != UNSAFE else reason
    return Proposal(request, reason=reason)


_ELSEWHERE = "fix: none, because the line is not in the file of the step or in one next to it"


def _within(request: FixRequest, finding: "AuditFinding") -> FixRequest | None:
    """Return the request about the file and the function of a finding; None if the file is in another folder."""
    from harness.repair.code import find_function

    file = Path(finding.file).resolve()
    if not file.is_file() or file.parent != request.file.resolve().parent:
        return None
    text = request.text if file == request.file.resolve() else read_source(file)
    name = find_function(text, finding.line)
    return None if name is None else replace(request, file=request.file.with_name(file.name), name=name, text=text)


_WIDER = {"float16": "float32", "bfloat16": "float32", "float32": "float64"}
"""Formats in which a sum or a square may be computed instead."""


def _candidates_of(request: FixRequest, finding: "AuditFinding") -> "Callable[..., list[Candidate]]":
    """Return the candidates about the line of a finding, with or without unsafe ones."""
    from harness.record import AuditKind
    from harness.repair.candidates import list_candidates

    names = ("eps", "clamp") if finding.kind is AuditKind.CLAMPED else ()
    is_narrow = finding.kind in {AuditKind.ACCUMULATION, AuditKind.OVERFLOW}
    wider = _WIDER.get(finding.dtype) if is_narrow and not finding.backward else None
    return partial(list_candidates, request.text, request.name, names, line=finding.line, wider=wider)
