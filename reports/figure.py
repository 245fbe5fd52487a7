"""A figure of the report: panels that stand side by side or below each other, and a caption computed from the run."""

import re
from dataclasses import dataclass, replace
from typing import Self

from .page_part import Part
from .svg import unique_ids


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
