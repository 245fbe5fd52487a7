"""Records: what one invocation of the harness leaves behind, and the only thing reports and gates read.

A run is one folder of plain files:

=====================  =======================================================================
``run.json``           a :class:`Run`: schema, environment, data source, the commands that filled it
``verdicts.jsonl``     one :class:`Verdict` a line: case x law x dtype
``epochs.jsonl``       one :class:`Epoch` a line: training curves
``estimates.jsonl``    one :class:`Estimate` a line: learned against true parameters
``images.jsonl``       one :class:`Image` a line: the samples drawn in the report's grid
``bench-*.json``       pytest-benchmark's own JSON, one file a suite
=====================  =======================================================================

Each file is written whole and moved into place, so a run that was cut short is a readable run of what it
finished. This module imports neither torch nor pandas.
"""

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.error import UsageError

SCHEMA = 1
"""Version of the records written by this package; a reader refuses any other."""


class Record(BaseModel):
    """Base of every record: frozen, unknown fields refused, non-finite floats spelled out in JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Status(StrEnum):
    """The verdict on one law."""

    HOLDS = "holds"
    BROKEN = "broken"
    EXPECTED = "expected"
    """A declared failure that was found."""
    UNEXPECTED = "unexpected"
    """A declared failure that was not found: an error of the declaration."""
    SKIPPED = "skipped"
    ERROR = "error"
    """The case raised, or the two tiers of the oracle disagree."""

    @property
    def fails(self) -> bool:
        """Whether this status makes the run fail."""
        return self in {Status.BROKEN, Status.UNEXPECTED, Status.ERROR}


class TensorText(Record):
    """A tensor as text: every element in hexadecimal floating point, so that it can be replayed bit for bit."""

    dtype: str
    shape: tuple[int, ...]
    values: tuple[str, ...]
    """Row-major, ``float.hex`` for floating-point dtypes and decimal for integers."""


class Violation(Record):
    """Where and how a law failed, on the smallest example found."""

    place: tuple[int, ...]
    """Index of the worst element of the output of the minimal example."""
    actual: float
    expected: float
    deviation: float
    bound: float
    over: int
    """How many elements of the minimal example's output are beyond their bound."""
    of: int
    magnitude: float
    """Largest absolute input element of the minimal example."""
    example: dict[str, TensorText | float | int | str | list[int] | list[list[int]]]
    replay: str
    cause: str


class Verdict(Record):
    """What one law says of one case in one dtype."""

    kind: Literal["verdict"] = "verdict"
    case: str
    """``family.module.function``, for example ``softmax_regression.scratch.softmax``."""
    family: str
    style: str
    """``scratch``, ``concise`` or ``foreign``."""
    contract: str
    law: str
    group: str
    """``value``, ``algebra``, ``finite``, ``gradient``, ``equivalence``, ``training`` or ``data``."""
    dtype: str
    device: str
    status: Status
    statement: str
    source: str
    examples: int
    """Hypothesis examples that ran."""
    rows: int
    """Independent rows checked in those examples."""
    deviation: float | None = None
    """Largest deviation seen, in ``unit``; ``None`` where nothing ran."""
    bound: float | None = None
    """The bound at the place of that largest deviation relative to its bound."""
    unit: str = "ulp"
    reason: str | None = None
    """Declared reason of an expected failure, reason of a skip, or text of an error."""
    violation: Violation | None = None
    duration_s: float

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What identifies the verdict within a run."""
        return (self.case, self.law, self.dtype, self.device)


class Epoch(Record):
    """One epoch of one training run."""

    kind: Literal["epoch"] = "epoch"
    case: str
    family: str
    style: str
    experiment: str
    """What was trained on what, for example ``softmax regression on Fashion-MNIST``."""
    data: str
    """Label of the data: ``Fashion-MNIST``, ``synthetic stand-in``, ``y = Xw + b + noise``."""
    epoch: int
    """0 is the state before the first step."""
    train_loss: float
    held_out_loss: float | None = None
    train_accuracy: float | None = None
    held_out_accuracy: float | None = None
    duration_s: float
    """Wall time of the training steps of this epoch, evaluation excluded; 0 for epoch 0."""


class Estimate(Record):
    """A parameter learned from data whose true parameter is known."""

    kind: Literal["estimate"] = "estimate"
    case: str
    family: str
    style: str
    parameter: str
    true: float
    learned: float
    standard_error: float
    """Standard error of the least-squares estimator on the same data."""


class Image(Record):
    """One sample of the data set with its class and, where a trained model is at hand, the predicted class."""

    kind: Literal["image"] = "image"
    data: str
    label: str
    predicted: str | None = None
    height: int
    width: int
    pixels: str
    """Base64 of ``height * width`` grey levels, one byte each, row-major."""


class DataSource(Record):
    """Where the images came from."""

    name: str
    """``Fashion-MNIST`` or ``synthetic stand-in``."""
    origin: Literal["folder", "cache", "system", "download", "synthetic"]
    location: str
    checksums: dict[str, str]
    """SHA-256 of each uncompressed IDX file."""
    genuine: bool
    """Whether every checksum is the published data set's."""
    note: str
    """One plain sentence for the report."""


