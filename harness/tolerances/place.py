"""The verdict on a place in a test suite where results are compared, from all comparisons that were made there."""

from collections import Counter
from collections.abc import Sequence

from harness.record import ComparedLine, Record, Tolerance

FINDINGS = {
    Tolerance.VACUOUS: "The comparison accepts 0 in place of the result.",
    Tolerance.LOOSE: "The comparison accepts a result that is some percent too large.",
    Tolerance.TIGHT: "The comparison refuses a right result of another processor, or nearly does.",
}
"""Verdicts that ask for a change, the most urgent first, and their descriptions."""


class Judged(Record):
    """One comparison that passed."""

    answer: Tolerance
    reason: str
    """The mistake that would pass, or why there is no verdict."""
    difference: float = 0.0
    """Largest difference of the results, relative to the size of the expected ones."""
    scale: float = 0.0
    """Size of the expected results: their largest absolute value."""
    relative: float = 0.0
    """Largest difference relative to the expected element."""
    roundoff: float = 0.0
    """Unit roundoff of the coarser side."""
    share: float = 0.0
    """Part of the tolerance that the difference uses: at most this, and more than half of it; infinity if refused."""


class Place(Record):
    """A line of a test suite, and the comparisons that were made there by tests that passed."""

    file: str
    line: int
    function: str
    """The comparing function, with the tolerances that it was given."""
    comparisons: tuple[Judged, ...]

    @property
    def key(self) -> tuple[str, int, str]:
        """The same place has the same key in each run of a suite."""
        return self.file, self.line, self.function

    @property
    def answer(self) -> Tolerance:
        """The verdict on the place.

        A single comparison that refuses a mistake is enough against it, and a single tight one can fail.
        """
        answers = Counter(comparison.answer for comparison in self.comparisons)
        judged = answers.total() - answers[Tolerance.UNJUDGED]
        if answers[Tolerance.TIGHT]:
            return Tolerance.TIGHT
        if judged == 0:
            return Tolerance.UNJUDGED
        if answers[Tolerance.VACUOUS] == judged:
            return Tolerance.VACUOUS
        return Tolerance.LOOSE if answers[Tolerance.VACUOUS] + answers[Tolerance.LOOSE] == judged else Tolerance.SOUND

    @property
    def reason(self) -> str:
        """The reason of the verdict: that of its weakest comparison."""
        return next((one.reason for one in self.comparisons if one.answer is self.answer), "")

    @property
    def share(self) -> float:
        """The largest part of the tolerance that a comparison used."""
        return max((one.share for one in self.comparisons), default=0.0)

    @property
    def difference(self) -> float:
        """The largest relative difference of the results."""
        return max((one.difference for one in self.comparisons), default=0.0)

    @property
    def record(self) -> ComparedLine:
        """The record of the place in a run."""
        return ComparedLine(
            file=self.file, line=self.line, function=self.function, answer=self.answer, reason=self.reason
        )

    @property
    def sentence(self) -> str:
        """The place, the verdict's reason, and the comparison, in one line."""
        because = f" {self.reason}" if self.reason else ""
        return f"{self.file}:{self.line}:{because} ({self.function})"


class Suite(Record):
    """The places that a process of pytest saw."""

    places: tuple[Place, ...] = ()
    passed: int = 0
    failed: int = 0
    """Tests that passed and that failed; comparisons count only in tests that passed."""
    root: str = ""
    """Folder of the suite, to which the files of places are relative."""


def merge(suites: Sequence[Suite]) -> Suite:
    """Return what several processes of one run saw, sorted by file and line."""
    by_line: dict[tuple[str, int, str], list[Judged]] = {}
    for place in (place for suite in suites for place in suite.places):
        by_line.setdefault(place.key, []).extend(place.comparisons)
    places = [
        Place(file=file, line=line, function=function, comparisons=tuple(comparisons))
        for (file, line, function), comparisons in sorted(by_line.items())
    ]
    passed, failed = sum(suite.passed for suite in suites), sum(suite.failed for suite in suites)
    root = next((suite.root for suite in suites), "")
    return Suite(places=tuple(places), passed=passed, failed=failed, root=root)
