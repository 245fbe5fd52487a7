"""The small parts of a page beside tables and figures: notes, findings, tallies, legends, blocks of text, the index.

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


@dataclass(frozen=True)
class Cause:
    """A finding as the first layer shows it.

    Parameters
    ----------
    case
        What it is about.
    title
        What kind of finding it is: defect, error.
    text
        One sentence.
    facts
        Labels and texts: the smallest example, what follows, how it is seen again.
    target
        Name of the block that shows it in full; empty where there is none.
    """

    case: str
    title: str
    text: str
    facts: tuple[tuple[str, str], ...]
    target: str


@dataclass(frozen=True)
class Causes:
    """Findings by cause, the worst first."""

    kind: ClassVar[str] = "causes"

    items: tuple[Cause, ...]


@dataclass(frozen=True)
class Entry:
    """One sheet in the index.

    Parameters
    ----------
    target, title
        The sheet.
    text
        What there is of it, in a few words.
    shares
        Statuses with their share in percent; none where no law is counted.
    alarm
        Whether something on it makes the run fail.
    """

    target: str
    title: str
    text: str
    shares: tuple[tuple[str, float], ...] = ()
    alarm: bool = False


@dataclass(frozen=True)
class Index:
    """The sheets of one kind, at a glance."""

    kind: ClassVar[str] = "index"

    title: str
    entries: tuple[Entry, ...]

    @property
    def statuses(self) -> tuple[str, ...]:
        """The statuses whose shares are drawn."""
        return tuple(dict.fromkeys(status for entry in self.entries for status, _ in entry.shares))
