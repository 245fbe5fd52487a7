"""Properties: what a platform or an implementation does everywhere and may mean to, apart from the laws it keeps.

Each is found before any law is judged, or what is refused where a law meets it, sets what the laws expect, and can be
declared; then it is silent.
"""

from collections.abc import Iterable
from typing import Literal

from harness.record.schema import Record, Verdict

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
        """What identifies it within a run."""
        return (self.case, self.name, self.dtype, self.device)

    def fails(self, *, strict: bool) -> bool:
        """Whether it makes a run fail: none does that was declared, and so is not found."""
        return strict and self.name != OPERATION


def property_sentences(properties: Iterable[Property]) -> list[str]:
    """Return a sentence for each property, with the dtypes it was found in.

    Parameters
    ----------
    properties
        Of any number of cases, in the order in which they are said.
    """
    dtypes: dict[tuple[str, str], dict[str, None]] = {}
    for one in properties:
        dtypes.setdefault((one.case, one.sentence), {})[one.dtype] = None
    return [
        sentence.replace("{case}", case).replace("{dtypes}", " and ".join(filter(None, names)))
        for (case, sentence), names in dtypes.items()
    ]


def unjudged(verdicts: Iterable[Verdict]) -> list[str]:
    """Return the dtypes in which no law was judged, each named once, in order."""
    ran: dict[str, bool] = {}
    for verdict in verdicts:
        ran[verdict.dtype] = ran.get(verdict.dtype, False) or verdict.rows > 0
    return [dtype for dtype, judged in ran.items() if not judged]