class Environment(Record):
    """The machine and the software a run was made on. Unknown is ``None``, never 0."""

    machine: str
    processor: str
    cores: int
    """Logical cores of the machine."""
    usable_cores: float
    """Cores this process may use: affinity and control-group quota taken into account."""
    memory_bytes: int
    accelerator: str | None
    os: str
    python: str
    torch: str
    torch_threads: int
    torch_build: dict[str, str]
    """BLAS, compiler, CPU capability and flags as ``torch.__config__`` reports them."""
    versions: dict[str, str]
    git_commit: str | None
    git_dirty: bool | None


class Run(Record):
    """The head of a run's folder."""

    kind: Literal["run"] = "run"
    schema_version: int = SCHEMA
    name: str
    created: str
    """ISO 8601, UTC."""
    environment: Environment
    seed: int
    data: DataSource | None = None
    commands: tuple[str, ...] = Field(default=())
    """The command lines that filled the folder, in order."""


Row = Verdict | Epoch | Estimate | Image
RowT = TypeVar("RowT", Verdict, Epoch, Estimate, Image)
ParsedT = TypeVar("ParsedT", bound=Record)

RUNS = Path(".harness", "runs")
"""Where runs are written unless the user names another folder."""

FILES: Mapping[type[Row], str] = {
    Verdict: "verdicts.jsonl",
    Epoch: "epochs.jsonl",
    Estimate: "estimates.jsonl",
    Image: "images.jsonl",
}


class RunFolder:
    """One run on disk.

    Parameters
    ----------
    path
        The folder; it need not exist before the first write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write_head(self, run: Run) -> None:
        """Write ``run.json``."""
        write_atomically(self.path / "run.json", run.model_dump_json(indent=2) + "\n")

    def head(self) -> Run:
        """Read ``run.json``.

        Raises
        ------
        UsageError
            If the folder is no run, or a run of another schema.
        """
        file = self.path / "run.json"
        if not file.is_file():
            raise UsageError(
                rule="a run is a folder with a `run.json`",
                value=str(self.path),
                remedy="name a run made by `harness check`, `harness train` or `harness bench`",
            )
        text = file.read_text(encoding="utf-8")
        version = _schema_of(text)
        if version != SCHEMA:
            raise UsageError(
                rule=f"this harness reads records of schema {SCHEMA}",
                value=f"schema {version}",
                place=str(file),
                remedy="read the run with the version of the harness that wrote it, or make it again",
            )
        return _parse(Run, text, place=str(file))

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
        if not file.is_file():
            return []
        with file.open(encoding="utf-8") as lines:
            return [_parse(kind, line, place=f"{file}:{number}") for number, line in enumerate(lines, 1)]

    def benchmarks(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield suite name and pytest-benchmark document of each benchmark file, sorted by name."""
        for file in sorted(self.path.glob("bench-*.json")):
            try:
                document = json.loads(file.read_text(encoding="utf-8"))
            except json.JSONDecodeError as error:
                raise UsageError(
                    rule="a benchmark file is pytest-benchmark's JSON", value=str(error), place=str(file)
                ) from error
            yield file.stem.removeprefix("bench-"), document

    def merge_verdicts(self, fresh: Iterable[Verdict]) -> None:
        """Add verdicts, replacing those with the same case, law, dtype and device."""
        merged = {verdict.key: verdict for verdict in self.read(Verdict)}
        merged.update({verdict.key: verdict for verdict in fresh})
        self.write(Verdict, merged.values())

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


def _schema_of(text: str) -> object:
    """Return the schema version a head claims; ``None`` where it claims none."""
    try:
        head = json.loads(text)
    except json.JSONDecodeError:
        return None
    return head.get("schema_version") if isinstance(head, dict) else None


def _parse(kind: type[ParsedT], text: str, *, place: str) -> ParsedT:
    """Validate one record, turning a schema mismatch or a malformed line into one plain message."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or kind.__name__
        raise UsageError(
            rule=f"a record of schema {SCHEMA} has a valid `{field}`",
            value=f"{first['msg']} (found {first.get('input')!r:.80})",
            place=place,
            remedy="the file is damaged or was written by another version of the harness",
        ) from error


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
