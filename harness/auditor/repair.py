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
from harness.repair import proposal
from harness.wording.number import count

if TYPE_CHECKING:
    from harness.auditor.ordinary import Agreement
    from harness.auditor.plan import AuditPlan
    from harness.record import Audit, AuditFinding, AuditKind
    from harness.repair.candidates import Candidate
    from harness.repair.search import Judge, VerifiedFix


def select_repairable(audit: "Audit") -> "tuple[AuditFinding, ...]":
    """Return the findings that a fix should repair: unexpected ones, and all of a simulated format."""
    return audit.findings if audit.what_if is not None else audit.unexpected


class AuditJudge:
    """Audits rewritten steps by the plans of the user, and compares them on ordinary inputs."""

    def __init__(
        self, plans: "Sequence[AuditPlan]", execution: ExecutionOptions, expected: "tuple[AuditKind, ...]" = ()
    ) -> None:
        self._plans, self._execution, self._expected = plans, execution, expected

    def make_judge(self, file: Path, text: str, finding: "AuditFinding", audits: "Sequence[Audit]") -> "Judge":
        """Return the judge of the candidates for a file and one of its findings."""

        def judge(candidate: "Candidate", best: "VerifiedFix | None") -> "VerifiedFix | None":
            from harness.repair.law_judge import make_temporary_sibling
            from harness.repair.search import VerifiedFix, list_edits

            with make_temporary_sibling(file, candidate.text) as copy:
                after = self._run_audits(copy.parent)
                remaining = [] if after is None else _collect_repairable(after)
                changed = find_new_lines(list_edits(text, candidate.text))
                if after is None or not _helps(finding, remaining, _find_new(remaining, audits), changed, file):
                    return None
                if best is not None and len(remaining) >= best.left:
                    return None
                agrees = self._compare_results(copy.parent)
            if candidate.is_safe and not agrees.is_close:
                return None
            return VerifiedFix(candidate, _format_sentence(audits, after, agrees), len(remaining))

        return judge

    def _run_audits(self, folder: Path) -> "list[Audit] | None":
        """Return the audits of the step in a folder; None if it cannot be audited."""
        from harness.auditor.plan import Auditing

        plans = [replace(plan, target=_move_target(plan.target, folder)) for plan in self._plans]
        auditing = Auditing(plans, self._execution.backend)
        try:
            audits = [audit for audit in auditing.audits() if audit is not None]
        except UsageError:
            return None
        expected = {"expected": self._expected}
        return None if auditing.stopped else [audit.model_copy(update=expected) for audit in audits]

    def _compare_results(self, folder: Path) -> "Agreement":
        from harness.auditor.ordinary import compare_versions

        return compare_versions(self._original_results, self._collect_results(_move_target(self._target, folder)))

    @property
    def _target(self) -> str:
        return self._plans[0].target

    @cached_property
    def _original_results(self) -> list[dict[str, Any]]:
        return self._collect_results(self._target)

    def _collect_results(self, target: str) -> list[dict[str, Any]]:
        from harness.auditor.ordinary import OrdinaryPlan

        with self._execution.backend(OrdinaryPlan(target)) as backend:
            answers = list(backend.answers(range(len(backend.pieces))))
        return [{"results": []} if answer.reply is None else answer.reply for answer in answers]


def _move_target(target: str, folder: Path) -> str:
    """Return the same function in the file of the same name in another folder."""
    file, _, name = target.rpartition(":")
    return f"{folder / Path(file).name}:{name}"


def _collect_repairable(audits: "Sequence[Audit]") -> "list[AuditFinding]":
    return [finding for audit in audits for finding in select_repairable(audit)]


def find_new_lines(edits: Sequence[Any]) -> set[int]:
    """Return the numbers of the lines that edits have written, in the new text."""
    numbers, shift = set[int](), 0
    for edit in edits:
        added = edit.text.count("\n") + (not edit.text.endswith("\n") and bool(edit.text))
        first = edit.line + shift
        numbers |= set(range(first, first + added))
        shift += added - (edit.end - edit.line + (edit.end_column > 1))
    return numbers


_NOT_FINITE = ("overflow", "pole", "invalid", "masked", "data")
"""Kinds of findings that hide later findings of the step."""


def _find_new(remaining: "Sequence[AuditFinding]", before: "Sequence[Audit]") -> "list[AuditFinding]":
    """Return the findings that were not there before."""
    earlier = {_generalize(finding) for finding in _collect_repairable(before)}
    return [finding for finding in remaining if _generalize(finding) not in earlier]


def _generalize(finding: "AuditFinding") -> tuple[str, ...]:
    """Return the words of a finding without numbers, which depend on the line and on the batch."""
    sentence = re.sub(r"\d+(\.\d+)?(e[+-]?\d+)?", "#", finding.sentence)
    return (finding.kind, finding.operation, finding.function, sentence)


