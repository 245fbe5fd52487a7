"""A figure of the report: panels that stand side by side or below each other, and a caption computed from the run."""

import re
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Panel:
    """One set of axes, or a sentence where there is nothing to draw.

    Parameters
    ----------
    title
        What the panel shows; plain text, escaped by the page.
    svg
        The drawing; empty where ``note`` says why there is none.
    note
        A sentence in place of a drawing.
    narrow
        The drawing for a narrow window, where a wide one is not read.
    """

    title: str
    svg: str = ""
    note: str = ""
    narrow: str = ""

    @property
    def height(self) -> float:
        """How high the drawing is, in pixels; 0 without one."""
        said = re.search(r' height="([\d.]+)"', self.svg[: self.svg.find(">")])
        return float(said[1]) if said else 0.0


@dataclass(frozen=True)
class Figure:
    """Panels with a title and a caption.

    Parameters
    ----------
    name
        Identifier within the page.
    title
        What is shown.
    panels
        In reading order.
    caption
        What the figure shows in this run, in sentences.
    frames
        Names of the frames it is drawn from: the page links to them.
    caveat
        What must be said about the data; see :func:`reports.source.caveat`.
    columns
        Panels in a row of a wide window.
    claim
        What the figure shows in this run, as a title; empty if the title says it.
    """

    kind: ClassVar[str] = "figure"

    name: str
    title: str
    panels: tuple[Panel, ...]
    caption: str
    frames: tuple[str, ...]
    caveat: str = ""
    columns: int = 3
    claim: str = ""

    @property
    def heading(self) -> str:
        """The title with the caveat of its data."""
        return f"{self.title} ({self.caveat})" if self.caveat else self.title
