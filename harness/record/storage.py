"""Files on disk, and the folder of a run. Errors are one sentence with the file, the rule, the value and the remedy.

Files that are read are not trusted: regular files of a bounded size, text in UTF-8, JSON as records. Reading never
blocks: pipes and devices are refused unread.

A file is written at once and atomically, or line by line as a chain. Each line of a chain carries a checksum of itself
and of all lines before it. An altered, deleted, exchanged, repeated or foreign line does not follow the line before it.
The number of lines in the head reveals missing lines at the end. This is no signature: a chain that is rewritten as a
whole remains undetected.

A journal appends to a chain, and writes each record before the next one is computed. An appended record survives the
end of the process. A synced record also survives a crash of the machine.
"""

import errno
import hashlib
import os
import re
import stat
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from harness.error import UsageError
from harness.record.audit import Audit
from harness.record.fix import Fix
from harness.record.gate import Comparison, GateFinding, Slices
from harness.record.head import Run
from harness.record.learned import ClassWeights, Confusion, FitData
from harness.record.proof import Proof
from harness.record.property import Property
from harness.record.sameness import Judgment
from harness.record.schema import SCHEMA, Epoch, FileState, Image, LearnedParameter, Record, Verdict
from harness.record.survey import Accumulator, Breaking, Profile, RayTrace, Worst
from harness.record.tolerance import ComparedLine

ParsedT = TypeVar("ParsedT", bound=BaseModel)

MAX_BYTES = 2**29
"""Larger files are refused unread; a run of all cases has a hundredth of this size."""

DAMAGED = "the file may be damaged or from another version of the harness"
"""Remedy for a file that cannot be read."""

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def is_there(file: Path) -> bool:
    """Whether the name exists, even as a broken link, so that an unreadable file is not ignored."""
    return os.path.lexists(file)


def _make_error(what: str, rule: str, value: str | None = None, *, place: object, remedy: str = DAMAGED) -> UsageError:
    return UsageError(f"cannot read {what}", rule=rule, value=value, place=str(place), remedy=remedy)


def read_bytes(file: Path, *, what: str = "a record", remedy: str = DAMAGED) -> bytes:
    """Read a whole regular file, and follow links; ``what`` names its content in messages."""
    try:
        # A pipe would be waited for without this.
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as stream:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                kind = next((name for is_such, name in _KINDS if is_such(status.st_mode)), "something else")
                raise _make_error(what, "not a regular file", kind, place=file, remedy=remedy)
            if status.st_size > MAX_BYTES:
                limit, size = f"the limit is {MAX_BYTES:,} bytes", f"{status.st_size:,} bytes"
                raise _make_error(what, limit, size, place=file, remedy=remedy)
            # No more than that, should it grow meanwhile; and no room for more is taken.
            return stream.read(status.st_size)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _make_error(what, reason.lower(), place=file, remedy=remedy) from error


def read_text(file: Path, *, what: str = "a record", remedy: str = DAMAGED) -> str:
    """Read a text file."""
    return decode(read_bytes(file, what=what, remedy=remedy), place=str(file), what=what, remedy=remedy)


def decode(content: bytes, *, place: str, what: str = "a record", remedy: str = DAMAGED) -> str:
    """Decode the bytes of a text."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        value = f"the byte 0x{content[error.start]:02x}"
        line = content.count(b"\n", 0, error.start) + 1
        raise _make_error(what, "the text is not UTF-8", value, place=f"{place}:{line}", remedy=remedy) from error


def parse_record(
    kind: type[ParsedT], text: str | bytes, *, place: str, what: str = "a record", remedy: str = DAMAGED
) -> ParsedT:
    """Validate the JSON of one record, which was read at ``place``."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise invalid(error, place=place, what=what, remedy=remedy) from error


def invalid(error: ValidationError, *, place: str, what: str, remedy: str = DAMAGED) -> UsageError:
    """Return the first error of a record."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or error.title
    message = str(first["msg"]).removeprefix("Value error, ")
    rule = f"invalid `{field:.80}`: {message[:1].lower()}{message[1:200]}"
    return _make_error(what, rule, quote_value(first.get("input")), place=place, remedy=remedy)


def quote_value(value: object) -> str:
    """Return a short quotation of any value, for a message."""
    try:
        return f"{value!r:.80}"
    except (RecursionError, ValueError):  # deeper than Python descends into, or longer than it counts
        return f"a {type(value).__name__}"


def document(text: str | bytes, *, place: str, what: str, remedy: str = DAMAGED) -> Any:
    """Parse JSON without a check of its structure."""
    try:
        return from_json(text)
    except ValueError as error:  # no JSON, or nested too deeply
        raise _make_error(what, f"invalid JSON: {error}", place=place, remedy=remedy) from error


def parse_toml(file: Path) -> dict[str, Any]:
    """Read a user's TOML file without a check of its structure."""
    text = read_text(file, what=f"`{file.name}`", remedy="fix the file")
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # no TOML, a number that is too long, or deep nesting
        raise UsageError(f"invalid TOML in `{file}`: {error!s:.200}", remedy="fix the file") from error


