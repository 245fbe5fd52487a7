"""A section of the page: identifier, title, and the parts that a run gives it, tables and figures among them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps

from reports.figure import Figure
from reports.figures.image import Grid
from reports.part import Block, Findings, Legend, Note, RunTally
from reports.reading import Reading
from reports.table import Table
from reports.tables.matrix import Matrix

PagePart = Note | Findings | RunTally | Legend | Block | Table | Figure | Matrix | Grid


@dataclass(frozen=True)
class Section:
    """One section: identifier, title and parts; a run without such records has one sentence in their place."""

    name: str
    title: str
    parts: tuple[PagePart, ...]


SectionParts = Callable[[Reading], Iterator[PagePart]]
"""What yields the parts that a run gives a section."""

SectionBuilder = Callable[[Reading], Section]


def section(title: str, *, absence: str = "") -> Callable[[SectionParts], SectionBuilder]:
    """Declare a section by what yields its parts: a function that is named like the section.

    Parameters
    ----------
    title
        What heads it.
    absence
        The sentence of a run that gives it no part.
    """

    def declare(parts: SectionParts) -> SectionBuilder:
        @wraps(parts)
        def build(reading: Reading) -> Section:
            return Section(parts.__name__, title, tuple(parts(reading)) or (Note(absence),))

        return build

    return declare
