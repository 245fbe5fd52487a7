"""The option ``--fix`` of ``check``: propose a verified rewrite as a diff, and apply it if the user asks for it."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.options import say
from harness.error import UsageError

if TYPE_CHECKING:
    from harness.record import Verdict
    from harness.verdict.campaign import Campaign


@dataclass(frozen=True)
class Fixing:
    """The request of the user, and the text of the file before the check."""

    file: Path
    name: str
    text: str
    write: bool
    unsafe: bool


def fixing(target: str, *, fix: bool, write: bool, unsafe: bool) -> Fixing | None:
    """Return the request for a fix; None without ``--fix``.

    Raises
    ------
    UsageError
        If the target is no function of a file, or an option needs ``--fix``.
    """
    if not fix:
        if write or unsafe:
            option = "--write" if write else "--unsafe-fixes"
            raise UsageError(f"cannot use `{option}` without `--fix`", remedy="add `--fix`")
        return None
    file, _, name = target.partition(":")
    if not file.endswith(".py") or not name:
        raise UsageError(f"cannot fix `{target}`", rule="`--fix` needs `file.py:function`")
    return Fixing(Path(file), name, _read(Path(file)), write, unsafe)


def _read(file: Path) -> str:
    """Read a source file with its line endings."""
    try:
        return file.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {file}", value=type(error).__name__) from None


def propose(asked: Fixing, campaign: "Campaign", verdicts: "Sequence[Verdict]") -> None:
    """Print a verified fix of the first finding as a diff, and write it if the user asked for that."""
    from harness.diagnosis.candidates import candidates
    from harness.findings import findings
    from harness.verdict.fix import IsolatedJudge, found_fix

    wrong = [finding for finding in findings(verdicts) if finding.status.fails]
    if not wrong:
        say("fix: nothing to fix")
        return
    names = [name for finding in wrong if finding.named is not None for name in finding.named.names]
    tried = candidates(asked.text, asked.name, names, unsafe=asked.unsafe)
    with IsolatedJudge(campaign) as judge:
        found = found_fix(tried, verdicts, judge)
    if found is None:
        say(_none(asked, names))
        return
    diff = difference(asked.file, asked.text, found.candidate.text)
    say(f"fix: {' and '.join(found.candidate.titles)}")
    for line in diff:
        say(line)
    say(found.sentence)
    if asked.write:
        apply(asked, found.candidate.text)
    else:
        say("fix: not applied; add `--write` to change the file")


def _none(asked: Fixing, names: Sequence[str]) -> str:
    """Say that there is no fix, and whether unsafe ones exist."""
    from harness.diagnosis.candidates import candidates

    if not asked.unsafe and any(not one.is_safe for one in candidates(asked.text, asked.name, names, unsafe=True)):
        return "fix: none that keeps the meaning; `--unsafe-fixes` also tries rewrites that change it"
    return "fix: none found that repairs the first finding and breaks no law"


def difference(file: Path, before: str, after: str) -> list[str]:
    """Return a unified diff as lines."""
    old, new = before.splitlines(), after.splitlines()
    path = file.as_posix().lstrip("/")
    return list(difflib.unified_diff(old, new, f"a/{path}", f"b/{path}", lineterm=""))


def apply(asked: Fixing, text: str) -> None:
    """Write the new text, unless the file changed since it was read.

    Raises
    ------
    UsageError
        If it did.
    """
    from harness.record import write_atomically

    if _read(asked.file) != asked.text:
        raise UsageError(
            f"cannot apply the fix: {asked.file} changed during the check", remedy="check the new version again"
        )
    file = asked.file.resolve()
    mode = file.stat().st_mode
    write_atomically(file, text)
    file.chmod(mode)
    say(f"fix: wrote {asked.file}")
