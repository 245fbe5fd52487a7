"""What a survey found, by kind of record."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from harness.record import Accumulator, Breaking, Profile, Record, Worst, survey_line

if TYPE_CHECKING:
    import pandas as pd


class Skip(Record):
    """A law that has nothing to say of a case in a dtype. It is told, and not kept."""

    kind: Literal["skip"] = "skip"
    case: str
    law: str
    dtype: str
    reason: str


Finding = Annotated[Breaking | Worst | Profile | Accumulator | Skip, Field(discriminator="kind")]


@dataclass
class Findings:
    """Breaking points, worst cases, profiles and accumulators, and what was skipped, in the order they were found."""

    breakings: list[Breaking] = field(default_factory=list)
    worst: list[Worst] = field(default_factory=list)
    profiles: list[Profile] = field(default_factory=list)
    accumulators: list[Accumulator] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)

    def add(self, found: Iterable[Finding]) -> None:
        """Sort findings in by kind."""
        for one in found:
            match one:
                case Breaking():
                    self.breakings.append(self._doubted(one))
                case Worst():
                    self.worst.append(one)
                case Profile():
                    self.profiles.append(one)
                case Accumulator():
                    self.accumulators.append(one)
                case Skip():
                    self.skips.append(one)

    def _doubted(self, found: Breaking) -> Breaking:
        """Drop a closed form that was recognised in 16 bits alone, where coincidences are many."""
        wide = {"float64", "float32"}
        if found.form is None or found.declared or found.dtype in wide:
            return found
        alike = (found.case, found.law, found.ray, found.form)
        if any((one.case, one.law, one.ray, one.form) == alike and one.dtype in wide for one in self.breakings):
            return found
        return found.model_copy(update={"form": None, "form_value": None, "agrees": None})

    def to_frame(self) -> "pd.DataFrame":
        """One row a breaking point."""
        import pandas as pd

        return pd.DataFrame([one.model_dump(mode="json", exclude={"example"}) for one in self.breakings])

    def __str__(self) -> str:
        """Return the outcome as one sentence."""
        return survey_line(self.breakings, self.worst)
