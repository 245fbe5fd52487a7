"""The option ``--fix`` of ``check`` and ``audit``: propose a verified rewrite, and apply it if the user asks for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from harness.command.options import OutputFormat, console, progress, say
from harness.command.panels import fix_option
from harness.error import UsageError, printable
from harness.wording.number import count

if TYPE_CHECKING:
    from rich.progress import Progress

    from harness.record import Fix, Verdict
    from harness.repair.candidates import Candidate
    from harness.repair.search import VerifiedFix
    from harness.verdict.campaign import Campaign


@dataclass(frozen=True)
class FixRequest:
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

    def request(self, target: str) -> FixRequest | None:
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
        return FixRequest(Path(file), name, read_source(Path(file)), self.write, self.unsafe_fixes)


def read_source(file: Path) -> str:
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

    asked: FixRequest
    fix: "Fix | None" = None
    text: str = ""
    reason: str = ""

    @property
    def fixes(self) -> "list[Fix]":
        """The fix, if there is one."""
        return [] if self.fix is None else [self.fix]


NOTHING = "fix: nothing to fix"
UNSAFE = "fix: none that keeps the meaning; `--unsafe-fixes` also tries rewrites that change it"


def propose_fix_of_check(request: FixRequest, campaign: "Campaign", verdicts: "Sequence[Verdict]") -> Proposal:
    """Return a fix of the first finding of a check that the laws verify."""
    from harness.findings import findings
    from harness.repair.candidates import list_candidates
    from harness.repair.law_judge import IsolatedJudge, find_fix
    from harness.wording.finding import sentence

    wrong = [finding for finding in findings(verdicts) if finding.status.fails]
    if not wrong:
        return Proposal(request, reason=NOTHING)
    mistakes = [finding.named for finding in wrong if finding.named is not None]
    names = [text for mistake in mistakes for text in (*mistake.names, mistake.sentence)]
    tried = partial(list_candidates, request.text, request.name, names)
    untried: list[Candidate] = []
    with IsolatedJudge(campaign) as judge, show_search():
        verified = find_fix(tried(unsafe=request.unsafe), verdicts, judge, untried=untried)
    if verified is not None:
        return propose(request, verified, wrong[0].case, sentence(wrong[0]))
    message = "repairs the first finding and breaks no law"
    return Proposal(request, reason=explain_lateness(untried) or explain_absence(request, tried, message))


def show_search() -> "Progress":
    """Show on a terminal that a fix is being looked for."""
    bar = progress()
    bar.add_task("looking for a fix", total=None)
    return bar


def propose(request: FixRequest, verified: "VerifiedFix", case: str, repairs: str) -> Proposal:
    """Return the proposal of a verified fix."""
    from harness.diagnosis.blame import display_path
    from harness.repair.search import make_record

    fix = make_record(verified, case=case, repairs=repairs, file=Path(display_path(request.file)), before=request.text)
    return Proposal(request, fix, verified.candidate.text)


def explain_lateness(untried: "Sequence[Candidate]") -> str:
    """Say that the time did not suffice; empty if it did."""
    from harness.repair.search import SECONDS

    return f"fix: none found in {SECONDS:g} s; {count(len(untried), 'rewrite')} left to try" if untried else ""


def explain_absence(request: FixRequest, tried: "Callable[..., list[Candidate]]", message: str) -> str:
    """Say that there is no fix, and whether unsafe ones exist."""
    if not request.unsafe and any(not candidate.is_safe for candidate in tried(unsafe=True)):
        return UNSAFE
    return f"fix: none found that {message}"


def print_proposal(proposal: Proposal, form: OutputFormat = OutputFormat.FULL) -> None:
    """Print the fix unless the format contains it, and apply it if the user asked for that."""
    # In SARIF, standard output is the log.
    write = say if form is not OutputFormat.SARIF else lambda _: None
    if proposal.fix is None:
        write(proposal.reason)
        return
    if form in {OutputFormat.FULL, OutputFormat.CONCISE}:
        _print_fix(proposal.fix)
    if proposal.asked.write:
        apply(proposal.asked, proposal.text)
        write(f"fix: wrote {proposal.asked.file}")
    else:
        write("fix: not applied; add `--write` to change the file")


def _print_fix(fix: "Fix") -> None:
    """Print the rewrites, the diff in its usual colors, and the result of the verification."""
    from harness.wording.fix import ADDED, PLACE, REMOVED, find_line_kind, fix_lines

    styles = {REMOVED: "red", ADDED: "green", PLACE: "cyan"}
    for line in fix_lines(fix):
        style = styles.get(find_line_kind(line), "") if line in fix.diff else ""
        console().print(printable(line), style=style, markup=False, soft_wrap=True)


def apply(request: FixRequest, text: str) -> None:
    """Write the new text, unless the file changed since it was read.

    Raises
    ------
    UsageError
        If it did.
    """
    from harness.record import write_atomically

    if read_source(request.file) != request.text:
        problem = f"cannot apply the fix: {request.file} changed during the check"
        raise UsageError(problem, remedy="check the new version again")
    file = request.file.resolve()
    mode = file.stat().st_mode
    write_atomically(file, text)
    file.chmod(mode)
