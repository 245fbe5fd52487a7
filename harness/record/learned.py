"""Records of learning: the data of a fitted line, weights as images, and confusion matrices."""

import base64
import binascii
from typing import Literal, Self

from pydantic import model_validator

from harness.record.schema import Count, Record, Size

LEVELS = 127
"""The largest level of a weight."""


class FitData(Record):
    """Samples of a fitted line, for a picture of the fit with the learned parameters."""

    kind: Literal["fit"] = "fit"
    family: str
    data: str
    inputs: tuple[tuple[float, ...], ...]
    """A row for each sample."""
    targets: tuple[float, ...]

    @model_validator(mode="after")
    def _is_rectangular(self) -> Self:
        """Refuse samples without a target, and rows of different lengths."""
        if len(self.inputs) != len(self.targets) or len({len(row) for row in self.inputs}) > 1:
            raise ValueError("every sample needs the same number of inputs and one target")
        return self


class ClassWeights(Record):
    """The learned weights of one class, as an image of the inputs."""

    kind: Literal["weights"] = "weights"
    case: str
    family: str
    style: str
    data: str
    label: str
    height: Count
    width: Count
    largest: Size
    """Largest absolute weight over all classes."""
    levels: str
    """Base64 of ``height * width`` signed bytes, row-major: 127 is ``largest``, -127 its negative."""

    @property
    def weights(self) -> tuple[float, ...]:
        """The weights, to half a level."""
        return tuple(level * self.largest / LEVELS for level in self.integer_levels)

    @property
    def integer_levels(self) -> tuple[int, ...]:
        """The levels as integers with a sign."""
        return tuple(memoryview(base64.b64decode(self.levels)).cast("b"))

    @model_validator(mode="after")
    def _check_count(self) -> Self:
        """Refuse levels that are not as many as the image says."""
        try:
            levels = base64.b64decode(self.levels, validate=True)
        except (binascii.Error, ValueError):
            levels = b""
        if not levels or len(levels) != self.height * self.width:
            raise ValueError("weights must be `height * width` levels in base64")
        return self


class Confusion(Record):
    """The confusion matrix of a trained model on held-out data."""

    kind: Literal["confusion"] = "confusion"
    case: str
    family: str
    style: str
    data: str
    labels: tuple[str, ...]
    counts: tuple[tuple[Count, ...], ...]
    """A row for each true class, in it a number for each predicted one."""

    @model_validator(mode="after")
    def _is_square(self) -> Self:
        """Refuse counts that are not one for each pair of classes."""
        size = len(self.labels)
        if size == 0 or len(self.counts) != size or any(len(row) != size for row in self.counts):
            raise ValueError("a confusion matrix needs a count for each pair of classes")
        return self

    @property
    def right(self) -> int:
        """Number of correctly classified samples."""
        return sum(row[index] for index, row in enumerate(self.counts))

    @property
    def total(self) -> int:
        """Number of samples."""
        return sum(map(sum, self.counts))
