"""Tables of colors: an overview of the contracts, and the confusion matrix of a model."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.dtype import short_name
from harness.findings.merging import group_by
from harness.record import Confusion, DataSource, Status, Verdict
from harness.wording.table import Header, render_markdown_table
from harness.wording.table.verdict import sort_dtypes

from ..number import percent
from ..page_part import Part
from ..source import caveats
from ..text import count
from .matrix import SYMBOLS

WORST = (Status.ERROR, Status.BROKEN, Status.UNEXPECTED, Status.EXPECTED, Status.LOST, Status.UNCLAIMED, Status.HOLDS)
"""Order of statuses; a cell shows the first one that occurs in it."""


@dataclass(frozen=True)
class Shade:
    """A cell: its text, the status for its color or its darkness from 0 to 1, and its tooltip."""

    text: str
    status: str = ""
    share: float = 0.0
    title: str = ""


@dataclass(frozen=True)
class Heat(Part):
    """A table of colors.

    Parameters
    ----------
    name
        Identifier within the page.
    heading
        Heading of the table.
    corner
        Heading of the row names.
    groups
        Headings over neighboring columns with their number; empty for one group.
    columns
        Headings.
    rows
        Names and cells of the rows.
    caption
        How to read it.
    """

    kind = "heat"

    name: str
    heading: str
    corner: str
    groups: tuple[tuple[str, int], ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Shade, ...]], ...]
    caption: str

    def markdown(self) -> str:
        """Return it as GitHub-flavored Markdown."""
        over = [f"{group} " for group, number in self.groups for _ in range(number)] or [""] * len(self.columns)
        heads = [self.corner, *(f"{group}{column}" for group, column in zip(over, self.columns, strict=True))]
        rows = [(name, *(cell.text for cell in cells)) for name, cells in self.rows]
        return render_markdown_table([*map(Header, heads)], rows)


def glance(verdicts: Sequence[Verdict]) -> Heat | None:
    """Return the worst status per contract, style and dtype; ``None`` if nothing ran."""
    ran = [verdict for verdict in verdicts if verdict.status is not Status.SKIPPED]
    if not ran:
        return None
    by_style = group_by(ran, lambda verdict: verdict.style)
    groups = {style: sort_dtypes(dict.fromkeys(law.dtype for law in group)) for style, group in by_style.items()}
    cells = group_by(ran, lambda verdict: (verdict.contract, verdict.style, verdict.dtype))
    columns = [(style, dtype) for style, dtypes in groups.items() for dtype in dtypes]
    contracts = dict.fromkeys(verdict.contract for verdict in ran)
    rows = [(name, tuple(_build_cell(cells.get((name, *column), [])) for column in columns)) for name in contracts]
    return Heat(
        name="glance",
        heading="All contracts at a glance",
        corner="contract",
        groups=tuple((style, len(dtypes)) for style, dtypes in groups.items()),
        columns=tuple(short_name(dtype) for _, dtype in columns),
        rows=tuple(rows),
        caption=f"Each cell shows the worst status of a style in a dtype: {', '.join(_list_signs(ran))}. The number "
        "counts the laws with that status; an empty cell was not claimed.",
    )


def _list_signs(verdicts: Sequence[Verdict]) -> Iterator[str]:
    words = {Status.HOLDS: "all laws hold", Status.LOST: "digits are lost", Status.EXPECTED: "fails as declared"}
    seen = {verdict.status for verdict in verdicts}
    yield from (f"{SYMBOLS[status]} {words.get(status, status.value)}" for status in reversed(WORST) if status in seen)


def _build_cell(verdicts: Sequence[Verdict]) -> Shade:
    if not verdicts:
        return Shade("")
    counts = Counter(verdict.status for verdict in verdicts)
    worst = next(status for status in WORST if counts[status])
    number = "" if worst is Status.HOLDS else f"{counts[worst]}"
    title = ", ".join(f"{counts[status]} {status.value}" for status in Status if counts[status])
    return Shade(f"{SYMBOLS[worst]}{number}", worst.value, title=title if number else "")


def confusion(confusions: Sequence[Confusion], source: DataSource | None) -> Heat:
    """Return the confusion matrix of the first trained model, and the accuracy of the others.

    ``confusions`` has one matrix for each model, and at least one.
    """
    first = confusions[0]
    wrong = [
        (number, true, predicted)
        for true, row in zip(first.labels, first.counts, strict=True)
        for predicted, number in zip(first.labels, row, strict=True)
        if predicted != true
    ]
    number, true, predicted = max(wrong, default=(0, "", ""))
    rights = "; ".join(f"{matrix.case}: {percent(matrix.right / (matrix.total or 1))} correct" for matrix in confusions)
    mistake = f" The most frequent mistake: {true} predicted as {predicted}, {count(number, 'time')}."
    caveat = caveats([first.data], source)
    return Heat(
        name="confusion",
        heading=f"Confusion matrix of {first.case}" + (f" ({caveat})" if caveat else ""),
        corner="true class",
        groups=(("predicted class", len(first.labels)),),
        columns=first.labels,
        rows=tuple(
            (true, tuple(Shade(f"{number:,}" if number else "", share=number / (sum(row) or 1)) for number in row))
            for true, row in zip(first.labels, first.counts, strict=True)
        ),
        caption=f"{count(first.total, 'held-out sample')} of {first.data}; darker cells hold a larger share of the "
        f"class. {rights}.{mistake if number else ''}",
    )
