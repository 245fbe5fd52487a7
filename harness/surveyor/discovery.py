"""The results of a survey, by kind of record."""

from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from harness.error import absence, require
from harness.execution.logbook import logbook
from harness.record import Accumulator, Breaking, Profile, Property, RayTrace, Record, Worst
from harness.wording.card import card
from harness.wording.survey import format_result, select_disagreeing, select_undeclared, survey_line
from harness.wording.verdict import property_sentences

if TYPE_CHECKING:
    import pandas as pd


class Skip(Record):
    """A law that does not apply to a case in a dtype; it is shown and not recorded."""

    kind: Literal["skip"] = "skip"
    case: str
    law: str
    dtype: str
    reason: str


Storable = Breaking | Worst | Profile | RayTrace | Accumulator | Property
"""What is recorded."""

Discovery = Annotated[Storable | Skip, Field(discriminator="kind")]

DISCOVERIES: TypeAdapter[list[Discovery]] = TypeAdapter(list[Discovery])
"""Parser for the findings of a part."""


def record_failure(piece: Mapping[str, Any], reason: str) -> list[Discovery]:
    """Return the record of a part without a result."""
    document = dict(piece["unanswered"])
    name, value = ("evidence", [reason]) if document["kind"] == "accumulator" else ("reason", reason)
    return DISCOVERIES.validate_python([{**document, name: value}])


_LISTS: Mapping[type[Record], str] = {
    Breaking: "breakings",
    Worst: "worst",
    Profile: "profiles",
    RayTrace: "traces",
    Accumulator: "accumulators",
    Property: "properties",
    Skip: "skips",
}
"""Field of each kind of discovery."""


@dataclass
class Discoveries:
    """Breaking points, worst cases, profiles, accumulators and skipped laws, in the order they were found.

    The properties of a case, which every part repeats, appear once.
    """

    breakings: list[Breaking] = field(default_factory=list)
    worst: list[Worst] = field(default_factory=list)
    profiles: list[Profile] = field(default_factory=list)
    traces: list[RayTrace] = field(default_factory=list)
    accumulators: list[Accumulator] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    properties: list[Property] = field(default_factory=list)

    def add(self, discoveries: Iterable[Discovery]) -> list[Storable]:
        """Add discoveries by kind, and return the new ones."""
        storable: list[Storable] = []
        for discovery in discoveries:
            new = self._drop_coincidence(discovery) if isinstance(discovery, Breaking) else discovery
            if new in self.properties:
                continue
            getattr(self, _LISTS[type(new)]).append(new)
            if not isinstance(new, Skip):
                storable.append(new)
        return storable

    def __len__(self) -> int:
        kinds: Iterable[Sized] = (self.breakings, self.worst, self.profiles, self.accumulators, self.skips)
        return sum(map(len, kinds))

    def _drop_coincidence(self, breaking: Breaking) -> Breaking:
        """Drop a closed form that was recognized only in 16 bits, where coincidences are frequent."""
        wide = {"float64", "float32"}
        if breaking.form is None or breaking.declared or breaking.dtype in wide:
            return breaking
        key = (breaking.case, breaking.law, breaking.ray, breaking.form)
        candidates = (before for before in self.breakings if before.dtype in wide)
        if any((before.case, before.law, before.ray, before.form) == key for before in candidates):
            return breaking
        return breaking.model_copy(update={"form": None, "form_value": None, "agrees": None})

    def to_frame(self) -> "pd.DataFrame":
        """Return a frame with a row per breaking point."""
        require("report", "a frame")
        import pandas as pd

        rows = [breaking.model_dump(mode="json", exclude={"example"}) for breaking in self.breakings]
        return pd.DataFrame(rows)

    def __str__(self) -> str:
        """Return the outcome as one sentence."""
        return survey_line(self.breakings, self.worst)

    def _repr_html_(self) -> str:
        """Return the notebook output: the breaking points in words, and an interactive figure."""
        wrong = bool(select_undeclared(self.breakings, self.worst) or select_disagreeing(self.breakings))
        lines = [*property_sentences(self.properties), str(self)]
        if error := absence("report", "the drawing"):
            lines.append(str(error))
            return card(self._headline(), "".join(f"<p>{escape(line)}</p>" for line in lines), good=not wrong)
        html: str = logbook("notebook").survey_card(
            self._headline(), lines, self.traces, self.profiles, self.breakings, broken=wrong
        )
        return html

    def _headline(self) -> str:
        """Return a sentence about the first undeclared breaking point, preferably in float32, or that there is none."""
        points = [breaking for breaking in self.breakings if breaking.value is not None]
        points.sort(key=lambda breaking: (breaking.expected_break, breaking.dtype != "float32"))
        if not points:
            return f"No breaking point on the {len(self.breakings):,} rays that were searched."
        first = points[0]
        where = f"{first.case} breaks {first.law} from t = {first.value!r} in {first.dtype}, on {first.formula}"
        return f"{where}: {format_result(first)}."

    def plot(self) -> Any:
        """Return a plot of the error against the magnitude of the inputs; ``None`` if nothing was measured."""
        return logbook("notebook").error_drawing(self.profiles, self.breakings)
