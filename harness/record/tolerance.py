"""The record of a line of a test suite that compares with a tolerance."""

from enum import StrEnum
from typing import Literal

from harness.record.schema import Count, Record


class Tolerance(StrEnum):
    """The verdict on a comparison, or on a line with all of its comparisons."""

    VACUOUS = "vacuous"
    LOOSE = "loose"
    TIGHT = "tight"
    SOUND = "sound"
    UNJUDGED = "not judged"


class ComparedLine(Record):
    """A line of a test suite that compares, and the verdict on its tolerance."""

    kind: Literal["compared_line"] = "compared_line"
    file: str
    line: Count
    function: str
    """The comparing function, with the tolerances that it was given."""
    answer: Tolerance
    reason: str
    """The mistake that would pass, or why there is no verdict."""

    @property
    def key(self) -> tuple[str, str, str]:
        """The key of the line within a run."""
        return self.file, str(self.line), self.function
