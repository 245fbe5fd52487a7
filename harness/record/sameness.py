"""The record of a comparison: whether two computations differ by more than rounding."""

import math
from enum import StrEnum
from typing import Literal

from harness.record.schema import Count, Deviation, Record, Size


class Sameness(StrEnum):
    """The difference of two computations."""

    SAME_BITS = "same bits"
    ROUNDING = "rounding"
    DIFFERENT = "different"
    NOTHING_TRAINED = "nothing trained"

    @property
    def fails(self) -> bool:
        """Whether it is more than rounding, or cannot be seen."""
        return self in {Sameness.DIFFERENT, Sameness.NOTHING_TRAINED}


class Accuracy(Record):
    """The error of a result where it is the largest share of its bound."""

    deviation: Deviation
    bound: Size
    unit: str = "ulp"

    @property
    def share(self) -> float:
        """The share of the bound that the error uses: at most 1 if it is within the bound."""
        if self.deviation == 0.0 or self.bound == math.inf:
            return 0.0
        return self.deviation / self.bound if self.bound else math.inf


class Judgment(Record):
    """The answer to "is it the same?", and its sentence; true if the two differ by no more than rounding."""

    kind: Literal["judgment"] = "judgment"
    first: str = ""
    second: str = ""
    """The targets; the second is empty if the first is compared with itself under a change."""
    under: str = ""
    """The change."""
    name: str = ""
    """The name of the pair in the settings of a project."""
    answer: Sameness
    sentence: str
    rows: Count | None = None
    differing_rows: Count | None = None
    """Number of rows of the results, and of those whose numbers differ; ``None`` if the results cannot be compared."""
    largest_ulp: Size | None = None
    """Largest difference of two numbers, in units in the last place of the second."""
    accuracies: tuple[Accuracy, ...] = ()
    """The errors of both sides, if a contract has a bound for the inputs."""
    is_declared: bool = False
    """Whether a side declares failures, so that a difference does not fail."""
    places: tuple[str, ...] = ()
    """The first operations without a counterpart, such as ``exp (mine.py:11)``."""

    def __bool__(self) -> bool:
        """Whether the two differ by no more than rounding."""
        return not self.answer.fails

    @property
    def fails(self) -> bool:
        """Whether the difference is more than rounding, and not declared."""
        return self.answer.fails and not self.is_declared

    def __str__(self) -> str:
        """Return the answer and its sentence in one line."""
        return f"{self.answer.upper():<10}  {self.sentence}"

    __repr__ = __str__

    @property
    def key(self) -> tuple[str, str, str]:
        """The key of the judgment within a run."""
        return self.first, self.second, self.under

    @property
    def title(self) -> str:
        """The compared targets, or the target and the change."""
        return f"{self.first} under {self.under}" if self.under else f"{self.first} and {self.second}"
