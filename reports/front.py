"""The first layer of a report: the answer, and an index of the details.

The large figures are the first four of :data:`PICTURES` for which the run has data. A new picture is a new function in
that list.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from harness.findings import findings
from harness.record import Fix, Status
from harness.wording import count_laws, fix_title, sentence

from .figure import Figure
from .figures import front as figures
from .figures.audit import errors, headroom
from .figures.trace import Watch, watch
from .headline import headline, origin
from .page_part import Block, Entry, Index, Note, Part
from .reading import Reading
from .section import Section, section
from .sections import attention
from .subject_sheet import Sheet, address
from .text import count

MAX_PICTURES = 4


@dataclass(frozen=True)
class Picture:
    """A large figure, and the sheet with more details.

    Parameters
    ----------
    part
        The figure.
    target
        The sheet; empty for none.
    alone
        Whether it fills a row, with its words at the side.
    """

    part: Figure | Watch
    target: str = ""
    alone: bool = False

    @property
    def title(self) -> str:
        """Title of the figure."""
        return self.part.first.claim if isinstance(self.part, Watch) else self.part.visible_title

    @property
    def sentence(self) -> str:
        """Description of the figure; the interactive one needs none."""
        return "" if isinstance(self.part, Watch) else self.part.caption

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


PictureBuilder = Callable[[Reading], tuple[Figure | Watch | None, str, str]]
"""Draws a picture, or ``None`` of a run that has nothing for it; with the kind and the subject of its sheet."""


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
    entries = (draw(reading) for draw in PICTURES)
    drawn = [Picture(part, address(sheets, kind, subject)) for part, kind, subject in entries if part is not None]
    built = (attention.attention(reading), fixes(reading), attention.declared(reading), _build_index(reading, sheets))
    sections = tuple(section for section in built if section is not None)
    return Front(headline(reading), tuple(origin(reading)), tuple(_sort_pictures(drawn[:MAX_PICTURES])), sections)


def _sort_pictures(pictures: Sequence[Picture]) -> list[Picture]:
    """Order pictures for rows of two without gaps; if their number is odd, the lowest picture has a separate row.

    The interactive figure comes first and small multiples last, because they fill a row.
    """
    whole = [picture for picture in pictures if isinstance(picture.part, Watch)]
    wide = [picture for picture in pictures if picture.is_wide]
    halves = [picture for picture in pictures if picture not in whole and not picture.is_wide]
    if len(halves) % 2:
        index = min(range(len(halves)), key=lambda position: (halves[position].height, -position))
        lowest = replace(halves.pop(index), alone=True)
        halves.insert(index if index % 2 == 0 else len(halves), lowest)
    return [*whole, *halves, *wide]


def _watch(reading: Reading) -> tuple[Watch | None, str, str]:
    """Return the interactive figure of a breaking point."""
    part = watch(reading.traces)
    return part, "operation", "" if part is None else part.first.trace.contract


def _magnitude(reading: Reading) -> tuple[Figure | None, str, str]:
    """Return the error against the magnitude of the inputs, if possible for the contract of the first picture."""
    frames = reading.frames
    contract = figures.contract_of_picture(frames.profiles, _watch(reading)[2])
    return figures.magnitude(frames.profiles, frames.breakings, contract) if contract else None, "operation", contract


def _headroom(reading: Reading) -> tuple[Figure | None, str, str]:
    """Return the headroom of the lines of a training step, or else the growth of its error."""
    ordinary = [audit for audit in reading.audits if not audit.expected and audit.what_if is None]
    drawn = (figure for draw in (headroom, errors) for audit in ordinary if (figure := draw(audit)) is not None)
    figure = next(drawn, None)
    return None if figure is None else figures.large("front-headroom", figure), "run", "audit"


def _time(reading: Reading) -> tuple[Figure | None, str, str]:
    """Return the time of a training step."""
    frame = figures.visible_steps(reading.frames.steps)
    return (None, "", "") if frame.empty else (figures.step_time(frame), "model", str(frame["family"].iloc[0]))


def _loading(reading: Reading) -> tuple[Figure | None, str, str]:
    """Return the rates of the loaders."""
    loaders = reading.frames.loaders
    return None if loaders.empty else figures.loading(loaders, reading.head.data), "run", "loading"


def _overfitting(reading: Reading) -> tuple[Figure | None, str, str]:
    """Return the effect of too many epochs."""
    return figures.overfits(reading.frames.epochs, reading.head.data), "model", "overfitting"


def _spent(reading: Reading) -> tuple[Figure | None, str, str]:
    """Return the parts of the batch time."""
    budgets = reading.frames.budgets
    return None if budgets.empty else figures.spent(budgets, reading.head.data), "run", "loading"


PICTURES: tuple[PictureBuilder, ...] = (_watch, _headroom, _magnitude, _time, _loading, _spent, _overfitting)
"""In the order in which they are preferred."""

TITLES = {"operation": "Operations", "model": "Training", "loader": "Data loaders", "run": "This run"}
"""Kinds of sheets as the index heads them."""


def _build_index(reading: Reading, sheets: Sequence[Sheet]) -> Section:
    """Return all sheets at a glance."""
    entries = {kind: tuple(_build_entry(sheet, reading) for sheet in sheets if sheet.kind == kind) for kind in TITLES}
    parts = tuple(Index(TITLES[kind], group) for kind, group in entries.items() if group)
    return Section("index", "All pages", parts)


def _build_entry(sheet: Sheet, reading: Reading) -> Entry:
    """Return a sheet with the result of its laws, or with its content if it has no laws."""
    verdicts = reading.of("contract", sheet.title).verdicts if sheet.kind == "operation" else ()
    ran = [verdict for verdict in verdicts if verdict.status is not Status.SKIPPED]
    if not ran:
        contents = ", ".join(section.title.lower() for section in sheet.sections)
        return Entry(sheet.name, sheet.title, "" if sheet.kind == "run" else contents)
    counts, laws = Counter(verdict.status for verdict in ran), count(count_laws(ran), "law")
    failed = count_laws(verdict for verdict in ran if verdict.status.fails)
    cases = count(len({verdict.case for verdict in verdicts}), "case")
    result = f"{failed:,} of {laws} {'fails' if failed == 1 else 'fail'}" if failed else laws
    shares = tuple((status.value, round(100 * counts[status] / len(ran), 2)) for status in _BAR if counts[status])
    return Entry(sheet.name, sheet.title, f"{cases}, {result}", shares, alarm=bool(failed))


_BAR = (Status.HOLDS, Status.UNCLAIMED, Status.LOST, Status.EXPECTED, Status.BROKEN, Status.UNEXPECTED, Status.ERROR)


def _select_current(reading: Reading) -> list[Fix]:
    """Return the fixes of findings that the run still has."""
    sentences = {sentence(finding) for finding in findings(reading.verdicts)}
    sentences |= {finding.sentence for audit in reading.audits for finding in audit.findings}
    return [fix for fix in reading.fixes if fix.repairs in sentences]


def _count_fixes(reading: Reading) -> str:
    return f"{count(len(_select_current(reading)), 'verified fix').replace('fixs', 'fixes')}"


@section(_count_fixes)
def fixes(reading: Reading) -> Iterator[Part]:
    """Yield the rewrites, the diff and the verification of each fix."""
    for number, fix in enumerate(_select_current(reading), 1):
        yield Note(f"{fix.case}: {fix.repairs}. {fix_title(fix).replace('fix: ', 'Fix: ')} ({fix.sentence}).")
        yield Block(f"fix-{number}", fix.file, "\n".join(fix.diff), folded=False, is_diff=True)
