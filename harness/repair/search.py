"""The search for a fix: candidates are judged in turn, until one leaves no failure."""

import difflib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.record import Edit, Fix
from harness.repair.candidates import Candidate
from harness.wording.fix import make_diff, split_lines

SECONDS = 15.0
"""Time for the search; the candidate that is being judged is finished."""


@dataclass(frozen=True)
class VerifiedFix:
    """A candidate that repairs a finding and breaks nothing, and the result of its verification."""

    candidate: Candidate
    sentence: str
    left: int
    """Number of failures that remain."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong any more."""
        return not self.left


Judge = Callable[[Candidate, "VerifiedFix | None"], "VerifiedFix | None"]
"""``judge(candidate, best)``: the verified candidate, or None. It may be stricter if a good one is already known."""


def find_best_fix(
    candidates: Sequence[Candidate], judge: Judge, *, seconds: float = SECONDS, untried: list[Candidate] | None = None
) -> VerifiedFix | None:
    """Return the first candidate that leaves nothing wrong, else the best one, if any helps.

    `untried` receives the candidates for which there was no time.
    """
    deadline = time.perf_counter() + seconds
    best: VerifiedFix | None = None
    for number, candidate in enumerate(candidates):
        if time.perf_counter() > deadline:
            if untried is not None:
                untried += candidates[number:]
            break
        verified = judge(candidate, best)
        if verified is not None and (best is None or verified.left < best.left):
            best = verified
        if best is not None and best.is_whole:
            break
    return best


def make_record(verified: VerifiedFix, *, case: str, repairs: str, file: Path, before: str) -> Fix:
    """Return the record of a fix of a file with some text."""
    after = verified.candidate.text
    return Fix(
        case=case,
        repairs=repairs,
        file=file.as_posix(),
        titles=verified.candidate.titles,
        sentence=verified.sentence,
        is_safe=verified.candidate.is_safe,
        diff=tuple(make_diff(file, before, after)),
        edits=tuple(list_edits(before, after)),
    )


def list_edits(before: str, after: str) -> list[Edit]:
    """Return the lines that change, with their new text."""
    old, new = split_lines(before), split_lines(after)
    return [
        _make_edit(old, start, stop, "".join(new[first:last]))
        for kind, start, stop, first, last in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        if kind != "equal"
    ]


def _make_edit(old: Sequence[str], start: int, stop: int, text: str) -> Edit:
    is_open = stop > start and not old[stop - 1].endswith("\n")
    end = (stop, len(old[stop - 1]) + 1) if is_open else (stop + 1, 1)
    return Edit(line=start + 1, end=end[0], end_column=end[1], text=text.replace("\r\n", "\n"), is_crlf="\r\n" in text)
