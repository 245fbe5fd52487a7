"""The picture of the architecture page: the layers that ``pyproject.toml`` declares and import-linter checks.

After a change of the layers, draw it with ``python -m samples.architecture_picture`` in the folder ``tests``.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "architecture.svg"
WIDTH, MARGIN, TITLE, BOX, GAP, CHARACTER = 760, 16, 18, 28, 8, 7.4
"""Sizes in pixels; ``CHARACTER`` is the width of one in a box."""

STYLE = """
  text { font: 13px ui-sans-serif, system-ui, sans-serif; fill: #1f2328; }
  .title { fill: #59636e; font-size: 12px; }
  .panel { fill: #f6f8fa; stroke: #d1d9e0; }
  .box { fill: #ffffff; stroke: #8c959f; }
  .arrow { stroke: #59636e; fill: none; }
"""


class Group(NamedTuple):
    """Layers with a common title, the highest first."""

    title: str
    packages: tuple[str, ...]


def groups() -> list[Group]:
    """Return the groups of layers; their titles are the comments between them."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.search(r'type = "layers"\nlayers = \[\n(.*?)\n\]', text, re.S)
    assert listed is not None
    found: list[tuple[str, list[str]]] = []
    for line in listed[1].splitlines():
        if line.strip().startswith("#"):
            title = line.strip(" #")
            found.append((title[:1].upper() + title[1:], []))
        else:
            found[-1][1].extend(name.strip().removeprefix("harness.") for name in line.strip(' ",').split("|"))
    return [Group(title, tuple(names)) for title, names in found]


def rows_of(packages: Sequence[str]) -> list[list[tuple[str, float, float]]]:
    """Return lines of boxes: the name, the left edge and the width of each."""
    rows: list[list[tuple[str, float, float]]] = [[]]
    left = 2.0 * MARGIN
    for name in packages:
        width = 20 + CHARACTER * len(name)
        if left + width > WIDTH - 2 * MARGIN:
            rows.append([])
            left = 2.0 * MARGIN
        rows[-1].append((name, left, width))
        left += width + GAP
    return rows


def drawn() -> str:
    """Return the picture as SVG: a panel for each group, and an arrow from each panel to the next."""
    top = float(MARGIN)
    parts: list[str] = []
    for number, group in enumerate(groups()):
        if number:
            parts.append(f'<path class="arrow" d="M{WIDTH / 2:g} {top - 16:g}v12m-4 -5l4 5l4 -5"/>')
        rows = rows_of(group.packages)
        height = TITLE + 10 + len(rows) * (BOX + GAP) + 2
        parts += _panel(group, rows, top, height)
        top += height + 20
    size = f'width="{WIDTH}" height="{top - 4:g}" viewBox="0 0 {WIDTH} {top - 4:g}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">\n<title>Layers of the packages</title>'
    paper = '<rect width="100%" height="100%" fill="#ffffff"/>'
    return "\n".join([head, f"<style>{STYLE}</style>", paper, *parts, "</svg>"]) + "\n"


def _panel(group: Group, rows: list[list[tuple[str, float, float]]], top: float, height: float) -> Iterator[str]:
    yield f'<rect class="panel" x="{MARGIN}" y="{top:g}" width="{WIDTH - 2 * MARGIN}" height="{height:g}" rx="6"/>'
    yield f'<text class="title" x="{2 * MARGIN}" y="{top + TITLE:g}">{escape(group.title)}</text>'
    for at, row in enumerate(rows):
        y = top + TITLE + 10 + at * (BOX + GAP)
        for name, left, width in row:
            yield f'<rect class="box" x="{left:g}" y="{y:g}" width="{width:g}" height="{BOX}" rx="4"/>'
            yield f'<text x="{left + width / 2:g}" y="{y + 18:g}" text-anchor="middle">{escape(name)}</text>'


if __name__ == "__main__":
    PICTURE.write_text(drawn(), encoding="utf-8")
