"""The first layer of a report: the answer, and an index of the details.

The large figures are the first four of :data:`PICTURES` for which the run has data. A new picture is a new function in
that list.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from harness.record import Status
from harness.wording import laws_in

from .figure import Figure
from .figures import front as figures
from .figures.audit import errors, headroom
from .figures.trace import Watch, watch
from .headline import headline, origin
from .part import Entry, Index
from .reading import Reading
from .section import Section
from .sections import attention, fix
from .sheet import Sheet, of_contract
from .text import count

MAX_PICTURES = 4


@dataclass(frozen=True)
class Picture:
    """A large figure with a sentence, and the sheet with more details.

    Parameters
    ----------
    title
        Title of the figure.
    sentence
        Description of the figure.
    part
        The figure.
    target
        The sheet; empty for none.
    alone
        Whether it fills a row, with its words at the side.
    """

    title: str
    sentence: str
    part: Figure | Watch
    target: str = ""
    alone: bool = False

    @property
    def height(self) -> float:
        """Height of its drawing, in pixels."""
        return 0.0 if isinstance(self.part, Watch) else max(panel.height for panel in self.part.panels)

    @property
    def is_wide(self) -> bool:
        """Whether it has several panels, which fill a row."""
        return isinstance(self.part, Figure) and len(self.part.panels) > 1

    @property
    def caveat(self) -> str:
        """Caveat of its data."""
        return self.part.caveat if isinstance(self.part, Figure) else ""


PictureBuilder = Callable[[Reading, Sequence[Sheet]], Picture | None]
"""Draws a picture; ``None`` of a run that has nothing for it."""


PURPOSE = (
    "This report compares numerical PyTorch code with exact arithmetic. It shows which mathematical laws the code "
    "satisfies, where it breaks, and how fast it runs."
)
"""Purpose of the program, for new readers."""


@dataclass(frozen=True)
class Front:
    """The first layer.

    Parameters
    ----------
    headline
        The verdict in words.
    origin
        Labels, texts and sheets on the subject and the environment of the run.
    pictures
        At most four.
    sections
        Findings by cause, and the index of the sheets.
    purpose
        Purpose of the program, in one sentence.
    """

    headline: str
    origin: tuple[tuple[str, str, str], ...]
    pictures: tuple[Picture, ...]
    sections: tuple[Section, ...]
    purpose: str = PURPOSE


def front(reading: Reading, sheets: Sequence[Sheet]) -> Front:
    """Return the first layer of a report, with links to the sheets of the second layer."""
    drawn = [picture for draw in PICTURES if (picture := draw(reading, sheets)) is not None]
    found = (attention.attention(reading), fix.fixes(reading), attention.declared(reading), _index(reading, sheets))
    sections = tuple(section for section in found if section is not None)
    return Front(headline(reading), tuple(origin(reading)), tuple(_placed(drawn[:MAX_PICTURES])), sections)


def _placed(pictures: Sequence[Picture]) -> list[Picture]:
    """Order pictures for rows of two without gaps; if their number is odd, the lowest picture has a separate row.

    The interactive figure comes first and small multiples last, because they fill a row.
    """
    whole = [picture for picture in pictures if isinstance(picture.part, Watch)]
    wide = [picture for picture in pictures if picture.is_wide]
    halves = [picture for picture in pictures if picture not in whole and not picture.is_wide]
    if len(halves) % 2:
        at = min(range(len(halves)), key=lambda position: (halves[position].height, -position))
        lowest = replace(halves.pop(at), alone=True)
        halves.insert(at if at % 2 == 0 else len(halves), lowest)
    return [*whole, *halves, *wide]


def _watch(reading: Reading, sheets: Sequence[Sheet]) -> Picture | None:
    """Return the interactive figure of a breaking point."""
    part = watch(reading.traces)
    if part is None:
        return None
    return Picture(part.first.claim, "", part, of_contract(sheets, part.first.trace.contract))


def _magnitude(reading: Reading, sheets: Sequence[Sheet]) -> Picture | None:
    """Return the error against the magnitude of the inputs, if possible for the contract of the first picture."""
    frames = reading.frames
    part = watch(reading.traces)
    contract = figures.contract_of_picture(frames.profiles, "" if part is None else part.first.trace.contract)
    if not contract:
        return None
    figure = figures.magnitude(frames.profiles, frames.breakings, contract)
    return Picture(figure.visible_title, figure.caption, figure, of_contract(sheets, contract))


def _headroom(reading: Reading, sheets: Sequence[Sheet]) -> Picture | None:
    """Return the headroom of the lines of a training step, or else the growth of its error."""
    ordinary = [audit for audit in reading.audits if not audit.expected and audit.what_if is None]
    figures_ = (figure for draw in (headroom, errors) for audit in ordinary if (figure := draw(audit)) is not None)
    figure = next(figures_, None)
    if figure is None:
        return None
    figure = figures.large("front-headroom", figure)
    target = next((sheet.name for sheet in sheets if sheet.name == "audit"), "")
    return Picture(figure.visible_title, figure.caption, figure, target)


def _time(reading: Reading, sheets: Sequence[Sheet]) -> Picture | None:
    """Return the time of a training step."""
    frame = figures.visible_steps(reading.frames.steps)
    if frame.empty:
        return None
    figure = figures.step_time(frame)
    family = str(frame["family"].iloc[0])
    target = next((sheet.name for sheet in sheets if (sheet.kind, sheet.title) == ("model", family)), "")
    return Picture(figure.visible_title, figure.caption, figure, target)


def _loading(reading: Reading, sheets: Sequence[Sheet]) -> Picture | None:
    """Return the rates of the loaders."""
    if reading.frames.loaders.empty:
        return None
    figure = figures.loading(reading.frames.loaders, reading.head.data)
    target = next((sheet.name for sheet in sheets if sheet.name == "loading"), "")
    return Picture(figure.visible_title, figure.caption, figure, target)


def _overfitting(reading: Reading, sheets: Sequence[Sheet]) -> Picture | None:
    """Return the effect of too many epochs."""
    figure = figures.overfits(reading.frames.epochs, reading.head.data)
    if figure is None:
        return None
    target = next((sheet.name for sheet in sheets if (sheet.kind, sheet.title) == ("model", "overfitting")), "")
    return Picture("Too many epochs raise the held-out loss", figure.caption, figure, target)


def _spent(reading: Reading, sheets: Sequence[Sheet]) -> Picture | None:
    """Return the parts of the batch time."""
    if reading.frames.budgets.empty:
        return None
    figure = figures.spent(reading.frames.budgets, reading.head.data)
    target = next((sheet.name for sheet in sheets if sheet.name == "loading"), "")
    return Picture(figure.visible_title, figure.caption, figure, target)


PICTURES: tuple[PictureBuilder, ...] = (_watch, _headroom, _magnitude, _time, _loading, _spent, _overfitting)
"""In the order in which they are preferred."""

TITLES = {
    "operation": "Operations",
    "model": "Training",
    "loader": "Data loaders",
    "run": "This run",
}
"""Kinds of sheets as the index heads them."""


def _index(reading: Reading, sheets: Sequence[Sheet]) -> Section:
    """Return all sheets at a glance."""
    parts = []
    for kind, title in TITLES.items():
        selected = [sheet for sheet in sheets if sheet.kind == kind]
        if selected:
            parts.append(Index(title, tuple(_entry(sheet, reading) for sheet in selected)))
    return Section("index", "All pages", tuple(parts))


def _entry(sheet: Sheet, reading: Reading) -> Entry:
    """Return a sheet with the result of its laws, or with its content if it has no laws."""
    verdicts = [
        verdict for verdict in reading.verdicts if sheet.kind == "operation" and verdict.contract == sheet.title
    ]
    ran = [verdict for verdict in verdicts if verdict.status is not Status.SKIPPED]
    if not ran:
        return Entry(sheet.name, sheet.title, "" if sheet.kind == "run" else _contents(sheet))
    counts, laws = Counter(verdict.status for verdict in ran), count(laws_in(ran), "law")
    failed = laws_in(verdict for verdict in ran if verdict.status.fails)
    cases = count(len({verdict.case for verdict in verdicts}), "case")
    result = f"{failed:,} of {laws} {'fails' if failed == 1 else 'fail'}" if failed else laws
    shares = tuple((status.value, round(100 * counts[status] / len(ran), 2)) for status in _BAR if counts[status])
    return Entry(sheet.name, sheet.title, f"{cases}, {result}", shares, alarm=bool(failed))


_BAR = (Status.HOLDS, Status.UNCLAIMED, Status.LOST, Status.EXPECTED, Status.BROKEN, Status.UNEXPECTED, Status.ERROR)


def _contents(sheet: Sheet) -> str:
    return ", ".join(section.title.lower() for section in sheet.sections)
