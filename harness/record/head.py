"""The head of a run: with what it was made, what was planned, how that ended, and what each file holds."""

from typing import Literal

from pydantic import Field

from harness.record.schema import SCHEMA, Count, DataSource, Environment, FileState, Record
from harness.record.work import Work


class Subject(Record):
    """What a case was taken from: one of the same name from elsewhere is another."""

    place: str
    """Path of its file, or of its package."""
    source: str
    """Checksum of what stood there."""


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
    """What each of them planned, and how it ended."""
    subjects: dict[str, Subject] = Field(default_factory=dict)
    """What the cases were taken from, by name."""
    files: dict[str, FileState] = Field(default_factory=dict)
    """What each file holds, as long as nothing grows."""
    replaced: dict[str, FileState] = Field(default_factory=dict)
    """What a file that is just being replaced may still hold."""
