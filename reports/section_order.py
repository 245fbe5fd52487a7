"""The sheets of a report, its second layer: a sheet for each operation, loader, model and proof, with all its results.

A sheet contains the sections of the report for a reading of a single subject. The page shows one sheet at a time.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from .figures.learned import Grid
from .page_part import Block, Figure, Part
from .reading import Reading
from .section import Section, SectionBuilder
from .sections import law, loader, operation, run, training
from .table import Table
from .tables.matrix import Heat, Matrix

OPERATION = (
    law.definition,
    law.wrong,
    operation.why,
    law.laws,
    operation.survey,
    operation.proofs,
    operation.operations,
    law.declared,
    law.skipped,
)
MODEL = (training.overfitting, training.training, training.learned, training.steps)
LOADER = (loader.loaders,)
VECTORIZED = (operation.vectorization,)
"""Sections of the sheets for a contract, a family of training steps, a loader, and loops and vectors."""

RUN = (
    ("audit", "Training steps, line by line", (run.audits,)),
    ("laws", "All laws", (law.summary,)),
    ("same", "Is it the same?", (run.same,)),
    ("tolerances", "Tolerances of tests", (run.tolerances,)),
    ("loading", "Loader comparison", (loader.best, loader.balance)),
    ("gate", "Gate", (run.gate,)),
    ("runs", "Changes and earlier runs", (run.changes, run.runs)),
    ("images", "Images", (training.images,)),
    ("environment", "Environment", (run.environment, run.data)),
)
"""The sheets on the run as a whole: name, title, sections."""


@dataclass(frozen=True)
class Sheet:
    """All sections on one subject.

    Parameters
    ----------
    name
        Identifier within the page.
    kind
        ``operation``, ``model``, ``loader`` or ``run``.
    title
        Its subject.
    sections
        The sections with content.
    """

    name: str
    kind: str
    title: str
    sections: tuple[Section, ...]


def sheets(reading: Reading) -> tuple[Sheet, ...]:
    """Return the sheets for which a run has data, with unique names."""
    named: dict[str, Sheet] = {}
    for sheet in filter(lambda sheet: sheet.sections, _build_sheets(reading)):
        words = re.sub(r"[^a-z0-9]+", "-", sheet.title.lower())[:60].strip("-")
        name = sheet.name or f"{sheet.kind}-{words}"
        name = name if name not in named else f"{name}-{len(named)}"
        sections = []
        for section in sheet.sections:
            parts = tuple(_prefix_part(part, name) for part in section.parts)
            sections.append(replace(section, name=f"{name}-{section.name}", parts=parts))
        named[name] = replace(sheet, name=name, sections=tuple(sections))
    return tuple(named.values())


def address(found: Sequence[Sheet], kind: str, subject: str) -> str:
    """Return the name of the sheet on a subject; empty if it has none. Sheets on the run have their name as subject."""
    return next((sheet.name for sheet in found if sheet.kind == kind and subject in {sheet.title, sheet.name}), "")


def _build_sheets(reading: Reading) -> Iterator[Sheet]:
    frames = reading.frames
    subject_frames = (frames.verdicts, frames.breakings, frames.worst, frames.proofs, frames.operations)
    for contract in dict.fromkeys(str(name) for frame in subject_frames for name in frame["contract"]):
        yield _build_sheet("operation", contract, OPERATION, reading.of("contract", contract))
    for family in dict.fromkeys(str(name) for frame in (frames.steps, frames.epochs) for name in frame["family"]):
        yield _build_sheet("model", family, MODEL, reading.of("family", family))
    yield _build_sheet("model", "loops and vectors", VECTORIZED, reading)
    for case in dict.fromkeys(map(str, frames.loaders["case"])):
        yield _build_sheet("loader", case, LOADER, reading.of("case", case))
    for name, title, builders in RUN:
        yield replace(_build_sheet("run", title, builders, reading), name=name)


def _build_sheet(kind: str, title: str, builders: Sequence[SectionBuilder], reading: Reading) -> Sheet:
    return Sheet("", kind, title, tuple(filter(None, (build(reading) for build in builders))))


def _prefix_part(part: Part, sheet: str) -> Part:
    """Return a part with unique identifiers; blocks of findings keep theirs, since the first layer links to them."""
    if isinstance(part, Figure):
        part = replace(part, panels=tuple(panel.with_unique_ids(sheet) for panel in part.panels))
    if isinstance(part, Figure | Table | Matrix | Heat | Grid | Block) and not part.name.startswith("failure-"):
        return replace(part, name=f"{sheet}-{part.name}")
    return part
