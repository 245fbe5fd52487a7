"""A section of the page: identifier, title, and parts such as tables and figures."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps

from .page_part import Part
from .reading import Reading


@dataclass(frozen=True)
class Section:
    """One section: identifier, title and parts."""

    name: str
    title: str
    parts: tuple[Part, ...]


SectionParts = Callable[[Reading], Iterator[Part]]
"""Yields the parts of a section for a run."""

SectionBuilder = Callable[[Reading], Section | None]
"""Builds a section; ``None`` of a run that has nothing for it."""


def section(title: str | Callable[[Reading], str]) -> Callable[[SectionParts], SectionBuilder]:
    """Declare a section by its title and the function that yields its parts, whose name becomes its name.

    A title may depend on the run, so that it states a result.
    """

    def declare(parts: SectionParts) -> SectionBuilder:
        @wraps(parts)
        def build(reading: Reading) -> Section | None:
            content = tuple(parts(reading))
            if not content:
                return None
            return Section(parts.__name__, title if isinstance(title, str) else title(reading), content)

        return build

    return declare
