"""Properties: consistent behavior of a platform or an implementation that may be intended.

A property is found before any law is judged, or when a law meets a refusal. It changes the expectations of the laws,
and can be declared. A declared property is not reported.
"""

from typing import Literal

from harness.record.schema import Record

COMPUTES_IN, RETURNS, SUBNORMALS, REPEATABLE, REFUSES, CONVENTION, OPERATION = (
    "computes_in",
    "returns",
    "subnormals",
    "repeatable",
    "refuses",
    "convention",
    "operation",
)
"""Names of the properties; the value of a convention has the syntax of ``--declare``.

``operation`` describes the operation itself, so an implementation cannot declare it.
"""


class Property(Record):
    """One property of a case, in one dtype."""

    kind: Literal["property"] = "property"
    case: str
    name: str
    """``computes_in``, ``returns``, ``subnormals``, ``repeatable``, ``refuses``, ``convention`` or ``operation``."""
    dtype: str
    """Dtype of the inputs; empty where it is the same in all."""
    device: str = "cpu"
    value: str
    """What it is: ``float32``, ``flushed``, ``no``, ``nan``, or ``factor=0.5 reduction=none``."""
    sentence: str
    """Sentence for the reader, with placeholders ``{case}`` and ``{dtypes}`` because dtypes share a sentence."""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """The key of the property within a run."""
        return (self.case, self.name, self.dtype, self.device)

    def fails(self, *, strict: bool) -> bool:
        """Whether the property makes a run fail; a declared one is not recorded."""
        return strict and self.name != OPERATION
