"""The head of a run: its environment, its plans and their outcomes, and the content of each file."""

from typing import Literal

from pydantic import Field

from harness.record.command import Work
from harness.record.schema import SCHEMA, Count, DataSource, Environment, FileState, Record


class Subject(Record):
    """The source of a case; a case with the same name from another place is a different subject."""

    place: str
    """Path of its file, or of its package."""
    source: str
    """Checksum of the source."""


class Run(Record):
    """The head of a run's folder."""

    kind: Literal["run"] = "run"
    schema_version: int = SCHEMA
    name: str
    created: str
    """ISO 8601, UTC."""
    environment: Environment
    seed: Count
    data: DataSource | None = None
    commands: tuple[str, ...] = Field(default=())
    """The command lines that filled the folder, in order."""
    work: tuple[Work, ...] = ()
    """Planned work of the commands, and how it ended."""
    subjects: dict[str, Subject] = Field(default_factory=dict)
    """Sources of the cases, by name."""
    files: dict[str, FileState] = Field(default_factory=dict)
    """Content of the files, valid while no command writes."""
    replaced: dict[str, FileState] = Field(default_factory=dict)
    """Previous content of files that are being replaced."""
