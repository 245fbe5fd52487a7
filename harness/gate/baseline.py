"""The baseline: a compact file of JSON Lines that is committed with the cases, for every kind of machine that gates.

The first line names the kinds of machine and the number of lines. A line for each case follows, sorted by name. There
are several lines if kinds of machines round differently, each with its kinds. The same updates give the same bytes.

Git stores the file. Each line has a checksum that covers this line only. A difference is therefore short, and Git can
merge lines of two branches. The default place of the file is next to the source of the cases.
"""

import os
from collections.abc import Collection, Sequence
from importlib.machinery import PathFinder
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

from harness.calling.discovery import folder_of, is_named_cases
from harness.error import UsageError
from harness.gate.arm import is_installed
from harness.gate.snapshot import Figures, Snapshot, Summary
from harness.record import SCHEMA, Origin, Record, write_atomically
from harness.record.schema import Count
from harness.record.storage import beginning, document, is_there, parse_record, read_text, seal_line, unseal_line

WHAT = f"a baseline of schema {SCHEMA} (written by `harness gate --update`)"
REMEDY = "create it again, or restore it from git"

NAME = "baseline.jsonl"
BEFORE = beginning(NAME)
"""Text that precedes every line in its checksum."""

Key = tuple[str, str]
"""Name and device of a case."""


class BaselineHeader(Record):
    """The first line."""

    kind: Literal["baseline"] = "baseline"
    schema_version: Literal[1, 2] = 2
    lines: Count | None = None
    """How many follow; ``None`` in schema 1, whose lines have no checksums."""
    origins: tuple[Origin, ...]


class Line(Snapshot):
    """Results of a case, and the kinds of machine that gave them."""

    on: tuple[int, ...] = ()
    """Indices of the kinds of machine in the header; empty means all."""


class Reference(NamedTuple):
    """Reference for a comparison of a case."""

    snapshot: Snapshot
    figures: bool
    """Whether its figures are from the same kind of machine; otherwise only laws and bounds are compared."""
    same_draws: bool
    """Whether the same Hypothesis drew its inputs."""


class Seen(NamedTuple):
    """A snapshot, and the kinds of machine on which a run gave it."""

    snapshot: Snapshot
    origins: frozenset[Origin]


class Baseline(NamedTuple):
    """Results by case, for all kinds of machine."""

    cases: dict[Key, tuple[Seen, ...]]
    """Cases by name and device; kinds of machine never overlap."""
    known: tuple[Origin, ...] = ()
    """Kinds of machine in the order in which they came, so that a new one leaves the lines of the others alone."""

    @property
    def origins(self) -> tuple[Origin, ...]:
        """The kinds of machine with results, in order."""
        present = {origin for entries in self.cases.values() for snapshot in entries for origin in snapshot.origins}
        return tuple(origin for origin in self.known if origin in present)

    def references(self, origin: Origin) -> dict[Key, Reference]:
        """Return the reference of each case on a kind of machine."""
        return {key: _choose_reference(entries, origin) for key, entries in self.cases.items()}

    def drop_counts(self, cases: Collection[str]) -> "Baseline":
        """Return the baseline without the counts of some cases, by their names there: they cannot be compared."""
        comparable = {
            key: tuple(entry._replace(snapshot=entry.snapshot.model_copy(update={"counts": {}})) for entry in entries)
            if key[0] in cases
            else entries
            for key, entries in self.cases.items()
        }
        return self._replace(cases=comparable)

    def update(self, now: Summary) -> "Baseline":
        """Return this baseline after the results of a run replace older ones.

        Notes
        -----
        Results of other kinds of machine are kept if they can still be true. They are removed for a case whose results
        changed on this kind, because the code has changed; a new law is no change. Cases that are missing from the run
        are removed, and also results of this kind of machine with another version of torch.
        """
        cases = {key: _update_seen(self.cases.get(key, ()), current, now.origin) for key, current in now.cases.items()}
        return Baseline(cases, tuple(dict.fromkeys((*self.known, now.origin))))


