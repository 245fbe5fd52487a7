"""Verified fixes: candidates for the code of a broken function, judged by the laws of its contract."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from harness.diagnosis.candidates import Candidate
from harness.findings import findings
from harness.record import Status, Verdict
from harness.verdict.campaign import Campaign
from harness.verdict.isolated import checked
from harness.wording import sentence

SECONDS = 60.0
"""Time for the search; the candidate that is being judged is finished."""

SCREENED = 3
"""Laws of the first finding that a candidate is tried on first."""

EXAMPLES = 5
"""Examples for each of these laws."""

Judge = Callable[[str, "Sequence[str] | None", "Sequence[str] | None"], Sequence[Verdict]]
"""``judge(text, laws, dtypes)``: the verdicts on a module; on all laws and dtypes where these are None."""


@dataclass(frozen=True)
class Fix:
    """A candidate that repairs the first finding and breaks no law, and the verdicts on it."""

    candidate: Candidate
    before: Sequence[Verdict]
    after: Sequence[Verdict]

    @property
    def is_whole(self) -> bool:
        """Whether nothing is broken any more."""
        return not _broken(self.after)

    @property
    def sentence(self) -> str:
        """The result of the verification."""
        held, of = (_held(verdicts) for verdicts in (self.before, self.after))
        said = f"verified: {of} of {len(self.after)} laws hold; was {held}"
        lost = sorted({law for law, _ in _lost(self.after) - _lost(self.before) - _broken(self.before)})
        left = sorted({law for law, _ in _broken(self.after)})
        said += f"; still broken: {', '.join(left)}" if left else ""
        return said + (f"; now loses digits: {', '.join(lost)}" if lost else "")


def _held(verdicts: Sequence[Verdict]) -> int:
    return sum(verdict.status is Status.HOLDS for verdict in verdicts)


def _broken(verdicts: Sequence[Verdict]) -> set[tuple[str, str]]:
    return {(verdict.law, verdict.dtype) for verdict in verdicts if verdict.status.fails}


def _lost(verdicts: Sequence[Verdict]) -> set[tuple[str, str]]:
    return {(verdict.law, verdict.dtype) for verdict in verdicts if verdict.status is Status.LOST}


def found_fix(
    candidates: Sequence[Candidate], before: Sequence[Verdict], judge: Judge, *, seconds: float = SECONDS
) -> Fix | None:
    """Return the first candidate after which nothing is broken, else the best one, if any helps."""
    wrong = [finding for finding in findings(before) if finding.status.fails]
    if not wrong:
        return None
    first, deadline = wrong[0], time.perf_counter() + seconds
    best: Fix | None = None
    for candidate in candidates:
        if time.perf_counter() > deadline:
            break
        # One dtype shows at little cost whether a candidate can help.
        screened = judge(candidate.text, first.laws[:SCREENED], [first.first.dtype])
        if not screened or all(verdict.status.fails for verdict in screened):
            continue
        after = judge(candidate.text, None, None)
        if not _helps(before, after, sentence(first)):
            continue
        if best is None or len(_broken(after)) < len(_broken(best.after)):
            best = Fix(candidate, before, after)
        if best.is_whole:
            break
    return best


def _helps(before: Sequence[Verdict], after: Sequence[Verdict], said: str) -> bool:
    """Whether a finding is gone, fewer laws are broken, and none that was not broken before."""
    again = any(sentence(finding) == said for finding in findings(after) if finding.status.fails)
    return bool(after) and not again and _broken(after) < _broken(before)


def isolated_judge(campaign: Campaign) -> Judge:
    """Return a judge that checks a module in separate processes, next to links to the neighboring files."""
    file, _, name = campaign.target.partition(":")

    def judge(text: str, laws: Sequence[str] | None, dtypes: Sequence[str] | None) -> Sequence[Verdict]:
        with beside(Path(file), text) as copy:
            asked = replace(campaign, target=f"{copy}:{name}", recheck_seed=None, corpora=())
            if laws is not None and dtypes is not None:
                asked = replace(asked, laws=tuple(laws), dtypes=tuple(dtypes), examples=EXAMPLES, seconds=1.0)
            return checked(asked)[0]

    return judge


@contextmanager
def beside(file: Path, text: str) -> Iterator[Path]:
    """Write a module into a temporary folder that has links to everything else in the folder of a file."""
    with tempfile.TemporaryDirectory(prefix="harness-fix-") as folder:
        own = file.resolve()
        for other in own.parent.iterdir():
            if other != own and other.name != "__pycache__":
                (Path(folder) / other.name).symlink_to(other)
        copy = Path(folder) / own.name
        copy.write_text(text, encoding="utf-8", newline="")
        yield copy
