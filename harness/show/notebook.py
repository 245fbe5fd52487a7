"""The verdicts on one implementation, as a person looks at them: text, a frame, a table in a notebook."""

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from harness.record import (
    Finding,
    Property,
    Status,
    Verdict,
    finding_block,
    finding_in_short,
    findings,
    property_sentences,
    verdict_line,
    violation_block,
)

if TYPE_CHECKING:
    import pandas as pd


class Verdicts(list[Verdict]):
    """The verdicts on one implementation.

    Parameters
    ----------
    verdicts
        In their order.
    properties
        What was found of it before it was judged.
    """

    def __init__(self, verdicts: Iterable[Verdict] = (), properties: Iterable[Property] = ()) -> None:
        super().__init__(verdicts)
        self.properties = list(properties)

    @property
    def failing(self) -> list[Verdict]:
        """Those that make a run fail."""
        return [verdict for verdict in self if verdict.status.fails]

    @property
    def findings(self) -> list[Finding]:
        """What was found: verdicts grouped by what makes them, the worst first."""
        return findings(self)

    def to_frame(self) -> "pd.DataFrame":
        """One row a verdict."""
        import pandas as pd

        return pd.DataFrame([verdict.model_dump(mode="json", exclude={"violation"}) for verdict in self])

    def __str__(self) -> str:
        """Return what kind of thing it is, what was found, the first finding in full, and the verdict line."""
        shown = [finding_block(finding, self, width=_WIDTH) for finding in self.findings[:1]]
        shown += [finding_in_short(finding, self, width=_WIDTH) for finding in self.findings[1:]]
        return "\n".join([*property_sentences(self.properties), *shown, verdict_line(self)])

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the verdict line, what was found, and a table of laws and dtypes."""
        dtypes = list(dict.fromkeys(verdict.dtype for verdict in self))
        marks = {(verdict.law, verdict.dtype): _mark(verdict) for verdict in self}
        rows = [
            f"<tr><th style='text-align:left'>{escape(law)}</th>"
            + "".join(marks.get((law, dtype), "<td>–</td>") for dtype in dtypes)
            for law in dict.fromkeys(verdict.law for verdict in self)
        ]
        said = "".join(f"<p>{escape(sentence)}</p>" for sentence in property_sentences(self.properties))
        head = "".join(f"<th>{escape(dtype)}</th>" for dtype in dtypes)
        found = [escape(finding_block(finding, self, width=_WIDTH)) for finding in self.findings]
        table = f"<table><tr><th>law</th>{head}</tr>{''.join(rows)}</table>"
        return (
            f"<p><b>{escape(verdict_line(self))}</b></p>{said}{''.join(f'<pre>{text}</pre>' for text in found)}"
            f"<details><summary>{len(rows)} laws</summary>{table}</details>"
        )


_WIDTH = 100
"""Columns within which findings are set."""


def block(verdict: Verdict) -> str:
    """Return the violation of a verdict, or one line where it carries none."""
    if verdict.violation is not None:
        return violation_block(verdict)
    declared = "declared to fail but it holds: " if verdict.status is Status.UNEXPECTED else ""
    return f"{verdict.case} {verdict.law} [{verdict.where}]: {declared}{verdict.reason}"


def _mark(verdict: Verdict) -> str:
    weight = "bold" if verdict.status.fails else "normal"
    title = escape(verdict.reason or verdict.statement, quote=True)
    return f"<td title='{title}' style='font-weight:{weight}'>{verdict.status}</td>"