def _choose_reference(entries: Sequence[Seen], origin: Origin) -> Reference:
    current = next((entry for entry in entries if origin in entry.origins), None)
    if current is not None:
        return Reference(current.snapshot, figures=True, same_draws=True)
    similar = [entry for entry in entries if any(seen.hypothesis == origin.hypothesis for seen in entry.origins)]
    same_torch = [entry for entry in similar or entries if any(seen.torch == origin.torch for seen in entry.origins)]
    return Reference((same_torch or similar or entries)[0].snapshot, figures=False, same_draws=bool(similar))


def _update_seen(before: Sequence[Seen], now: Snapshot, origin: Origin) -> tuple[Seen, ...]:
    rest: list[Seen] = []
    joined = frozenset({origin})
    for entry in before:
        same = _dump(entry.snapshot) == _dump(now)
        if origin in entry.origins and not same and not _is_added_to(entry.snapshot, now):
            return (Seen(now, frozenset({origin})),)
        others = frozenset(old for old in entry.origins if old != origin and not origin.supersedes(old))
        if same:
            joined |= others
        elif others:
            rest.append(Seen(entry.snapshot, others))
    return (*rest, Seen(now, joined))


def _is_added_to(before: Snapshot, now: Snapshot) -> bool:
    """Whether the only difference is laws that were not checked before, and bounds that were not kept."""
    old = {law: _keep_old_bounds(row, before.laws[law]) for law, row in now.laws.items() if law in before.laws}
    return _dump(before) == _dump(now.model_copy(update={"laws": old}))


def _keep_old_bounds(now: Sequence[Figures | None], before: Sequence[Figures | None]) -> tuple[Figures | None, ...]:
    """Figures without the bounds that were not kept before."""
    bounds = [True if figures is None else figures.bound is not None for figures in before]
    return tuple(
        figures if figures is None or old_bound else figures._replace(bound=None)
        for figures, old_bound in zip(now, bounds, strict=False)
    )


def _dump(snapshot: Snapshot) -> str:
    """Return a snapshot as text, in which NaN equals itself."""
    return snapshot.model_dump_json(exclude_defaults=True)


def write_baseline(file: Path, baseline: Baseline) -> None:
    """Write a baseline."""
    origins, lines = baseline.origins, []
    for key in sorted(baseline.cases):
        seen = baseline.cases[key]
        entries = [Line(**dict(entry.snapshot), on=_list_places(entry.origins, origins)) for entry in seen]
        lines += [line.model_dump_json(exclude_defaults=True) for line in sorted(entries, key=lambda line: line.on)]
    head = BaselineHeader(lines=len(lines), origins=origins).model_dump_json()
    write_atomically(file, b"".join(seal_line(line, BEFORE)[0] for line in (head, *lines)), synced=True)


def _list_places(some: frozenset[Origin], origins: Sequence[Origin]) -> tuple[int, ...]:
    """Return the indices of kinds of machine; empty for all, so that a new kind does not change such a line."""
    return () if some.issuperset(origins) else tuple(index for index, origin in enumerate(origins) if origin in some)


def read_baseline(file: Path) -> Baseline:
    """Read a baseline.

    Raises
    ------
    UsageError
        If there is none, or it is damaged.
    """
    if not is_there(file):
        raise UsageError(f"baseline not found: `{file}`", remedy="create it with `harness gate --run RUN --update`")
    return parse_baseline(read_text(file, what=WHAT, remedy=REMEDY), file)


def parse_baseline(text: str, file: Path) -> Baseline:
    """Read a baseline from the text of a file.

    Raises
    ------
    UsageError
        If it is damaged.
    """
    first, *rest = text.removesuffix("\n").split("\n")
    head = _read_header(first, f"{file}:1")
    origins = head.origins
    if head.lines is not None and head.lines != len(rest):
        raise _make_damage_error(
            f"{file}:{min(head.lines, len(rest)) + 2}", f"{len(rest)} lines after the first instead of {head.lines}"
        )
    lines: list[Line] = []
    for number, text in enumerate(rest, 2):
        location = f"{file}:{number}"
        content = text if head.lines is None else _remove_checksum(text, location)
        line = parse_record(Line, content, place=location, what=WHAT, remedy=REMEDY)
        if any(not 0 <= position < len(origins) for position in line.on):
            raise _make_damage_error(location, "a line from a kind of machine that is missing from the first line")
        if any((line.case, line.device, line.on) == (entry.case, entry.device, entry.on) for entry in lines):
            raise _make_damage_error(location, "a second line for the same case")
        lines.append(line)
    cases: dict[Key, tuple[Seen, ...]] = {}
    for line in lines:
        key = (line.case, line.device)
        snapshot = Snapshot(**{name: value for name, value in line if name != "on"})
        places = line.on or range(len(origins))
        cases[key] = (*cases.get(key, ()), Seen(snapshot, frozenset(origins[index] for index in places)))
    return Baseline(cases, origins)


