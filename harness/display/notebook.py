"""The verdicts on an implementation as text, as a pandas frame and as a notebook table."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from harness.error import require
from harness.execution.logbook import logbook
from harness.findings import Finding, findings
from harness.record import Fix, Property, Status, Verdict
from harness.wording.card import BAD, GOOD, PRE, card
from harness.wording.finding import finding_block, finding_in_short
from harness.wording.fix import fix_html, fix_lines
from harness.wording.table.verdict import law_table
from harness.wording.verdict import property_sentences, verdict_line, violation_block

if TYPE_CHECKING:
    import pandas as pd


class Verdicts(list[Verdict]):
    """The verdicts on an implementation.

    Parameters
    ----------
    verdicts
        The verdicts, in order.
    properties
        The properties of the implementation.
    fixer
        Function that looks for a fix; its keyword ``unsafe`` says whether the fix may change ordinary results.
    """

    def __init__(
        self,
        verdicts: Iterable[Verdict] = (),
        properties: Iterable[Property] = (),
        fixer: "Callable[..., Fix | None] | None" = None,
    ) -> None:
        super().__init__(verdicts)
        self.properties = list(properties)
        self._fixer = fixer

    def fix(self, *, unsafe: bool = False) -> "Proposed":
        """Look for a rewrite of the function that repairs the first finding and breaks no law.

        Parameters
        ----------
        unsafe
            Whether the rewrite may change the results on ordinary inputs, such as n - 1 to n.

        Returns
        -------
        Proposed
            The diff with the result of its verification. A function without source has none.
        """
        return Proposed(None if self._fixer is None or not self.failing else self._fixer(unsafe=unsafe))

    @property
    def failing(self) -> list[Verdict]:
        """The verdicts that make a run fail."""
        return [verdict for verdict in self if verdict.status.fails]

    @property
    def findings(self) -> list[Finding]:
        """The verdicts grouped by cause, the worst first."""
        return findings(self)

    @property
    def _visible(self) -> list[Finding]:
        return [finding for finding in self.findings if not finding.is_of_rare_numbers]

    def to_frame(self) -> "pd.DataFrame":
        """Return a frame with a row per verdict."""
        require("report", "a frame")
        import pandas as pd

        return pd.DataFrame([verdict.model_dump(mode="json", exclude={"violation"}) for verdict in self])

    def __str__(self) -> str:
        """Return the properties, the findings (the first in full), and the verdict line."""
        visible = self._visible
        blocks = [finding_block(finding, self, width=_WIDTH) for finding in visible[:1]]
        blocks += [finding_in_short(finding, self, width=_WIDTH) for finding in visible[1:]]
        return "\n".join([*property_sentences(self.properties), *blocks, verdict_line(self)])

    def _repr_html_(self) -> str:
        """Return the notebook output: the verdict line, the findings, and a table of laws and dtypes."""
        laws = law_table(self)
        sentences = "".join(f"<p>{escape(sentence)}</p>" for sentence in property_sentences(self.properties))
        blocks = [escape(finding_block(finding, self, width=_WIDTH)) for finding in self._visible]
        body = (
            f"{_render_bars(self)}{sentences}{''.join(f'{PRE}{text}</pre>' for text in blocks)}"
            f"<details><summary>{len(laws.rows)} laws</summary>{laws.html()}</details>"
        )
        return card(verdict_line(self), body, good=not self.failing)

    def plot(self) -> Any:
        """Return a plot of the share of its bound that each law uses; ``None`` if nothing was measured."""
        return logbook("notebook").headroom_drawing(self)


class Proposed:
    """A verified fix, shown as a diff.

    Parameters
    ----------
    fix
        The record of the fix; ``None`` if there is none.
    """

    def __init__(self, fix: Fix | None) -> None:
        self.fix = fix

    def __bool__(self) -> bool:
        """Whether there is a fix."""
        return self.fix is not None

    def __str__(self) -> str:
        """Return the rewrites, the diff and the result of the verification."""
        return NO_FIX if self.fix is None else "\n".join(fix_lines(self.fix))

    def __repr__(self) -> str:
        """Return the same text, for an interpreter."""
        return str(self)

    def _repr_html_(self) -> str:
        return f"<p>{NO_FIX}</p>" if self.fix is None else fix_html(self.fix)


NO_FIX = "fix: none found that repairs the first finding and breaks no law"

_COLORS = {
    Status.HOLDS: GOOD,
    Status.LOST: "#0b5cad",
    Status.EXPECTED: "#c99a2e",
    Status.BROKEN: BAD,
    Status.UNEXPECTED: BAD,
    Status.ERROR: BAD,
    Status.UNCLAIMED: "#8c959f",
    Status.SKIPPED: "#8c959f",
}


def _render_bars(verdicts: Sequence[Verdict]) -> str:
    """Return a bar for each dtype with the numbers of laws that hold, lose digits, and are broken."""
    return "".join(
        _render_bar(dtype, Counter(verdict.status for verdict in verdicts if verdict.dtype == dtype))
        for dtype in dict.fromkeys(verdict.dtype for verdict in verdicts)
    )


def _render_bar(dtype: str, counts: Counter[Status]) -> str:
    number = sum(counts.values())
    pieces = "".join(
        f'<i style="display:block;height:100%;width:{100 * counts[status] / number:.1f}%;background:{color}"></i>'
        for status, color in _COLORS.items()
        if counts[status]
    )
    text = ", ".join(f"{counts[status]} {status.value}" for status in _COLORS if counts[status])
    bar = f'<span style="display:flex;width:16rem;height:0.7rem;background:#e3e7eb">{pieces}</span>'
    row = "display:grid;grid-template-columns:6rem 16rem 1fr;gap:0.7rem;align-items:center"
    return f'<div style="{row}"><code>{escape(dtype)}</code>{bar}<span>{text}</span></div>'


_WIDTH = 100
"""Maximum width of findings, in columns."""


def block(verdict: Verdict) -> str:
    """Return the violation of a verdict, or a line with its reason if it has none."""
    if verdict.violation is not None:
        return violation_block(verdict)
    declared = "declared as a failure, but it holds: " if verdict.status is Status.UNEXPECTED else ""
    return f"{verdict.case} {verdict.law} [{verdict.where}]: {declared}{verdict.reason}"
