"""A run on disk: a folder of plain files, each written whole and moved into place."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

from harness.error import UsageError
from harness.record.gate import Comparison, GateFinding, Slices
from harness.record.intake import document, is_there, parsed, read_text, shown
from harness.record.proof import Proof
from harness.record.property import Property
from harness.record.schema import SCHEMA, Epoch, Image, LearnedParameter, Run, Verdict
from harness.record.storage import write_atomically
from harness.record.survey import Accumulator, Breaking, Profile, Worst

Row = (
    Verdict
    | Property
    | Proof
    | Breaking
    | Worst
    | Profile
    | Accumulator
    | Epoch
    | LearnedParameter
    | Image
    | GateFinding
    | Comparison
    | Slices
)
RowT = TypeVar(
    "RowT",
    Verdict,
    Property,
    Proof,
    Breaking,
    Worst,
    Profile,
    Accumulator,
    Epoch,
    LearnedParameter,
    Image,
    GateFinding,
    Comparison,
    Slices,
)
KeyedT = TypeVar("KeyedT", Verdict, Property, Proof, Breaking, Worst, Profile, Accumulator)

RUNS = Path(".harness", "runs")
"""Where runs are written unless the user names another folder."""

FILES: Mapping[type[Row], str] = {
    Verdict: "verdicts.jsonl",
    Property: "properties.jsonl",
    Proof: "proofs.jsonl",
    Breaking: "breakings.jsonl",
    Worst: "worst.jsonl",
    Profile: "profiles.jsonl",
    Accumulator: "accumulators.jsonl",
    Epoch: "epochs.jsonl",
    LearnedParameter: "estimates.jsonl",
    Image: "images.jsonl",
    GateFinding: "findings.jsonl",
    Comparison: "comparisons.jsonl",
    Slices: "slices.jsonl",
}
"""The file of each kind of record within a run."""


class RunFolder:
    """One run on disk.

    Parameters
    ----------
    path
        The folder; it need not exist before the first write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def named(cls, name: str) -> Self:
        """Return the run of a name below :data:`RUNS`, or of a path, which has a slash."""
        return cls(Path(name) if "/" in name else RUNS / name)

    def runs(self) -> list[Self]:
        """Return this run, or those in the folder where it is a folder of runs; none where it is neither."""
        if (self.path / "run.json").is_file():
            return [self]
        return [type(self)(head.parent) for head in self.path.glob("*/run.json")]

    def write_head(self, run: Run) -> None:
        """Write ``run.json``."""
        write_atomically(self.path / "run.json", run.model_dump_json(indent=2) + "\n")

    def clear(self) -> None:
        """Remove the records, and nothing else that lies in the folder."""
        for file in (*self.path.glob("bench-*.json"), *(self.path / name for name in ("run.json", *FILES.values()))):
            file.unlink(missing_ok=True)

    def head(self) -> Run:
        """Read ``run.json``.

        Raises
        ------
        UsageError
            If the folder is no run, or a run of another schema.
        """
        file = self.path / "run.json"
        if not is_there(file):
            raise UsageError(
                rule="a run is a folder with a `run.json`",
                value=str(self.path),
                remedy="name a run made by `harness check`, `harness train` or `harness bench`",
            )
        text = read_text(file, what="the head of a run")
        version = _schema_of(text, file)
        if version != SCHEMA:
            raise UsageError(
                rule=f"this harness reads records of schema {SCHEMA}",
                value=f"schema {shown(version)}",
                place=str(file),
                remedy="read the run with the version of the harness that wrote it, or make it again",
            )
        return parsed(Run, text, place=str(file), what=f"a run of schema {SCHEMA}")

    def write(self, kind: type[RowT], rows: Iterable[RowT]) -> None:
        """Replace the file of one kind of record."""
        text = "".join(row.model_dump_json() + "\n" for row in rows)
        write_atomically(self.path / FILES[kind], text)

    def read(self, kind: type[RowT]) -> list[RowT]:
        """Read every record of one kind; a kind that was never written gives an empty list.

        Raises
        ------
        UsageError
            If a line is not such a record.
        """
        file = self.path / FILES[kind]
        if not is_there(file):
            return []
        lines = read_text(file).removesuffix("\n").split("\n")
        what = f"a record of schema {SCHEMA}"
        return [parsed(kind, line, place=f"{file}:{number}", what=what) for number, line in enumerate(lines, 1) if line]

    def places(self, kind: type[RowT]) -> Iterator[tuple[str, RowT]]:
        """Yield every record of one kind with its place in the run, as ``verdicts.jsonl:17``."""
        for number, row in enumerate(self.read(kind), 1):
            yield f"{FILES[kind]}:{number}", row

    def benchmarks(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield suite name and pytest-benchmark document of each benchmark file, sorted by name."""
        for file in sorted(self.path.glob("bench-*.json")):
            text = read_text(file, what="a benchmark file", remedy="run `harness bench` again")
            read = document(text, place=str(file), what="a benchmark file", remedy="run `harness bench` again")
            yield file.stem.removeprefix("bench-"), read

    def merge_verdicts(self, fresh: Iterable[Verdict]) -> None:
        """Add verdicts, replacing those with the same case, law, dtype and device."""
        self.merge(Verdict, fresh)

    def merge(self, kind: type[KeyedT], fresh: Iterable[KeyedT]) -> None:
        """Add records of one kind, replacing those of the same key."""
        merged = {row.key: row for row in self.read(kind)}
        merged.update({row.key: row for row in fresh})
        self.write(kind, merged.values())

    @classmethod
    def latest(cls, root: Path) -> Self:
        """Return the most recently created run below ``root``.

        Raises
        ------
        UsageError
            If there is none.
        """
        heads = [(cls(head.parent).head().created, head.parent) for head in root.glob("*/run.json")]
        if not heads:
            raise UsageError(
                rule="a report needs a run", value=f"no run below {root}", remedy="run `tox run -e report` first"
            )
        return cls(max(heads)[1])


def oldest_first(runs: Iterable[RunFolder]) -> list[RunFolder]:
    """Return runs in the order of their creation, each once.

    Raises
    ------
    UsageError
        If one of the folders is no run.
    """
    distinct = {run.path.resolve(): RunFolder(run.path) for run in runs}
    return sorted(distinct.values(), key=lambda run: (run.head().created, str(run.path)))


def _schema_of(text: str, file: Path) -> object:
    """Return the schema version a head claims; ``None`` where it claims none."""
    head = document(text, place=str(file), what="the head of a run")
    return head.get("schema_version") if isinstance(head, dict) else None
