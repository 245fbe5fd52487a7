"""Files on disk. Errors are one sentence with the file, the rule, the value and the remedy.

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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from harness.error import UsageError
from harness.record.schema import FileState, Record

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


def read_bytes(file: Path, *, what: str = "a record", remedy: str = DAMAGED) -> bytes:
    """Read a whole file, and follow links; ``what`` names its content in messages.

    Raises
    ------
    UsageError
        If it is not a regular file, is too large, or cannot be read.
    """
    problem = f"cannot read {what}"
    try:
        # A pipe would be waited for without this.
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as stream:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                kind = next((name for is_such, name in _KINDS if is_such(status.st_mode)), "something else")
                raise UsageError(problem, rule="not a regular file", value=kind, place=str(file), remedy=remedy)
            if status.st_size > MAX_BYTES:
                raise _too_large(status.st_size, file, what, remedy)
            # No more than that, should it grow meanwhile; and no room for more is taken.
            return stream.read(status.st_size)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(problem, rule=reason.lower(), place=str(file), remedy=remedy) from error


def _too_large(size: int, file: Path, what: str, remedy: str) -> UsageError:
    rule, value = f"the limit is {MAX_BYTES:,} bytes", f"{size:,} bytes"
    return UsageError(f"cannot read {what}", rule=rule, value=value, place=str(file), remedy=remedy)


def read_text(file: Path, *, what: str = "a record", remedy: str = DAMAGED) -> str:
    """Read a text file.

    Raises
    ------
    UsageError
        If it cannot be read, or is not UTF-8; the message names the line.
    """
    return decoded(read_bytes(file, what=what, remedy=remedy), place=str(file), what=what, remedy=remedy)


def decoded(content: bytes, *, place: str, what: str = "a record", remedy: str = DAMAGED) -> str:
    """Return bytes as the text they are.

    Raises
    ------
    UsageError
        If they are no UTF-8; the line is named.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        value = f"the byte 0x{content[error.start]:02x}"
        raise UsageError(
            f"cannot read {what}", rule="the text is not UTF-8", value=value, place=f"{place}:{line}", remedy=remedy
        ) from error


def parsed(
    kind: type[ParsedT], text: str | bytes, *, place: str, what: str = "a record", remedy: str = DAMAGED
) -> ParsedT:
    """Validate the JSON of one record, which was read at ``place``.

    Raises
    ------
    UsageError
        If it is not such a record.
    """
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
    return UsageError(f"cannot read {what}", rule=rule, value=quoted(first.get("input")), place=place, remedy=remedy)


def quoted(value: object) -> str:
    """A value as a message quotes it: in short, whatever it is."""
    try:
        return f"{value!r:.80}"
    except (RecursionError, ValueError):  # deeper than Python descends into, or longer than it counts
        return f"a {type(value).__name__}"


def document(text: str | bytes, *, place: str, what: str, remedy: str = DAMAGED) -> Any:
    """Read JSON of whatever shape.

    Raises
    ------
    UsageError
        If it is none, or is nested too deeply.
    """
    try:
        return from_json(text)
    except ValueError as error:
        raise UsageError(f"cannot read {what}", rule=f"invalid JSON: {error}", place=place, remedy=remedy) from error


def toml_document(file: Path) -> dict[str, Any]:
    """Read TOML of whatever shape that the user writes.

    Raises
    ------
    UsageError
        If the file cannot be read, or is not TOML.
    """
    text = read_text(file, what=f"`{file.name}`", remedy="fix the file")
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # no TOML, a number that is too long, or deep nesting
        raise UsageError(f"invalid TOML in `{file}`: {error!s:.200}", remedy="fix the file") from error


# Writing

_REMEDIES = {
    errno.ENOSPC: "free some space (finished results are kept)",
    errno.EDQUOT: "free some space (finished results are kept)",
    errno.EFBIG: "allow larger files (finished results are kept)",
}


@contextmanager
def written(file: Path) -> Iterator[None]:
    """Turn an error of the file system into a :class:`UsageError` that names the file.

    Raises
    ------
    UsageError
        If the body raises an :class:`OSError`: the disk is full, or the folder is not writable or does not exist.
    """
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

    Parameters
    ----------
    path, content
        The file.
    synced
        Whether to return only after the data is on the disk.

    Raises
    ------
    UsageError
        If it cannot be written; the old content then remains.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    with written(path):
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


