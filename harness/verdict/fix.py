"""Verified fixes: candidates for the code of a broken function, judged by the laws of its contract."""

import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Self

from harness.diagnosis.candidates import Candidate
from harness.diagnosis.fix import SECONDS, Verified, best_fix
from harness.execution.worker_pool import IsolatedPool
from harness.findings import Finding, findings
from harness.isolation.limits import Limits
from harness.record import Status, Verdict
from harness.verdict.campaign import Campaign
from harness.wording import sentence

SCREENED = 3
"""Laws that a candidate is tried on first."""

Judge = Callable[[str, "Sequence[str] | None", "Sequence[str] | None"], Sequence[Verdict]]
"""``judge(text, laws, dtypes)``: the verdicts on a module; on all laws and dtypes where these are None."""


def _sentence(before: Sequence[Verdict], after: Sequence[Verdict]) -> str:
    """Return the result of the verification."""
    held, of = (_held(verdicts) for verdicts in (before, after))
    said = f"verified: {of} of {len(after)} laws hold; was {held}"
    lost = sorted({law for law, _ in _lost(after) - _lost(before) - _broken(before)})
    left = sorted({law for law, _ in _broken(after)})
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
) -> Verified | None:
    """Return the first candidate after which nothing is broken, else the best one, if any helps."""
    wrong = [finding for finding in findings(before) if finding.status.fails]
    if not wrong:
        return None
    first, reached = wrong[0], dict[str, Sequence[Verdict]]()

    def judged(candidate: Candidate, best: Verified | None) -> Verified | None:
        known = None if best is None else reached[best.candidate.text]
        laws, dtype = (first.laws, first.first.dtype) if known is None else _left(known)
        # A few laws in one dtype show at little cost whether a candidate can help.
        screened = judge(candidate.text, laws[:SCREENED], [dtype])
        if not screened or all(verdict.status.fails for verdict in screened):
            return None
        after = reached[candidate.text] = judge(candidate.text, None, None)
        if not _helps(before, after, first):
            return None
        return Verified(candidate, _sentence(before, after), len(_broken(after)))

    return best_fix(candidates, judged, seconds=seconds)


def _left(after: Sequence[Verdict]) -> tuple[list[str], str]:
    """Return the laws that are left broken in the first of their dtypes: only there can another candidate be better."""
    dtype = next(verdict.dtype for verdict in after if verdict.status.fails)
    return [verdict.law for verdict in after if verdict.status.fails and verdict.dtype == dtype], dtype


def _helps(before: Sequence[Verdict], after: Sequence[Verdict], first: Finding) -> bool:
    """Whether a finding is gone, fewer laws are broken, and none that was not broken before."""
    again = any(_general(finding) == _general(first) for finding in findings(after) if finding.status.fails)
    return bool(after) and not again and _broken(after) < _broken(before)


def _general(finding: Finding) -> str:
    """Return the sentence of a finding without numbers, which depend on the example and on the line."""
    return re.sub(r"\d+(\.\d+)?(e[+-]?\d+)?", "#", sentence(finding))


class IsolatedJudge:
    """A judge that checks a module in separate processes, next to links to the neighboring files.

    The processes stay for all questions about one module, and no law is decided twice. A counterexample is not made
    minimal, because nobody reads it. As a context manager, it ends the processes.
    """

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = replace(campaign, recheck_seed=None, corpora=(), minimal=False)
        self._stack = ExitStack()
        self._text: str | None = None
        self._pool: IsolatedPool | None = None
        self._reached: dict[int, Verdict] = {}

    def __call__(self, text: str, laws: Sequence[str] | None, dtypes: Sequence[str] | None) -> Sequence[Verdict]:
        """Return the verdicts on some laws and dtypes, or on all."""
        if text != self._text:
            self._open(text)
        assert self._pool is not None, "it was opened"
        unreached = [piece["unreached"] for piece in self._pool.pieces]
        asked = [
            index
            for index, one in enumerate(unreached)
            if (laws is None or one["law"] in laws) and (dtypes is None or one["dtype"] in dtypes)
        ]
        missing = [index for index in asked if index not in self._reached]
        self._reached |= zip(missing, self._campaign.verdicts(self._pool, indices=missing), strict=True)
        return [self._reached[index] for index in asked]

    def _open(self, text: str) -> None:
        self._stack.close()
        file, _, name = self._campaign.target.partition(":")
        copy = self._stack.enter_context(beside(Path(file), text))
        planned = replace(self._campaign, target=f"{copy}:{name}")
        self._pool = self._stack.enter_context(IsolatedPool(planned, Limits(), 1))
        self._text, self._reached = text, {}

    def __enter__(self) -> Self:
        """Start nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes."""
        self._stack.close()


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