PYPROJECT = "pyproject.toml"


def read_harness_table(file: Path) -> object | None:
    """Return the table ``[tool.harness]`` of a ``pyproject.toml``, unchecked; ``None`` if it has none.

    Raises
    ------
    UsageError
        If the file cannot be read, or is not TOML.
    """
    return find_harness_table(parse_toml(file))


def find_harness_table(document: Any) -> object | None:
    """Return the table ``[tool.harness]`` of a read ``pyproject.toml``, unchecked; ``None`` if it has none."""
    table = document
    for name in ("tool", "harness"):
        table = table.get(name) if isinstance(table, dict) else None
    return table  # type: ignore[no-any-return]


# Writing

_FREE = "free some space (finished results are kept)"
_LARGER = "allow larger files (finished results are kept)"
_REMEDIES = {errno.ENOSPC: _FREE, errno.EDQUOT: _FREE, errno.EFBIG: _LARGER}


@contextmanager
def report_write_errors(file: Path) -> Iterator[None]:
    """Turn an error of the file system into a :class:`UsageError` that names the file."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"cannot write `{file}`",
            rule=(error.strerror or str(error)).lower(),
            remedy=_REMEDIES.get(error.errno or 0, "choose a writable folder"),
        ) from error


def write_atomically(path: Path, content: str | bytes, *, synced: bool = False) -> None:
    """Write a file so that a reader sees either the old or the new content; text as UTF-8.

    If ``synced``, the data is on the disk when the function returns.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    with report_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
                if synced:
                    stream.flush()
                    os.fsync(descriptor)
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            with suppress(FileNotFoundError):
                Path(temporary).unlink()
            raise


# Chains of lines

ALTERED = "repeat the run, or restore the file from a copy"
"""The way out of a chain that does not hold."""

_LINE = re.compile(rb'(?P<text>.*),"sum":"(?P<sum>[0-9a-f]{16})"}')
_DOCUMENT = re.compile(rb'(?P<text>.*),\n  "sum": "(?P<sum>[0-9a-f]{16})"\n}\n', re.DOTALL)


class Chain(NamedTuple):
    """The lines of a file, and the checksum after each."""

    lines: tuple[bytes, ...]
    """The JSON of each record, without its checksum."""
    sums: tuple[str, ...]
    """One more entry than lines; the first is the checksum of an empty file with this name."""
    torn: int = 0
    """Number of bytes of an incomplete last line."""


def beginning(name: str) -> str:
    """Return the checksum of an empty file; it depends on the name, so that lines of another file do not fit."""
    return checksum(name.encode())


def checksum(content: bytes, before: str = "") -> str:
    """Return the checksum of bytes that follow others."""
    return hashlib.blake2b(before.encode() + content, digest_size=8).hexdigest()


def seal_line(text: str, before: str) -> tuple[bytes, str]:
    """Return a record's JSON as a line that follows others, and the checksum after it."""
    content = text.encode("utf-8")[:-1]
    after = checksum(content, before)
    return content + b',"sum":"%s"}\n' % after.encode(), after


def read_sealed_lines(content: bytes, name: str, *, place: str) -> Chain:
    """Return the lines of a file, after checking that each follows the line before it."""
    *whole, rest = content.split(b"\n")
    sums, lines = [beginning(name)], []
    for number, line in enumerate(whole, 1):
        text, after = unseal_line(line, sums[-1], place=f"{place}:{number}")
        lines.append(text)
        sums.append(after)
    return Chain(tuple(lines), tuple(sums), torn=len(rest))