def _helps(
    finding: "AuditFinding",
    remaining: "Sequence[AuditFinding]",
    new: "Sequence[AuditFinding]",
    changed: set[int],
    file: Path,
) -> bool:
    """Whether the rewrite removes a finding and adds none."""
    is_left = any(_generalize(survivor) == _generalize(finding) for survivor in remaining)
    if is_left or any(Path(survivor.file).name == file.name and survivor.line in changed for survivor in remaining):
        return False
    # Later findings of the step show only where the earlier numbers are finite.
    return not new or finding.kind in _NOT_FINITE


def _format_sentence(before: "Sequence[Audit]", after: "Sequence[Audit]", agrees: "Agreement") -> str:
    """Return the result of the verification."""
    remaining = _collect_repairable(after)
    amount = "no finding" if not remaining else count(len(remaining), "finding")
    text = f"verified: {amount} in {count(after[-1].operations, 'operation')}; was {len(_collect_repairable(before)):,}"
    if remaining:
        text += (
            "; still wrong: "
            f"{', '.join(dict.fromkeys(f'{Path(finding.file).name}:{finding.line}' for finding in remaining))}"
        )
    if not agrees.comparison:
        return f"{text}; not compared on ordinary inputs"
    names = [f"{number:,} {kind if number == 1 else _PLURALS[kind]}" for kind, number in agrees.comparison.items()]
    return f"{text}; on ordinary inputs, {' and '.join(names)} {_format_closeness(agrees)}"


_PLURALS = {"loss": "losses", "gradient": "gradients", "result": "results"}


def _format_closeness(agrees: "Agreement") -> str:
    ending = "s" if sum(agrees.comparison.values()) == 1 else ""
    if agrees.is_close:
        return f"agree{ending} within rounding"
    return f"differ{ending} by up to {agrees.off:.2g} of {'its' if ending else 'their'} size"


def find_audit_fix(request: proposal.FixRequest, judge: "AuditJudge", audits: "Sequence[Audit]") -> proposal.Proposal:
    """Return a fix of the first finding of audits that has one."""
    from harness.repair.search import SECONDS, find_best_fix

    deadline = time.perf_counter() + SECONDS
    wrong = [(audit, finding) for audit in audits for finding in select_repairable(audit)]
    reason = proposal.NOTHING
    with proposal.show_search():
        for audit, finding in wrong:
            narrowed = _narrow_request(request, finding)
            if narrowed is None:
                reason = reason if reason != proposal.NOTHING else _ELSEWHERE
                continue
            candidates, untried = _collect_candidates(narrowed, finding), list["Candidate"]()
            seconds = max(0.0, deadline - time.perf_counter())
            file_judge = judge.make_judge(narrowed.file, narrowed.text, finding, audits)
            fix = find_best_fix(candidates(unsafe=narrowed.unsafe), file_judge, seconds=seconds, untried=untried)
            if fix is not None:
                return proposal.propose(narrowed, fix, audit.case, finding.sentence)
            message = "repairs a finding of the audit and agrees on ordinary inputs"
            none = proposal.explain_lateness(untried) or proposal.explain_absence(narrowed, candidates, message)
            reason = none if reason != proposal.UNSAFE else reason
    return proposal.Proposal(request, reason=reason)


_ELSEWHERE = "fix: none, because the line is not in the file of the step or in one next to it"


def _narrow_request(request: proposal.FixRequest, finding: "AuditFinding") -> proposal.FixRequest | None:
    """Return the request about the file and the function of a finding; None if the file is in another folder."""
    from harness.repair.code import find_function

    file = Path(finding.file).resolve()
    if not file.is_file() or file.parent != request.file.resolve().parent:
        return None
    text = request.text if file == request.file.resolve() else proposal.read_source(file)
    name = find_function(text, finding.line)
    return None if name is None else replace(request, file=request.file.with_name(file.name), name=name, text=text)


_WIDER = {"float16": "float32", "bfloat16": "float32", "float32": "float64"}
"""Formats in which a sum or a square may be computed instead."""


def _collect_candidates(request: proposal.FixRequest, finding: "AuditFinding") -> "Callable[..., list[Candidate]]":
    """Return the candidates about the line of a finding, with or without unsafe ones."""
    from harness.record import AuditKind
    from harness.repair.candidates import list_candidates

    names = ("eps", "clamp") if finding.kind is AuditKind.CLAMPED else ()
    is_narrow = finding.kind in {AuditKind.ACCUMULATION, AuditKind.OVERFLOW}
    wider = _WIDER.get(finding.dtype) if is_narrow and not finding.backward else None
    return partial(list_candidates, request.text, request.name, names, line=finding.line, wider=wider)
