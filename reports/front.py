"""The first layer of a report: the answer, and an index of the details.

The large figures are the first four of :func:`_draw_pictures` for which the run has data.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import pandas as pd

from harness.findings import findings
from harness.record import Fix, Status
from harness.wording.finding import sentence
from harness.wording.fix import fix_title
from harness.wording.verdict import count_laws

from .figures import front as figures
from .figures.audit import errors, headroom
from .figures.loader_heat_map import loading
from .figures.step import step_times
from .figures.trace import Watch, watch
from .headline import headline, origin
from .page_part import Block, Entry, Figure, Index, Note, Part
from .reading import Reading
from .section import Section, section
from .section_order import Sheet, address
from .sections import attention
from .summary import wrong_in
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


LOADER = "data_loader"
"""The contract whose laws need no arithmetic."""


def state_purpose(reading: Reading) -> str:
    """Return the contents of the report for new readers, a sentence for each kind of result."""
    contracts, frames = {verdict.contract for verdict in reading.verdicts}, reading.frames
    shown = {
        "compares numerical PyTorch code with exact arithmetic, and shows which mathematical laws the code satisfies "
        "and where it breaks": contracts - {LOADER} or reading.survey.breakings or reading.proofs,
        "checks that data loaders deliver each sample once, whole, and with its own random numbers": LOADER
        in contracts,
        "follows training steps operation by operation, and shows the first line that goes wrong": reading.audits,
        "measures how fast the code runs": sum(map(len, (frames.steps, frames.loaders, frames.operations))),
    }
    sentences = [words for words, has in shown.items() if has]
    return " ".join(f"{'It' if at else 'This report'} {words}." for at, words in enumerate(sentences))


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
        Contents of the report.
    """

    headline: str
    origin: tuple[tuple[str, str, str], ...]
    pictures: tuple[Picture, ...]
    sections: tuple[Section, ...]
    purpose: str


def front(reading: Reading, sheets: Sequence[Sheet]) -> Front:
    """Return the first layer of a report, with links to the sheets of the second layer."""
    drawn = (Picture(part, address(sheets, *sheet)) for part, *sheet in _draw_pictures(reading) if part is not None)
    built = (attention.attention(reading), fixes(reading), attention.declared(reading), _build_index(reading, sheets))
    sections = tuple(section for section in built if section is not None)
    pictures = tuple(_sort_pictures([*islice(drawn, MAX_PICTURES)]))
    return Front(headline(reading), tuple(origin(reading)), pictures, sections, state_purpose(reading))


def _sort_pictures(pictures: Sequence[Picture]) -> list[Picture]:
    """Order pictures for rows of two without gaps; if their number is odd, the lowest picture has a separate row.

    The interactive figure comes first and small multiples last, because they fill a row.
    """
    whole = [picture for picture in pictures if isinstance(picture.part, Watch)]
    wide = [picture for picture in pictures if len(picture.part.panels) > 1]
    halves = [picture for picture in pictures if picture not in whole and picture not in wide]
    if len(halves) % 2:
        heights = [max(panel.height for panel in picture.part.panels) for picture in halves]
        index = min(range(len(halves)), key=lambda position: (heights[position], -position))
        lowest = replace(halves.pop(index), alone=True)
        halves.insert(index if index % 2 == 0 else len(halves), lowest)
    return [*whole, *halves, *wide]


def _draw_steps(reading: Reading, visible: pd.DataFrame) -> Figure:
    """Return the times of some steps, or of one step on both devices if the run has an accelerator."""
    if (visible["device"] == "cpu").all():
        return figures.step_time(visible, accelerator=reading.head.environment.accelerator)
    steps = reading.frames.steps
    family = steps[steps["family"] == visible["family"].iloc[0]]
    first = [each for each in reading.comparisons if each.case == visible["case"].iloc[0]]
    return figures.large("front-step", step_times(family, accelerator=None, comparisons=first))


def _draw_pictures(reading: Reading) -> Iterator[tuple[Figure | Watch | None, str, str]]:
    """Yield the large pictures, the preferred ones first, each with the kind and the subject of its sheet.

    A picture is ``None`` if the run has nothing for it.
    """
    frames, source = reading.frames, reading.head.data
    watched = watch(reading.traces)
    broken = "" if watched is None else watched.first.trace.contract
    if watched is not None and (watched.first.trace.breaks_at is not None or not wrong_in(reading)):
        yield watched, "operation", broken  # a picture in which all is well does not explain a failure
    if contract := figures.contract_of_picture(frames.profiles, broken):
        yield figures.magnitude(frames.profiles, frames.breakings, contract), "operation", contract
    if len(steps := figures.visible_steps(frames.steps)):
        yield _draw_steps(reading, steps), "model", str(steps["family"].iloc[0])
    if len(frames.loaders):
        yield loading(frames.loaders, frames.balance, source), "run", "loading"
    ordinary = [audit for audit in reading.audits if not audit.expected and audit.what_if is None]
    audited = (figure for draw in (headroom, errors) for audit in ordinary if (figure := draw(audit)) is not None)
    yield from ((figures.large("front-headroom", figure), "run", "audit") for figure in islice(audited, 1))
    if len(frames.budgets):
        yield figures.spent(frames.budgets, source), "run", "loading"
    yield figures.overfits(frames.epochs, source), "model", "overfitting"


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
        return Entry(sheet.name, sheet.title, contents if sheet.kind in {"operation", "model"} else "")
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


@section(lambda reading: count(len(_select_current(reading)), "verified fix", plural="verified fixes"))
def fixes(reading: Reading) -> Iterator[Part]:
    """Yield the rewrites, the diff and the verification of each fix."""
    for number, fix in enumerate(_select_current(reading), 1):
        yield Note(f"{fix.case}: {fix.repairs}. {fix_title(fix).replace('fix: ', 'Fix: ')} ({fix.sentence}).")
        yield Block(f"fix-{number}", fix.file, "\n".join(fix.diff), folded=False, is_diff=True)
