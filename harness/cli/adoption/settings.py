"""Settings of a project: the table ``[tool.harness]`` of the nearest ``pyproject.toml``."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_json

from harness.error import UsageError, did_you_mean, listed
from harness.record.untrusted_file import read_text, shown

FILE = "pyproject.toml"
TABLE = "[tool.harness]"

Value = str | float


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Options(_Table):
    """Options of a check, under the names that the command line uses."""

    dtypes: tuple[str, ...] = ()
    law: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    examples: int | None = Field(default=None, ge=1)
    seconds: float | None = Field(default=None, ge=0.01)
    seed: int | None = Field(default=None, ge=0)
    strict: bool | None = None

    def as_given(self) -> dict[str, Any]:
        """Return the options that are set, as the command line passes them."""
        given = self.model_dump(exclude_none=True, include=set(Options.model_fields))
        joined = {name: ",".join(given.pop(name)) for name in ("dtypes", "devices")}
        laws = list(given.pop("law"))
        return given | {name: text for name, text in joined.items() if text} | ({"laws": laws} if laws else {})


class TargetTable(Options):
    """A target with options of its check."""

    target: str
    contract: str | None = None
    formula: str | None = None
    form: str | None = None
    input: Mapping[str, str] = Field(default_factory=dict)
    over: Literal["rows", "all"] = "rows"
    call: str | None = None
    declare: Mapping[str, Value] = Field(default_factory=dict)
    breaks: Mapping[str, str] = Field(default_factory=dict)

    def as_given(self) -> dict[str, Any]:
        """Return the options that are set, as the command line passes them."""
        claims = self.model_dump(exclude_none=True, include={"contract", "formula", "form", "over", "call"})
        pairs = {
            "inputs": [f"{name}={kind}" for name, kind in self.input.items()],
            "declares": [f"{name}={value}" for name, value in self.declare.items()],
            "breaks": [f"{law}={reason}" for law, reason in self.breaks.items()],
        }
        return {**super().as_given(), **claims, **{name: words for name, words in pairs.items() if words}}


class Settings(Options):
    """The whole table."""

    targets: tuple[str | TargetTable, ...] = ()
    """The targets of ``harness check`` if the command line names none."""
    pythonpath: tuple[str, ...] = ()
    """Folders from which the project's packages are imported, relative to the file."""
    gate: Mapping[str, Any] = Field(default_factory=dict)
    """The policy of the gate, which the gate reads."""


class Project(NamedTuple):
    """The settings of a project, and the folder of their file."""

    root: Path
    settings: Settings

    @property
    def targets(self) -> list[TargetTable]:
        """The targets as tables."""
        return [one if isinstance(one, TargetTable) else TargetTable(target=one) for one in self.settings.targets]


def find_project(start: Path) -> Project | None:
    """Return the nearest project upwards whose ``pyproject.toml`` has the table; ``None`` if there is none.

    Raises
    ------
    UsageError
        If such a file cannot be read, or its table has an unknown key or a wrong value.
    """
    for folder in (start, *start.parents):
        if (folder / FILE).is_file():
            table = table_of(folder / FILE)
            if table is not None:
                return Project(folder, _validated(table, folder / FILE))
    return None


def table_of(file: Path) -> object | None:
    """Return the table of a file, unchecked; ``None`` if it has none.

    Raises
    ------
    UsageError
        If the file cannot be read, or is not TOML.
    """
    text = read_text(file, what=f"`{FILE}`", remedy="fix the file")
    try:
        table: Any = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"invalid TOML in `{file}`: {error!s:.200}", remedy="fix the file") from error
    for name in ("tool", "harness"):
        table = table.get(name) if isinstance(table, dict) else None
    return table  # type: ignore[no-any-return]


def _validated(table: object, file: Path) -> Settings:
    try:
        # JSON accepts a list for a tuple, and is strict about all other types.
        return Settings.model_validate_json(to_json(table, inf_nan_mode="constants"))
    except ValidationError as error:
        # A target may have two forms; the innermost error is about the form that it has.
        first = max(error.errors(include_url=False), key=lambda one: len(one["loc"]))
        parts = [str(part) for part in first["loc"] if part not in {"str", "TargetTable"}]
        known = TargetTable.model_fields if parts[:1] == ["targets"] else Settings.model_fields
        raise UsageError(
            f"invalid key or value of `{'.'.join(parts)}` under {TABLE}",
            value=f"{shown(first.get('input'))} ({first['msg'].lower()})",
            place=str(file),
            remedy=did_you_mean(parts[-1] if parts else "", known, f"the keys are {listed(known)}"),
        ) from error
