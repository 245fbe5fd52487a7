"""The trainings of a target as work items of another process, which imports its cases."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from harness.bench import experiment
from harness.calling.discovery import is_shipped
from harness.calling.target import load
from harness.case import Case
from harness.data.dataset import Prepared, prepare
from harness.execution.plan import Document
from harness.record import ClassWeights, Confusion, Epoch, FitData, Image, LearnedParameter

Row = Epoch | LearnedParameter | FitData | ClassWeights | Confusion | Image
ROWS = (Epoch, LearnedParameter, FitData, ClassWeights, Confusion, Image)
"""The kinds of records of a training."""

TRAININGS = ("linear regression", "softmax regression", "overfitting")
LONGEST_S = 3600.0
"""Time limit of a training of all cases, in seconds."""


@dataclass(frozen=True)
class TrainingPlan:
    """The trainings of the cases of a target on the images of a folder."""

    target: str
    data: Path | None = None

    pays_from: ClassVar[int] = 1

    @property
    def is_foreign(self) -> bool:
        """Whether the code belongs to the user."""
        return not is_shipped(self.target)

    def longest_s(self, _call_s: float) -> float:
        """Return the maximum duration of a training."""
        return LONGEST_S

    def load(self) -> "Trainings":
        """Load the cases and the images.

        Raises
        ------
        UsageError
            If one of them cannot be loaded.
        """
        return Trainings(load(self.target), prepare(self.data))


class Trainings:
    """The trainings, in the process that imports the cases."""

    def __init__(self, cases: list[Case], data: Prepared) -> None:
        self._cases, self._data = cases, data

    def about(self) -> list[Document]:
        """Return a label for each training."""
        return [{"case": name} for name in TRAININGS]

    def do(self, index: int) -> Document:
        """Train all cases, and return the records."""
        cases, data = self._cases, self._data
        rows = (
            lambda: experiment.linear_regression(cases),
            lambda: experiment.softmax_regression(cases, data),
            lambda: experiment.overfitting(cases, data),
        )[index]()
        return {"rows": [[type(row).__name__, row.model_dump(mode="json")] for row in rows]}


def rows_of(document: Document) -> list[Row]:
    """Return the records in the reply of a training."""
    kinds = {kind.__name__: kind for kind in ROWS}
    return [kinds[name].model_validate(fields) for name, fields in document["rows"]]
