"""The small parts of a page beside tables and figures: notes, findings, tallies, legends and violation blocks.

Every part has a ``kind``; the templates hold one macro for each.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Note:
    """A paragraph; a folded one introduces folded blocks, and Markdown leaves it out with them."""

    kind: ClassVar[str] = "note"

    text: str
    folded: bool = False


@dataclass(frozen=True)
class Findings:
    """Sentences that need attention, each with the name of the block that shows it or nothing; else one sentence."""

    kind: ClassVar[str] = "findings"

    items: tuple[tuple[str, str], ...]
    otherwise: str


@dataclass(frozen=True)
class RunTally:
    """Numbers with the word for what they count, and whether one above zero makes the run fail."""

    kind: ClassVar[str] = "tally"

    items: tuple[tuple[str, str, bool], ...]


@dataclass(frozen=True)
class Legend:
    """Signs with their status and meaning, and how a cell is read."""

    kind: ClassVar[str] = "legend"

    items: tuple[tuple[str, str, str], ...]
    reading: str


@dataclass(frozen=True)
class Block:
    """Text set as the terminal prints it.

    Parameters
    ----------
    name
        Identifier within the page.
    heading
        What the text shows.
    text
        Lines, shown as they are.
    folded
        Whether the page folds the block away, and Markdown leaves it out.
    """

    kind: ClassVar[str] = "block"

    name: str
    heading: str
    text: str
    folded: bool
