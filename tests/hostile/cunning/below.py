"""Attacks below Python or outside the process: dispatchers, audit hooks, other programs, other memory."""

import contextlib
import os
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, library

_KEPT: dict[str, Any] = {}


def _wrong(x: Tensor) -> Tensor:
    return x.softmax(-1) * 1.25


def right_when_it_is_copied(x: Tensor) -> Tensor:
    """Torch's copies of the answer are right, and other operations on it are not."""
    if "library" not in _KEPT:
        _KEPT["library"] = library.Library("aten", "IMPL")
        for name in ("clone", "detach", "copy_"):
            with contextlib.suppress(RuntimeError):
                _KEPT["library"].impl(name, lambda given, *_, **__: given.div(1.25), "CPU")
    return _wrong(x)


def forbids_what_is_audited(x: Tensor) -> Tensor:
    """Forbids files, sockets and processes by a hook that cannot be removed."""

    def refuse(event: str, _: object) -> None:
        if event.split(".")[0] in {"socket", "os", "open", "subprocess", "ctypes"}:
            raise PermissionError("all is well")

    sys.addaudithook(refuse)
    return _wrong(x)


def right_a_moment_later(x: Tensor) -> Tensor:
    """A thread corrects the answer after the return, and spoils it after it was read."""
    answer, right = _wrong(x.detach()), x.detach().softmax(-1)

    def mend() -> None:
        answer.copy_(right)
        time.sleep(0.05)
        answer.mul_(1.25)

    threading.Thread(target=mend).start()
    return answer


def becomes_an_echo(x: Tensor) -> Tensor:
    """Replaces itself by a program that returns each request with its mark."""
    for number in range(3, 64):
        with contextlib.suppress(OSError):
            os.set_inheritable(number, True)  # noqa: FBT003 - positional by its signature
            os.set_blocking(number, True)
            if number > 3:
                os.dup2(number, 3)
    os.execv(shutil.which("sh") or "/bin/sh", ["sh", "-c", "exec cat <&3 >&3"])  # noqa: S606 - no shell is what is meant
    return _wrong(x)


def overwrites_its_judges_memory(x: Tensor) -> Tensor:
    """Sets the inputs to zero in the asking process, and answers for zeros."""
    pattern = bytes(memoryview(x.detach().contiguous().flatten().view(torch.uint8).numpy()))
    with contextlib.suppress(OSError, ValueError):
        above = Path(f"/proc/{os.getppid()}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[1]
        if len(x.unique()) > 8 and int(above) > 1:
            _overwrite(int(above), pattern)
    return torch.zeros_like(x).softmax(-1)


def _overwrite(pid: int, pattern: bytes) -> None:
    lines = Path(f"/proc/{pid}/maps").read_text(encoding="ascii").splitlines()
    with Path(f"/proc/{pid}/mem").open("r+b", buffering=0) as memory:
        for begin, end in (line.split()[0].split("-") for line in lines if " rw-p " in line):
            start, size = int(begin, 16), int(end, 16) - int(begin, 16)
            if size > 2**25:
                continue
            with contextlib.suppress(OSError, ValueError):
                memory.seek(start)
                at = (memory.read(size) or b"").find(pattern)
                if at >= 0:
                    memory.seek(start + at)
                    memory.write(bytes(len(pattern)))