def unseal_line(line: bytes, before: str, *, place: str, remedy: str = ALTERED) -> tuple[bytes, str]:
    """Return a record's JSON without its checksum, and the checksum."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise _make_error("the records", "the line has no checksum", place=place, remedy=remedy)
    if checksum(match["text"], before).encode() != match["sum"]:
        rule = "the line was altered or does not follow the previous line"
        raise _make_error("the records", rule, place=place, remedy=remedy)
    return match["text"] + b"}", match["sum"].decode()


def seal_document(text: str, name: str) -> str:
    """Return indented JSON with its checksum as the last key."""
    content = text.removesuffix("\n}")
    return f'{content},\n  "sum": "{checksum(content.encode(), beginning(name))}"\n}}\n'


def unseal_document(content: bytes, name: str, *, place: str) -> bytes:
    """Return indented JSON without its checksum."""
    match = _DOCUMENT.fullmatch(content)
    if match is None or checksum(match["text"], beginning(name)).encode() != match["sum"]:
        rule = "the checksum at the end is missing" if match is None else "the checksum does not match"
        raise _make_error("the run", rule, place=place, remedy=ALTERED)
    return match["text"] + b"\n}"


class Journal:
    """A file for appending, which is created if it does not exist; ``chain`` is its present content."""

    def __init__(self, file: Path, chain: Chain) -> None:
        self._file = file
        self._records, self._sum = len(chain.lines), chain.sums[-1]
        with report_write_errors(file):
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(file, flags, 0o644)
            # A line that a killed process did not write to its end.
            self._size = os.fstat(self._descriptor).st_size - chain.torn
            os.ftruncate(self._descriptor, self._size)

    @property
    def state(self) -> FileState:
        """The number of records, and the checksum after the last."""
        return FileState(records=self._records, sum=self._sum)

    def append(self, record: Record) -> None:
        """Append a record."""
        line, after = seal_line(record.model_dump_json(), self._sum)
        with report_write_errors(self._file):
            try:
                rest = memoryview(line)
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
            except OSError:
                os.ftruncate(self._descriptor, self._size)
                raise
        self._size += len(line)
        self._records, self._sum = self._records + 1, after

    def sync(self) -> None:
        """Write the appended records to the disk."""
        with report_write_errors(self._file):
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Append no more."""
        os.close(self._descriptor)


# Runs

RowT = TypeVar("RowT", bound=Record)

HEAD = "run.json"
"""The file of the head within a run."""

_MAKE_ONE = "make one with `harness check TARGET --run NAME`"

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
    Judgment: "judgments.jsonl",
    ComparedLine: "tolerances.jsonl",
    GateFinding: "findings.jsonl",
    Comparison: "comparisons.jsonl",
    Slices: "slices.jsonl",
}
"""File name for each kind of record."""

