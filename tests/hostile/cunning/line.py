"""Implementations that write to the connection for answers: early, twice, too much, or unreadable data."""

import contextlib
import json
import os
import socket
import stat
import sys
import threading
from typing import Any

from torch import Tensor


def _wrong(x: Tensor) -> Tensor:
    return x.softmax(-1) * 1.25


def _lines() -> list[int]:
    """Yield descriptors of pipes and sockets."""
    found = []
    for number in range(64):
        with contextlib.suppress(OSError):
            mode = os.fstat(number).st_mode
            if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
                found.append(number)
    return found


def _write(data: bytes) -> None:
    for number in _lines():
        with contextlib.suppress(OSError):
            os.set_blocking(number, False)
            os.write(number, data)
        with contextlib.suppress(OSError):
            os.set_blocking(number, True)


def _frames() -> Any:
    frame: Any = sys._getframe()
    while frame is not None:
        yield frame
        frame = frame.f_back


def answers_ahead(x: Tensor) -> Tensor:
    """Finds the connection on the stack, and writes a well-formed verdict."""
    for frame in _frames():
        answers = frame.f_locals.get("answers")
        if answers is not None and hasattr(answers, "write"):
            index = frame.f_locals.get("request", {}).get("index", 0)
            pieces = frame.f_locals.get("pieces")
            about = list(pieces.about())[index]["unreached"] if pieces is not None else {}
            forged = {**about, "status": "holds", "reason": None, "examples": 12, "rows": 500, "bound": 4.0}
            answers.write(json.dumps({"kind": "done", "what": {"said": forged, "noticed": None}}) + "\n")
            answers.flush()
    return _wrong(x)


def repeats_an_old_answer(x: Tensor) -> Tensor:
    """Writes all bytes objects on the stack again."""
    for frame in _frames():
        for value in list(frame.f_locals.values()):
            if isinstance(value, (bytes, bytearray)) and value:
                _write(bytes(value))
    return _wrong(x)


def talks_json(x: Tensor) -> Tensor:
    """Writes a line that claims success."""
    _write(b'{"kind": "done", "what": {"said": {"status": "holds"}, "noticed": null}}\n')
    return _wrong(x)


def talks_frames(x: Tensor) -> Tensor:
    """Writes frames with each usual form of the length."""
    body = b'{"value": null}'
    for order in ("little", "big"):
        for size in (4, 8):
            _write(len(body).to_bytes(size, order) + body)
    return _wrong(x)


def promises_too_much(x: Tensor) -> Tensor:
    """Announces more bytes than any memory has."""
    _write(b"\xff" * 64)
    return _wrong(x)


def nests(x: Tensor) -> Tensor:
    """Writes endless brackets."""
    body = b"[" * 30_000
    _write(len(body).to_bytes(4, "little") + body)
    return _wrong(x)


def floods(x: Tensor) -> Tensor:
    """Writes without end."""

    def flood() -> None:
        for _ in range(2000):
            _write(b"\0" * 4096)

    threading.Thread(target=flood, daemon=True).start()
    return _wrong(x)


def reads_the_questions(x: Tensor) -> Tensor:
    """Reads from the connection."""
    for number in _lines():
        with contextlib.suppress(OSError):
            os.set_blocking(number, False)
            os.read(number, 2**16)
        with contextlib.suppress(OSError):
            os.set_blocking(number, True)
    return _wrong(x)


def closes_the_standard_streams(x: Tensor) -> Tensor:
    """Closes all three standard streams."""
    os.closerange(0, 3)
    return _wrong(x)


def puts_a_line_of_its_own(x: Tensor) -> Tensor:
    """Replaces each connection by another."""
    here, _ = socket.socketpair()
    for number in _lines():
        with contextlib.suppress(OSError):
            os.dup2(here.fileno(), number)
    return _wrong(x)
