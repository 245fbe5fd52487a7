"""Damage to a file, drawn from a seed, like that from disks, editors, merges and rogue code."""

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

Mutation = Callable[[bytes, random.Random], bytes]

DEEP = 100_000
"""Number of nested brackets, beyond the depth of any parser."""

SPARSE = 2**42
"""Size of a file that exceeds any memory."""

OTHERS: tuple[Any, ...] = (None, True, -1, 0, 10**400, -0.5, 1e999, "", "x", "\x1b[2J", [], [[]], {}, {"a": 1})
"""Replacements for a value."""


def flip(content: bytes, draw: random.Random) -> bytes:
    """Flip a bit."""
    place = draw.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << draw.randrange(8)]) + content[place + 1 :]


def overwrite(content: bytes, draw: random.Random) -> bytes:
    """Overwrite some bytes."""
    place, length = draw.randrange(len(content)), draw.choice([1, 2, 8, 100])
    return content[:place] + draw.randbytes(length) + content[place + length :]


def truncate(content: bytes, draw: random.Random) -> bytes:
    """Cut off the end."""
    return content[: draw.randrange(len(content))]


def insert(content: bytes, draw: random.Random) -> bytes:
    """Insert invalid UTF-8 or a control character."""
    place = draw.randrange(len(content) + 1)
    return content[:place] + draw.choice([b"\xff", b"\xc3", b"\x00", b"\x1b[2J", b"\xed\xa0\x80"]) + content[place:]


def pad(content: bytes, draw: random.Random) -> bytes:
    """Replace the end by zeros, like blocks that were never written."""
    return content + bytes(draw.choice([1, 512, 4096]))


def delete(content: bytes, draw: random.Random) -> bytes:
    """Delete some lines."""
    lines = content.splitlines(keepends=True)
    first = draw.randrange(len(lines))
    del lines[first : first + draw.choice([1, 1, 2, 5, len(lines)])]
    return b"".join(lines)


def duplicate(content: bytes, draw: random.Random) -> bytes:
    """Write a line twice."""
    lines = content.splitlines(keepends=True)
    line = draw.choice(lines)
    lines.insert(draw.randrange(len(lines) + 1), line)
    return b"".join(lines)


def reorder(content: bytes, draw: random.Random) -> bytes:
    """Exchange two lines."""
    lines = content.splitlines(keepends=True)
    a, b = draw.randrange(len(lines)), draw.randrange(len(lines))
    lines[a], lines[b] = lines[b], lines[a]
    return b"".join(lines)


def splice(content: bytes, draw: random.Random) -> bytes:
    """Copy a part of the file to another place."""
    start, end = sorted(draw.randrange(len(content) + 1) for _ in range(2))
    place = draw.randrange(len(content) + 1)
    return content[:place] + content[start:end] + content[place + (end - start) * draw.randrange(2) :]


def swap(content: bytes, draw: random.Random) -> bytes:
    """Change the type of a value in a JSON line, remove it, or add a key."""
    lines = content.decode(errors="replace").splitlines()
    for number in draw.sample(range(len(lines)), min(3, len(lines))):
        try:
            document = json.loads(lines[number])
        except ValueError:
            continue
        _swap_within(document, draw)
        lines[number] = json.dumps(document)
        return ("\n".join(lines) + "\n").encode()
    try:
        document = json.loads(content)
    except ValueError:
        return flip(content, draw)
    _swap_within(document, draw)
    return json.dumps(document).encode()


def _swap_within(document: Any, draw: random.Random) -> None:
    if not isinstance(document, dict | list) or not document:
        return
    inner = list(document) if isinstance(document, dict) else list(range(len(document)))
    key = draw.choice(inner)
    if isinstance(document[key], dict | list) and document[key] and draw.random() < 0.7:
        _swap_within(document[key], draw)
    elif isinstance(document, dict) and draw.random() < 0.2:
        document[draw.choice(["surprise", "kind", "status"])] = draw.choice(OTHERS)
    elif draw.random() < 0.2:
        del document[key]
    else:
        document[key] = draw.choice(OTHERS)


def nest(content: bytes, draw: random.Random) -> bytes:
    """Insert nested brackets, as a line or as a value."""
    deep = draw.choice([b"[", b'{"a":']) * DEEP
    place = draw.choice([0, len(content), content.rfind(b":") + 1, content.find(b"=") + 1])
    return content[:place] + deep + content[place:]


def empty(_: bytes, __: random.Random) -> bytes:
    """Remove the content."""
    return b""


BYTES: tuple[Mutation, ...] = (
    flip,
    flip,
    overwrite,
    truncate,
    insert,
    pad,
    delete,
    duplicate,
    reorder,
    splice,
    swap,
    swap,
    nest,
    empty,
)
"""Mutations of the bytes of a file."""


def fifo(file: Path) -> None:
    """Replace the file by a pipe without a writer."""
    os.mkfifo(file)


def folder(file: Path) -> None:
    """Replace the file by a folder."""
    file.mkdir()


def loop(file: Path) -> None:
    """Replace the file by a link to itself."""
    file.symlink_to(file.name)


def dangling(file: Path) -> None:
    """Replace the file by a link to a missing file."""
    file.symlink_to("nothing-of-this-name")


def device(file: Path) -> None:
    """Replace the file by an endless device."""
    file.symlink_to("/dev/zero")


def sparse(file: Path) -> None:
    """Replace the file by a sparse file that is larger than any memory."""
    with file.open("wb") as stream:
        stream.truncate(SPARSE)


def gone(_: Path) -> None:
    """Remove the file."""


KINDS: tuple[Callable[[Path], None], ...] = (fifo, folder, loop, dangling, device, sparse, gone)
"""Replacements for a whole file."""
