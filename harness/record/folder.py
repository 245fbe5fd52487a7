"""A run on disk: a folder of plain files, each written whole and moved into place."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

from harness.error import UsageError
from harness.record.audit import Audit
from harness.record.fix import Fix
from harness.record.gate import Comparison, GateFinding, Slices
from harness.record.head import Run
from harness.record.learned import ClassWeights, Confusion, FitData
from harness.record.proof import Proof
from harness.record.property import Property
from harness.record.schema import SCHEMA, Epoch, FileState, Image, LearnedParameter, Record, Verdict
from harness.record.storage import (
    ALTERED,
    Chain,
    beginning,
    checksum,
    decoded,
    document,
    is_there,
    parsed,
    quoted,
    read_bytes,
    sealed,
    sealed_document,
    unsealed,
    unsealed_document,
    write_atomically,
    written,
)
from harness.record.survey import Accumulator, Breaking, Profile, Worst
from harness.record.trace import RayTrace

Row = (
    Verdict
    | Property
    | Proof
    | Breaking
    | Worst
    | Profile
    | RayTrace
    | Accumulator
    | Epoch
    | LearnedParameter
    | FitData
    | ClassWeights
    | Confusion
    | Image
    | Audit
    | Fix
    | GateFinding
    | Comparison
    | Slices
)
RowT = TypeVar("RowT", bound=Row)

HEAD = "run.json"
"""The file of the head within a run."""

RUNS = Path(".harness", "runs")
"""Default folder for runs."""

FILES: Mapping[type[Record], str] = {
    Verdict: "verdicts.jsonl",
    Property: "properties.jsonl",
    Proof: "proofs.jsonl",
    Breaking: "breakings.jsonl",
    Worst: "worst.jsonl",
    Profile: "profiles.jsonl",
    RayTrace: "passages.jsonl",
    Accumulator: "accumulators.jsonl",
    Epoch: "epochs.jsonl",
    LearnedParameter: "estimates.jsonl",
    FitData: "fits.jsonl",
    ClassWeights: "weights.jsonl",
    Confusion: "confusions.jsonl",
    Image: "images.jsonl",
    Audit: "audits.jsonl",
    Fix: "fixes.jsonl",
    GateFinding: "findings.jsonl",
    Comparison: "comparisons.jsonl",
    Slices: "slices.jsonl",
}
"""File name for each kind of record."""


class RunFolder:
    """One run on disk.

    Parameters
    ----------
    path
        The folder; the first write creates it.
    synced
        Whether a method returns only after its data is on the disk.

    Notes
    -----
    The head has the number of records in each file, and the checksum after the last one. While a command is running,
    the numbers are those of the last sync. For a file that is being replaced, the head also has the previous numbers,
    so that a reader accepts either content.
    """

    def __init__(self, path: Path, *, synced: bool = False) -> None:
        self.path = path
        self._synced = synced

    @classmethod
    def named(cls, name: str, *, synced: bool = False) -> Self:
        """Return the run of a name below :data:`RUNS`, or of a path, which has a slash."""
        return cls(Path(name) if "/" in name else RUNS / name, synced=synced)

    @property
    def is_run(self) -> bool:
        """Whether there is a head, readable or not."""
        return is_there(self.path / HEAD)

    def runs(self) -> list[Self]:
        """Return this run, or those in the folder where it is a folder of runs; none where it is neither."""
        if self.is_run:
            return [self]
        return [type(self)(head.parent) for head in self.path.glob(f"*/{HEAD}")]

    # The head

    def write_head(self, run: Run) -> None:
        """Write ``run.json``; files that ``run`` does not mention keep their entries."""
        if not run.files and self.is_run:
            run = run.model_copy(update={"files": self.head().files})
        text = sealed_document(run.model_dump_json(indent=2), HEAD)
        write_atomically(self.path / HEAD, text, synced=self._synced)

    def revise(self, **changes: Any) -> None:
        """Change fields of the head."""
        self.write_head(self.head().model_copy(update=changes))

    def clear(self) -> None:
        """Remove the records, and nothing else that lies in the folder."""
        with written(self.path):
            for file in (*self.path.glob("bench-*.json"), *(self.path / name for name in (HEAD, *FILES.values()))):
                file.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove incomplete temporary files of a killed process."""
        for name in (HEAD, *FILES.values()):
            for file in self.path.glob(f".{name}.*"):
                file.unlink(missing_ok=True)

    def head(self) -> Run:
        """Read ``run.json``.

        Raises
        ------
        UsageError
            If the folder is no run, or a run of another schema, or the head was altered.
        """
        file = self.path / HEAD
        if not self.is_run:
            raise UsageError(
                f"no run in `{self.path}`",
                rule="a run is a folder with a `run.json`",
                remedy="make one with `harness check TARGET --run NAME`",
            )
        content = read_bytes(file, what="the run")
        _reject_other_schema(content, file)
        text = unsealed_document(content, HEAD, place=str(file))
        return parsed(Run, text, place=str(file), what=f"a run of schema {SCHEMA}")

    # Records

    def chain(self, kind: type[Record]) -> Chain:
        """Read the lines of a kind of record, after checking that none was altered, lost or added.

        Raises
        ------
        UsageError
            If a line was; the message names it.
        """
        name = FILES[kind]
        file = self.path / name
        chain = unsealed(read_bytes(file) if is_there(file) else b"", name, place=str(file))
        if self.is_run:
            _reject_lost(chain, self.head(), name, file)
        elif chain.torn:
            raise _lost(f"{file}:{len(chain.lines) + 1}", "the last line is cut off")
        return chain

    def write(self, kind: type[RowT], rows: Iterable[RowT]) -> None:
        """Replace the file of a kind of record."""
        name, lines = FILES[kind], []
        after = beginning(name)
        for row in rows:
            line, after = sealed(row.model_dump_json(), after)
            lines.append(line)
        self._replace(name, b"".join(lines), FileState(records=len(lines), sum=after))

    def write_benchmarks(self, suite: str, text: str) -> None:
        """Replace the benchmark file of a suite with pytest-benchmark's JSON."""
        content = text.encode("utf-8")
        self._replace(f"bench-{suite}.json", content, FileState(records=1, sum=checksum(content)))

    def _replace(self, name: str, content: bytes, state: FileState) -> None:
        """Replace a file; if this is interrupted at any time, the head still describes the content."""
        if self.is_run:
            head = self.head()
            before = head.files.get(name, FileState(records=0, sum=beginning(name)))
            self.revise(files={**head.files, name: state}, replaced={**head.replaced, name: before})
        write_atomically(self.path / name, content, synced=self._synced)
        if self.is_run:
            self.revise(replaced={other: was for other, was in self.head().replaced.items() if other != name})

    def read(self, kind: type[RowT]) -> list[RowT]:
        """Read every record of a kind; a missing file gives an empty list.

        The last record with a key counts.

        Raises
        ------
        UsageError
            If a line is not such a record, or was altered, lost or added.
        """
        return [row for _, row in self._numbered(kind)]

    def places(self, kind: type[RowT]) -> Iterator[tuple[str, RowT]]:
        """Yield every record of a kind with its place in the run, such as ``verdicts.jsonl:17``."""
        for number, row in self._numbered(kind):
            yield f"{FILES[kind]}:{number}", row

    def _numbered(self, kind: type[RowT]) -> list[tuple[int, RowT]]:
        file, what = self.path / FILES[kind], f"a record of schema {SCHEMA}"
        rows: dict[object, tuple[int, RowT]] = {}
        for number, line in enumerate(self.chain(kind).lines, 1):
            row = parsed(kind, line, place=f"{file}:{number}", what=what)
            rows[getattr(row, "key", number)] = (number, row)
        return list(rows.values())

    def compact(self, kind: Any) -> None:
        """Leave the records that count, where there are others."""
        rows = self.read(kind)
        if len(rows) < len(self.chain(kind).lines):
            self.write(kind, rows)

    # Benchmarks

    def benchmarks(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield suite name and pytest-benchmark document of each benchmark file, sorted by name.

        Raises
        ------
        UsageError
            If a file was altered or is missing.
        """
        head = self.head() if self.is_run else None
        known = {} if head is None else {name: _states(head, name) for name in head.files if name.startswith("bench-")}
        files = {file.name for file in self.path.glob("bench-*.json")}
        for name in sorted(files | set(known)):
            file, remedy = self.path / name, "run `harness bench` again"
            content = read_bytes(file, what="a benchmark file", remedy=remedy)
            if name in known and checksum(content) not in {state.sum for state in known[name]}:
                raise UsageError(
                    "cannot read a benchmark file",
                    rule="the checksum does not match",
                    place=str(file),
                    remedy=remedy,
                )
            text = decoded(content, place=str(file), what="a benchmark file", remedy=remedy)
            read = document(text, place=str(file), what="a benchmark file", remedy=remedy)
            yield file.stem.removeprefix("bench-"), read

    @classmethod
    def latest(cls, root: Path) -> Self:
        """Return the most recently created run below ``root``.

        Raises
        ------
        UsageError
            If there is none.
        """
        heads = [(cls(head.parent).head().created, head.parent) for head in root.glob(f"*/{HEAD}")]
        if not heads:
            raise UsageError(f"no run in `{root}`", remedy="make one with `harness check TARGET --run NAME`")
        return cls(max(heads)[1])


def oldest_first(runs: Iterable[RunFolder]) -> list[RunFolder]:
    """Return runs in the order of their creation, without duplicates.

    Raises
    ------
    UsageError
        If a folder is not a run.
    """
    distinct = {run.path.resolve(): RunFolder(run.path) for run in runs}
    return sorted(distinct.values(), key=lambda run: (run.head().created, str(run.path)))


def _reject_other_schema(content: bytes, file: Path) -> None:
    head = document(content, place=str(file), what="the run")
    version = head.get("schema_version") if isinstance(head, dict) else None
    if version != SCHEMA or isinstance(version, bool):
        raise UsageError(
            "cannot read the run",
            rule=f"this version of the harness reads schema {SCHEMA}",
            value=f"schema {quoted(version)}",
            place=str(file),
            remedy="read it with the version of the harness that wrote it, or repeat the run",
        )


def _states(head: Run, name: str) -> list[FileState]:
    """Return the valid contents of a file: the state in the head, and the previous state during a replacement."""
    empty = FileState(records=0, sum=beginning(name))
    return [head.files.get(name, empty), *([head.replaced[name]] if name in head.replaced else [])]


def _reject_lost(chain: Chain, head: Run, name: str, file: Path) -> None:
    """Refuse a file with fewer records than the head counts, or with other records; a growing file may have more."""
    grows = any(work.ended is None for work in head.work)
    states, line_count = _states(head, name), len(chain.lines)
    for state in states:
        is_whole = state.records == line_count if not grows else state.records <= line_count
        if is_whole and chain.sums[state.records] == state.sum and (grows or not chain.torn):
            return
    known = states[0].records
    if chain.torn and not grows:
        raise _lost(f"{file}:{line_count + 1}", "the last line is cut off")
    if known == line_count:
        raise _lost(str(file), "the checksum does not match")
    expected = f"expected {known:,} record{'' if known == 1 else 's'}"
    raise _lost(f"{file}:{min(known, line_count) + 1}", expected, f"{line_count:,}")


def _lost(place: str, rule: str, value: str | None = None) -> UsageError:
    return UsageError("cannot read the records", rule=rule, value=value, place=place, remedy=ALTERED)
