"""Chains of lines: each line of a file carries a checksum of itself and of all lines before it.

An altered, deleted, exchanged, repeated or foreign line does not follow the line before it. The number of lines in the
head reveals missing lines at the end. This is no signature: a chain that is rewritten as a whole remains undetected.
"""

import hashlib
import re
from dataclasses import dataclass

from harness.error import UsageError

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
