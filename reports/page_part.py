"""Parts of a page: figures, notes, findings, tallies, legends, text blocks and the index.

Every part has a ``kind``; the templates have one macro for each.
"""

import re
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from harness.wording.fix import find_line_kind

from .svg import unique_ids


class Part:
    """A part of a page."""

    kind: ClassVar[str]
    """The macro of the templates that shows it."""


@dataclass(frozen=True)
class Panel:
    """One set of axes, or a sentence if there is nothing to draw.

    Parameters
    ----------
    title
        Title of the panel, in plain text that the page escapes.
    svg
        The drawing; empty if ``note`` replaces it.
    note
        A sentence in place of a drawing.
    narrow
        The drawing for a narrow window.
    """

    title: str
    svg: str = ""
    note: str = ""
    narrow: str = ""

    @property
    def height(self) -> float:
        """Height of the drawing, in pixels; 0 without one."""
        match = re.search(r' height="([\d.]+)"', self.svg[: self.svg.find(">")])
        return float(match[1]) if match else 0.0

    def with_unique_ids(self, name: str) -> Self:
        """Return a panel whose drawings have identifiers that depend on a name."""
        return replace(self, svg=unique_ids(self.svg, name), narrow=unique_ids(self.narrow, name))


@dataclass(frozen=True)
class Figure(Part):
    """Panels with a title and a caption.

    Parameters
    ----------
    name
        Identifier within the page.
    title
        Title of the figure.
    panels
        Panels in reading order.
    caption
        The result of this run that the figure shows, in sentences.
    frames
        Names of the frames with its data, which the page links to.
    caveat
        Caveat of the data; see :func:`reports.source.caveat`.
    columns
        Panels in a row of a wide window.
    claim
        The result of this run as a title; empty if the title states the result.
    """

    kind = "figure"

    name: str
    title: str
    panels: tuple[Panel, ...]
    caption: str
    frames: tuple[str, ...]
    caveat: str = ""
    columns: int = 3
    claim: str = ""

    @property
    def visible_title(self) -> str:
        """The result as a title, or a title without a result."""
        return self.claim or self.title

    @property
    def heading(self) -> str:
        """The shown title with the caveat of its data."""
        return f"{self.visible_title} ({self.caveat})" if self.caveat else self.visible_title


@dataclass(frozen=True)
class Note(Part):
    """A paragraph; a folded one introduces folded blocks, and Markdown leaves it out with them."""

    kind = "note"

    text: str
    folded: bool = False


@dataclass(frozen=True)
class Equation(Part):
    """A formula: its text, its markup, and a sentence on it."""

    kind = "equation"

    text: str
    markup: str
    caption: str = ""


@dataclass(frozen=True)
class Findings(Part):
    """Sentences that need attention, each with the name of its block, if any; otherwise a single sentence."""

    kind = "findings"

    items: tuple[tuple[str, str], ...]
    otherwise: str


@dataclass(frozen=True)
class RunTally(Part):
    """Numbers with their nouns, and whether a number above zero makes the run fail."""

    kind = "tally"

    items: tuple[tuple[str, str, bool], ...]


@dataclass(frozen=True)
class Legend(Part):
    """Signs with their status and meaning, and an explanation of a cell."""

    kind = "legend"

    items: tuple[tuple[str, str, str], ...]
    reading: str


@dataclass(frozen=True)
class Block(Part):
    """Text in the layout of the terminal.

    Parameters
    ----------
    name
        Identifier within the page.
    heading
        Heading of the text.
    text
        Lines, shown unchanged.
    folded
        Whether the page folds the block away, and Markdown leaves it out.
    is_diff
        Whether the lines are a diff, which has colors.
    """

    kind = "block"

    name: str
    heading: str
    text: str
    folded: bool
    is_diff: bool = False

    @property
    def lines(self) -> list[tuple[str, str]]:
        """The kind of each line of a diff, and the line."""
        return [(find_line_kind(line), line) for line in self.text.splitlines()]


@dataclass(frozen=True)
class Cause:
    """A finding on the first layer.

    Parameters
    ----------
    case
        The case.
    title
        Kind of finding: defect, error.
    text
        One sentence.
    details
        Labels and texts: the example, the affected laws, the replay.
    target
        Name of the block with all details; empty for none.
    code
        The source line with carets under the cause; empty if it is not known.
    """

    case: str
    title: str
    text: str
    details: tuple[tuple[str, str], ...]
    target: str
    code: str = ""


@dataclass(frozen=True)
class Causes(Part):
    """Findings by cause, the worst first."""

    kind = "causes"

    items: tuple[Cause, ...]


@dataclass(frozen=True)
class Entry:
    """One sheet in the index.

    Parameters
    ----------
    target, title
        The sheet.
    text
        A few words on its content.
    shares
        Statuses with their share in percent; empty if the sheet has no laws.
    alarm
        Whether something on it makes the run fail.
    """

    target: str
    title: str
    text: str
    shares: tuple[tuple[str, float], ...] = ()
    alarm: bool = False


@dataclass(frozen=True)
class Index(Part):
    """The index of the sheets of a kind."""

    kind = "index"

    title: str
    entries: tuple[Entry, ...]

    @property
    def statuses(self) -> tuple[str, ...]:
        """The statuses whose shares are drawn."""
        return tuple(dict.fromkeys(status for entry in self.entries for status, _ in entry.shares))
