"""Pairs to compare: two targets, or one and a change; importing this module does not import torch."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from harness.error import UsageError
from harness.execution.release import find_interpreter
from harness.isolation.delegate import Delegate
from harness.isolation.limits import Limits
from harness.record import Judgment, Record
from harness.record.storage import PYPROJECT, invalid, read_harness_table
from harness.sameness.change import Change, read_change


class Pair(Record):
    """Two targets, or one and a change, and facts about their inputs."""

    first: str
    second: str | None = None
    contract: str | None = None
    declares: Mapping[str, Any] = Field(default_factory=dict)
    """Conventions of the contract."""
    second_declares: Mapping[str, Any] = Field(default_factory=dict)
    shapes: tuple[tuple[int, ...], ...] = ()
    change: Change | None = None
    is_declared: bool = False
    """Whether a side declares a failure, or the sides follow different conventions."""
    name: str = ""
    """Its name in the settings of a project."""

    def add_names(self, judgment: Judgment) -> Judgment:
        """Return a judgment with the targets and the change."""
        names = {"first": self.first, "second": self.second or "", "under": str(self.change or "")}
        return judgment.model_copy(update={**names, "name": self.name, "is_declared": self.is_declared})


def make_pair(
    first: str, second: str | None = None, under: str | None = None, contract: str | None = None,
    shapes: Sequence[str] = (),
) -> Pair:  # fmt: skip
    """Return the pair of the options of a command.

    Raises
    ------
    UsageError
        If there is nothing to compare, or an option cannot be read.
    """
    if contract and shapes:
        raise UsageError("cannot use `--contract` together with `--shape`", remedy="leave one out")
    if (second is None) == (under is None):
        raise UsageError("nothing to compare", rule="name either two targets, or one and `--under CHANGE`")
    change = None if under is None else read_change(under)
    lengths = tuple(map(_read_shape, shapes))
    return Pair(first=first, second=second, contract=contract, shapes=lengths, change=change)


def _read_shape(text: str) -> tuple[int, ...]:
    lengths = text.split(",")
    if not all(length.strip().isdecimal() for length in lengths):
        raise UsageError("cannot read `--shape`", rule="it must be lengths, such as 32,64", value=f"`{text}`")
    return tuple(map(int, lengths))


# Kept pairs

TABLE = "[tool.harness.same]"


class KeptPair(BaseModel):
    """A pair in the settings of a project."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    a: str
    b: str | None = None
    under: str | None = None
    contract: str | None = None
    shapes: list[str] = Field(default_factory=list)


class Kept(NamedTuple):
    """The pairs that a project keeps by name, its folder, and the folders from which its packages are imported."""

    root: Path
    pairs: Mapping[str, Pair]
    pythonpath: Sequence[str]


def read_kept(root: Path, settings: Any) -> Kept:
    """Return the pairs in a table ``[tool.harness]``, which may be absent.

    Raises
    ------
    UsageError
        If the table has an unknown key or a wrong value.
    """
    table = settings if isinstance(settings, dict) else {}
    remedy = "fix the file"
    try:
        tables = TypeAdapter(dict[str, KeptPair]).validate_python(table.get("same", {}))
    except ValidationError as error:
        raise invalid(error, place=str(root / PYPROJECT), what=TABLE, remedy=remedy) from error
    pairs = {
        name: make_pair(kept.a, kept.b, kept.under, kept.contract, kept.shapes).model_copy(update={"name": name})
        for name, kept in tables.items()
    }
    return Kept(root, pairs, [str(root / folder) for folder in table.get("pythonpath", ())])


def find_kept(start: Path) -> Kept:
    """Return the pairs of the nearest project upwards; none without a project."""
    files = (folder / PYPROJECT for folder in (start, *start.parents))
    file = next((file for file in files if file.is_file()), None)
    return Kept(start, {}, ()) if file is None else read_kept(file.parent, read_harness_table(file))


def judge_pairs(
    pairs: Sequence[Pair], errors: dict[str, UsageError], *, folder: Path | None = None, pythonpath: Sequence[str] = ()
) -> Iterator[Judgment]:
    """Yield the judgments on pairs, which share a process; ``errors`` gets the others by their names.

    Targets are relative to the folder.
    """
    serves, place = "harness.sameness.comparison:compare_pair", str(folder or Path.cwd())
    with Delegate(serves, limits=Limits(), folder=place, pythonpath=pythonpath) as process:
        for pair in pairs:
            try:
                if pair.change is not None and pair.change.kind == "release":
                    find_interpreter(pair.change.value)
                yield process.ask_about(pair.first, {"pair": pair}, Judgment)
            except UsageError as error:
                errors[pair.name or str(len(errors))] = error