def _read_header(text: str, location: str) -> BaselineHeader:
    """Read the first line; it has no checksum in schema 1."""
    is_old = document(text, place=location, what=WHAT, remedy=REMEDY)
    is_old = isinstance(is_old, dict) and is_old.get("schema_version") == 1
    return parse_record(
        BaselineHeader, text if is_old else _remove_checksum(text, location), place=location, what=WHAT, remedy=REMEDY
    )


def _remove_checksum(text: str, location: str) -> bytes:
    """A line without its own checksum."""
    return unseal_line(text.encode("utf-8"), BEFORE, place=location, remedy=REMEDY)[0]


def _make_damage_error(location: str, value: str) -> UsageError:
    return UsageError("damaged baseline", rule=f"expected {WHAT}", value=value, place=location, remedy=REMEDY)


# Place

PLACE_REMEDY = "name a file of your project with `--baseline`"


def baseline_of(target: str, root: Path, pythonpath: Sequence[str] = ()) -> Path:
    """Return the default file of the baseline of a target, whose module is found and not imported.

    Raises
    ------
    UsageError
        If a module has no folder, for example in a zip file.
    """
    path = target.partition(":")[0]
    if path.endswith(".py"):
        return (Path.cwd() if Path(path).is_file() else root) / Path(path).parent / NAME
    value = next((point.value for point in entry_points(group="harness.cases") if point.name == path), path)
    module = value.partition(":")[0]
    return (_find_project_folder(module, root) or _find_folder(module, pythonpath)) / NAME


def _find_project_folder(module: str, root: Path) -> Path | None:
    """The folder with a module's source, if the module is at the root of the project."""
    path = root.joinpath(*module.split("."))
    if (path / "__init__.py").is_file():
        return path
    return path.parent if path.with_name(f"{path.name}.py").is_file() else None


def _find_folder(module: str, pythonpath: Sequence[str]) -> Path:
    """The folder from which a module would be imported: its own folder if it is a package."""
    top, *rest = module.split(".")
    first = [str(folder_of(module).parent)] if is_named_cases(module) else [*pythonpath]
    try:
        # The specification of a module in a package would import the package.
        spec = PathFinder.find_spec(top, first) or find_spec(top) or PathFinder.find_spec(top, [str(Path.cwd())])
    except (ImportError, ValueError):
        spec = None
    places = [Path(name) for name in (spec.submodule_search_locations or () if spec else ())]
    if spec is not None and not places and spec.origin is not None and Path(spec.origin).is_file():
        places = [Path(spec.origin).parent]
    inner = [place.joinpath(*rest) for place in places]
    folders = [
        path if path.is_dir() else path.parent for path in inner if path.is_dir() or path.with_suffix(".py").is_file()
    ]
    # A namespace package has several folders, and some may hold no source.
    with_source = [folder for folder in folders if folder.is_dir() and any(folder.rglob("*.py"))]
    if not with_source:
        raise UsageError(f"cannot place the baseline: `{module}` has no folder of source files", remedy=PLACE_REMEDY)
    return with_source[0]


def reject_foreign(file: Path) -> None:
    """Refuse to write a baseline into a package that is installed, or that may not be written to.

    Raises
    ------
    UsageError
        If a new installation would remove the file, or it cannot be written at all.
    """
    if is_installed(file):
        raise UsageError(
            "cannot write the baseline into an installed package", value=f"`{file.parent}`", remedy=PLACE_REMEDY
        )
    if not os.access(file.parent, os.W_OK):
        raise UsageError("cannot write the baseline", value=f"a read-only folder, `{file.parent}`", remedy=PLACE_REMEDY)
