"""The option ``--fix`` of ``check`` and ``audit``: propose a verified rewrite, and apply it if the user asks for it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from harness.cli.options import OutputFormat, console, progress, say
from harness.cli.panels import fix_option
from harness.error import UsageError
from harness.wording.number import count

if TYPE_CHECKING:
    from rich.progress import Progress

    from harness.cli.audit_judge import AuditJudge
    from harness.diagnosis.fix import Verified
    from harness.diagnosis.fix_candidates import Candidate
    from harness.record import Audit, AuditFinding, Fix, Verdict
    from harness.verdict.campaign import Campaign


@dataclass(frozen=True)
class Fixing:
    """The request of the user, and the text of the file before the check or the audit."""

    file: Path
    name: str
    text: str
    write: bool
    unsafe: bool


@dataclass(frozen=True)
class FixOptions:
    """The options for fixes."""

    fix: Annotated[bool, fix_option("--fix", help="Show a verified fix of a finding as a diff.")] = False
    write: Annotated[bool, fix_option("--write", help="Apply the fix to the file.")] = False
    unsafe_fixes: Annotated[
        bool, fix_option("--unsafe-fixes", help="Also try fixes that change the function, such as n - 1 to n.")
    ] = False

    def request(self, target: str) -> Fixing | None:
        """Return the request for a fix, if there is one.

        Raises
        ------
        UsageError
            If the target is no function of a file, or an option needs ``--fix``.
        """
        if not self.fix:
            for option, is_given in (("--write", self.write), ("--unsafe-fixes", self.unsafe_fixes)):
                if is_given:
                    raise UsageError(f"cannot use `{option}` without `--fix`", remedy="add `--fix`")
            return None
        file, _, name = target.partition(":")
        if not file.endswith(".py") or not name:
            raise UsageError(f"cannot fix `{target}`", rule="`--fix` needs `file.py:function`")
        return Fixing(Path(file), name, _read(Path(file)), self.write, self.unsafe_fixes)


def _read(file: Path) -> str:
    """Read a source file with its line endings."""
    from harness.calling.discovery import reject_unreadable

    reject_unreadable(file)
    try:
        return file.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"cannot read `{file}`", rule="its text must be in UTF-8") from None


@dataclass(frozen=True)
class Proposal:
    """The answer to a request: a verified fix with the new text of its file, or why there is none."""

    asked: Fixing
    fix: "Fix | None" = None
    text: str = ""
    reason: str = ""

    @property
    def fixes(self) -> "list[Fix]":
        """The fix, if there is one."""
        return [] if self.fix is None else [self.fix]


NOTHING = "fix: nothing to fix"
UNSAFE = "fix: none that keeps the meaning; `--unsafe-fixes` also tries rewrites that change it"


def fix_of_check(request: Fixing, campaign: "Campaign", verdicts: "Sequence[Verdict]") -> Proposal:
    """Return a fix of the first finding of a check that the laws verify."""
    from harness.diagnosis.fix_candidates import candidates
    from harness.findings import findings
    from harness.verdict.fix import IsolatedJudge, found_fix
    from harness.wording import sentence

    wrong = [finding for finding in findings(verdicts) if finding.status.fails]
    if not wrong:
        return Proposal(request, reason=NOTHING)
    names = [name for finding in wrong if finding.named is not None for name in finding.named.names]

    def tried(unsafe: bool) -> "list[Candidate]":
        return candidates(request.text, request.name, names, unsafe=unsafe)

    untried: list[Candidate] = []
    with IsolatedJudge(campaign) as judge, _searching():
        found = found_fix(tried(request.unsafe), verdicts, judge, untried=untried)
    if found is not None:
        return _proposal(request, found, wrong[0].case, sentence(wrong[0]))
    message = "repairs the first finding and breaks no law"
    return Proposal(request, reason=_late(untried) or _none(request, tried, message))


def fix_of_audits(request: Fixing, judge: "AuditJudge", audits: "Sequence[Audit]") -> Proposal:
    """Return a fix of the first finding of audits that has one."""
    from harness.cli.audit_judge import wrong_in
    from harness.diagnosis.fix import SECONDS, best_fix

    deadline = time.perf_counter() + SECONDS
    wrong = [(audit, finding) for audit in audits for finding in wrong_in(audit)]
    reason = NOTHING
    with _searching():
        for audit, finding in wrong:
            narrowed = _within(request, finding)
            if narrowed is None:
                reason = reason if reason != NOTHING else _ELSEWHERE
                continue
            tried, untried = _candidates_of(narrowed, finding), list["Candidate"]()
            seconds = max(0.0, deadline - time.perf_counter())
            judged = judge.of(narrowed.file, narrowed.text, finding, audits)
            found = best_fix(tried(narrowed.unsafe), judged, seconds=seconds, untried=untried)
            if found is not None:
                return _proposal(narrowed, found, audit.case, finding.sentence)
            message = "repairs a finding of the audit and agrees on ordinary inputs"
            none = _late(untried) or _none(narrowed, tried, message)
            reason = none if reason != UNSAFE else reason
    return Proposal(request, reason=reason)


_ELSEWHERE = "fix: none, because the line is not in the file of the step or in one next to it"


def _within(request: Fixing, finding: "AuditFinding") -> Fixing | None:
    """Return the request about the file and the function of a finding; None if the file is in another folder."""
    from harness.diagnosis.code import function_at

    file = Path(finding.file).resolve()
    if not file.is_file() or file.parent != request.file.resolve().parent:
        return None
    text = request.text if file == request.file.resolve() else _read(file)
    name = function_at(text, finding.line)
    return None if name is None else replace(request, file=request.file.with_name(file.name), name=name, text=text)


_WIDER = {"float16": "float32", "bfloat16": "float32", "float32": "float64"}
"""Formats in which a sum or a square may be computed instead."""


def _candidates_of(request: Fixing, finding: "AuditFinding") -> "Callable[[bool], list[Candidate]]":
    """Return the candidates about the line of a finding, with or without unsafe ones."""
    from harness.diagnosis.fix_candidates import candidates
    from harness.record import AuditKind

    names = ("eps", "clamp") if finding.kind is AuditKind.CLAMPED else ()
    is_narrow = finding.kind in {AuditKind.ACCUMULATION, AuditKind.OVERFLOW}
    wider = _WIDER.get(finding.dtype) if is_narrow and not finding.backward else None
    return lambda unsafe: candidates(request.text, request.name, names, unsafe=unsafe, line=finding.line, wider=wider)


def _searching() -> "Progress":
    """Show on a terminal that a fix is being looked for."""
    bar = progress()
    bar.add_task("looking for a fix", total=None)
    return bar


def _proposal(request: Fixing, found: "Verified", case: str, repairs: str) -> Proposal:
    from harness.diagnosis.blame import display_path
    from harness.diagnosis.fix import recorded

    fix = recorded(found, case=case, repairs=repairs, file=Path(display_path(request.file)), before=request.text)
    return Proposal(request, fix, found.candidate.text)


def _late(untried: "Sequence[Candidate]") -> str:
    """Say that the time did not suffice; empty if it did."""
    from harness.diagnosis.fix import SECONDS

    return f"fix: none found in {SECONDS:g} s; {count(len(untried), 'rewrite')} left to try" if untried else ""


def _none(request: Fixing, tried: "Callable[[bool], list[Candidate]]", message: str) -> str:
    """Say that there is no fix, and whether unsafe ones exist."""
    if not request.unsafe and any(not one.is_safe for one in tried(True)):
        return UNSAFE
    return f"fix: none found that {message}"


def tell(proposal: Proposal, form: OutputFormat = OutputFormat.FULL) -> None:
    """Print the fix unless the format contains it, and apply it if the user asked for that."""
    from harness.display.fix import print_fix

    # In SARIF, standard output is the log.
    write = say if form is not OutputFormat.SARIF else lambda _: None
    if proposal.fix is None:
        write(proposal.reason)
        return
    if form in {OutputFormat.FULL, OutputFormat.CONCISE}:
        print_fix(console(), proposal.fix)
    if proposal.asked.write:
        apply(proposal.asked, proposal.text)
        write(f"fix: wrote {proposal.asked.file}")
    else:
        write("fix: not applied; add `--write` to change the file")


def apply(request: Fixing, text: str) -> None:
    """Write the new text, unless the file changed since it was read.

    Raises
    ------
    UsageError
        If it did.
    """
    from harness.record import write_atomically

    if _read(request.file) != request.text:
        problem = f"cannot apply the fix: {request.file} changed during the check"
        raise UsageError(problem, remedy="check the new version again")
    file = request.file.resolve()
    mode = file.stat().st_mode
    write_atomically(file, text)
    file.chmod(mode)