ALTERED = "repeat the run, or restore the file from a copy"
"""The way out of a chain that does not hold."""

_LINE = re.compile(rb'(?P<text>.*),"sum":"(?P<sum>[0-9a-f]{16})"}')
_DOCUMENT = re.compile(rb'(?P<text>.*),\n  "sum": "(?P<sum>[0-9a-f]{16})"\n}\n', re.DOTALL)


@dataclass(frozen=True)
class Chain:
    """The lines of a file, and the checksum after each.

    Parameters
    ----------
    lines
        The JSON of each record, without its checksum.
    sums
        One more entry than lines; the first is the checksum of an empty file with this name.
    torn
        Number of bytes of an incomplete last line.
    """

    lines: tuple[bytes, ...]
    sums: tuple[str, ...]
    torn: int = 0


def beginning(name: str) -> str:
    """Return the checksum of an empty file; it depends on the name, so that lines of another file do not fit."""
    return checksum(name.encode())


def checksum(content: bytes, before: str = "") -> str:
    """Return the checksum of bytes that follow others."""
    return hashlib.blake2b(before.encode() + content, digest_size=8).hexdigest()


def sealed(text: str, before: str) -> tuple[bytes, str]:
    """Return a record's JSON as a line that follows others, and the checksum after it."""
    content = text.encode("utf-8")[:-1]
    after = checksum(content, before)
    return content + b',"sum":"%s"}\n' % after.encode(), after


def unsealed(content: bytes, name: str, *, place: str) -> Chain:
    """Return the lines of a file, after checking that each follows the line before it.

    Raises
    ------
    UsageError
        If a line does not; the message names it.
    """
    *whole, rest = content.split(b"\n")
    sums, lines = [beginning(name)], []
    for number, line in enumerate(whole, 1):
        text, after = unsealed_line(line, sums[-1], place=f"{place}:{number}")
        lines.append(text)
        sums.append(after)
    return Chain(tuple(lines), tuple(sums), torn=len(rest))


def unsealed_line(line: bytes, before: str, *, place: str, remedy: str = ALTERED) -> tuple[bytes, str]:
    """Return a record's JSON without its checksum, and the checksum.

    Raises
    ------
    UsageError
        If the checksum does not follow ``before``.
    """
    match = _LINE.fullmatch(line)
    if match is None or checksum(match["text"], before).encode() != match["sum"]:
        rule = "the line was altered or does not follow the previous line"
        if match is None:
            rule = "the line has no checksum"
        raise UsageError("cannot read the records", rule=rule, place=place, remedy=remedy)
    return match["text"] + b"}", match["sum"].decode()


def sealed_document(text: str, name: str) -> str:
    """Return indented JSON with its checksum as the last key."""
    content = text.removesuffix("\n}")
    return f'{content},\n  "sum": "{checksum(content.encode(), beginning(name))}"\n}}\n'


def unsealed_document(content: bytes, name: str, *, place: str) -> bytes:
    """Return indented JSON without its checksum.

    Raises
    ------
    UsageError
        If that is not the checksum of the rest.
    """
    match = _DOCUMENT.fullmatch(content)
    if match is None or checksum(match["text"], beginning(name)).encode() != match["sum"]:
        rule = "the checksum at the end is missing" if match is None else "the checksum does not match"
        raise UsageError("cannot read the run", rule=rule, place=place, remedy=ALTERED)
    return match["text"] + b"\n}"


class Journal:
    """A file for appending, which is created if it does not exist; ``chain`` is its present content."""

    def __init__(self, file: Path, chain: Chain) -> None:
        self._file = file
        self._records, self._sum = len(chain.lines), chain.sums[-1]
        with written(file):
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
        """Append a record.

        Raises
        ------
        UsageError
            If the disk is full; the earlier records remain intact.
        """
        line, after = sealed(record.model_dump_json(), self._sum)
        with written(self._file):
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
        with written(self._file):
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Append no more."""
        os.close(self._descriptor)
