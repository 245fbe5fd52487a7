"""Reading untrusted files: regular files of a bounded size, text in UTF-8, JSON as records.

Everything else is a :class:`~harness.error.UsageError` with the file, the rule, the value and the remedy. Reading never
blocks: pipes and devices are refused unread.
"""

import os
import stat
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from harness.error import UsageError

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