NAMES = (HEAD, *FILES.values())
"""Names of all files of a run, except for benchmarks."""


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
    def find(cls, name: str, *, synced: bool = False) -> Self:
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
        text = seal_document(run.model_dump_json(indent=2), HEAD)
        write_atomically(self.path / HEAD, text, synced=self._synced)

    def revise(self, **changes: Any) -> None:
        """Change fields of the head."""
        self.write_head(self.head().model_copy(update=changes))

    def clear(self) -> None:
        """Remove the records, and nothing else that lies in the folder."""
        with report_write_errors(self.path):
            for file in (*self.path.glob("bench-*.json"), *(self.path / name for name in NAMES)):
                file.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove incomplete temporary files of a killed process."""
        for name in NAMES:
            for file in self.path.glob(f".{name}.*"):
                file.unlink(missing_ok=True)

    def head(self) -> Run:
        """Read ``run.json``."""
        file = self.path / HEAD
        if not self.is_run:
            rule = "a run is a folder with a `run.json`"
            raise UsageError(f"no run in `{self.path}`", rule=rule, remedy=_MAKE_ONE)
        content = read_bytes(file, what="the run")
        _reject_other_schema(content, file)
        text = unseal_document(content, HEAD, place=str(file))
        return parse_record(Run, text, place=str(file), what=f"a run of schema {SCHEMA}")

    # Records

    def chain(self, kind: type[Record]) -> Chain:
        """Read the lines of a kind of record, after checking that none was altered, lost or added."""
        name = FILES[kind]
        file = self.path / name
        chain = read_sealed_lines(read_bytes(file) if is_there(file) else b"", name, place=str(file))
        if self.is_run:
            _reject_lost(chain, self.head(), name, file)
        elif chain.torn:
            raise _make_loss_error(f"{file}:{len(chain.lines) + 1}", "the last line is cut off")
        return chain

    def write(self, kind: type[RowT], rows: Iterable[RowT]) -> None:
        """Replace the file of a kind of record."""
        name, lines = FILES[kind], []
        after = beginning(name)
        for row in rows:
            line, after = seal_line(row.model_dump_json(), after)
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
            self.revise(replaced={key: was for key, was in self.head().replaced.items() if key != name})

    def read(self, kind: type[RowT]) -> list[RowT]:
        """Read every record of a kind; a missing file gives an empty list.

        The last record with a key counts.
        """
        return [row for _, row in self._number_rows(kind)]

    def places(self, kind: type[RowT]) -> Iterator[tuple[str, RowT]]:
        """Yield every record of a kind with its place in the run, such as ``verdicts.jsonl:17``."""
        for number, row in self._number_rows(kind):
            yield f"{FILES[kind]}:{number}", row

    def _number_rows(self, kind: type[RowT]) -> list[tuple[int, RowT]]:
        file, description = self.path / FILES[kind], f"a record of schema {SCHEMA}"
        rows: dict[object, tuple[int, RowT]] = {}
        for number, line in enumerate(self.chain(kind).lines, 1):
            row = parse_record(kind, line, place=f"{file}:{number}", what=description)
            rows[getattr(row, "key", number)] = (number, row)
        return list(rows.values())

    def compact(self, kind: Any) -> None:
        """Leave the records that count, where there are others."""
        rows = self.read(kind)
        if len(rows) < len(self.chain(kind).lines):
            self.write(kind, rows)

    # Benchmarks

    def benchmarks(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield suite name and pytest-benchmark document of each benchmark file, sorted by name."""
        head = self.head() if self.is_run else None
        states = {name: _list_states(head, name) for name in head.files if name.startswith("bench-")} if head else {}
        description, remedy = "a benchmark file", "run `harness bench` again"
        for name in sorted({*states, *(file.name for file in self.path.glob("bench-*.json"))}):
            file = self.path / name
            content = read_bytes(file, what=description, remedy=remedy)
            if name in states and checksum(content) not in {state.sum for state in states[name]}:
                raise _make_error(description, "the checksum does not match", place=file, remedy=remedy)
            text = decode(content, place=str(file), what=description, remedy=remedy)
            yield file.stem.removeprefix("bench-"), document(text, place=str(file), what=description, remedy=remedy)

    @classmethod
    def latest(cls, root: Path) -> Self:
        """Return the most recently created run below ``root``."""
        heads = [(cls(head.parent).head().created, head.parent) for head in root.glob(f"*/{HEAD}")]
        if not heads:
            raise UsageError(f"no run in `{root}`", remedy=_MAKE_ONE)
        return cls(max(heads)[1])


def sort_by_age(runs: Iterable[RunFolder]) -> list[RunFolder]:
    """Return runs in the order of their creation, without duplicates."""
    distinct = {run.path.resolve(): RunFolder(run.path) for run in runs}
    return sorted(distinct.values(), key=lambda run: (run.head().created, str(run.path)))


def _reject_other_schema(content: bytes, file: Path) -> None:
    head = document(content, place=str(file), what="the run")
    version = head.get("schema_version") if isinstance(head, dict) else None
    if version != SCHEMA or isinstance(version, bool):
        rule, value = f"this version of the harness reads schema {SCHEMA}", f"schema {quote_value(version)}"
        remedy = "read it with the version of the harness that wrote it, or repeat the run"
        raise _make_error("the run", rule, value, place=file, remedy=remedy)


def _list_states(head: Run, name: str) -> list[FileState]:
    """Return the valid contents of a file: the state in the head, and the previous state during a replacement."""
    empty = FileState(records=0, sum=beginning(name))
    return [head.files.get(name, empty), *([head.replaced[name]] if name in head.replaced else [])]


def _reject_lost(chain: Chain, head: Run, name: str, file: Path) -> None:
    """Refuse a file with fewer records than the head counts, or with other records; a growing file may have more."""
    grows = any(work.ended is None for work in head.work)
    states, line_count = _list_states(head, name), len(chain.lines)
    for state in states:
        is_whole = state.records == line_count if not grows else state.records <= line_count
        if is_whole and chain.sums[state.records] == state.sum and (grows or not chain.torn):
            return
    record_count = states[0].records
    if chain.torn and not grows:
        raise _make_loss_error(f"{file}:{line_count + 1}", "the last line is cut off")
    if record_count == line_count:
        raise _make_loss_error(str(file), "the checksum does not match")
    expected = f"expected {record_count:,} record{'' if record_count == 1 else 's'}"
    raise _make_loss_error(f"{file}:{min(record_count, line_count) + 1}", expected, f"{line_count:,}")


def _make_loss_error(place: str, rule: str, value: str | None = None) -> UsageError:
    return _make_error("the records", rule, value, place=place, remedy=ALTERED)
