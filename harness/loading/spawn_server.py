"""A process that has imported torch and nothing of anybody's, and forks where a worker is to be spawned, from inside.

What is forked is what a fresh interpreter would be that has imported torch: it has the open files, the folder and the
variables that it is given, and executes what that interpreter would be given on its command line.
"""

import atexit
import fcntl
import gc
import os
import pickle
import random
import signal
import socket
import sys
from multiprocessing import util
from typing import Any

_BEYOND_ALL = 2**30
_MOST_FILES = 250
LENGTH_BYTES = 8
"""Number of bytes for a length or a process number."""


def serve(descriptor: int) -> None:
    """Fork for each worker that is asked for on a line, until nobody can ask any more.

    Notes
    -----
    The parent of whoever is forked is the process that asks, which adopts it: the process in between ends at once.
    """
    line = socket.socket(fileno=descriptor)
    # Ctrl-C is the business of the process that asks.
    interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)
    import torch

    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()
    may = len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208 - nothing is imported for it
    line.sendall(bytes([may]))
    while may:
        length, given, *_ = socket.recv_fds(line, LENGTH_BYTES, _MOST_FILES)
        if not length:
            break
        asked = _read(line, int.from_bytes(length, "little"))
        here, there = os.pipe()
        between = os.fork()
        if not between:
            if pid := os.fork():
                os.write(there, pid.to_bytes(LENGTH_BYTES, "little"))
                os._exit(0)
            signal.signal(signal.SIGINT, interrupted)
            line.detach()
            _become(given, pickle.loads(asked))  # noqa: S301 - of the process that started this one
            break
        for number in (there, *given):
            os.close(number)
        os.waitpid(between, 0)
        line.sendall(os.read(here, LENGTH_BYTES) or bytes(LENGTH_BYTES))
        os.close(here)


def _read(line: socket.socket, count: int) -> bytes:
    read = b""
    while len(read) < count and (more := line.recv(count - len(read))):
        read += more
    return read


def _become(given: list[int], asked: dict[str, Any]) -> None:
    """Be the process that is spawned; its files have the numbers that they have where it was asked for."""
    beyond = max(*asked["files"], *given) + 1
    moved = [fcntl.fcntl(number, fcntl.F_DUPFD, beyond) for number in given]
    os.closerange(3, beyond)
    for number, wanted in zip(moved, asked["files"], strict=True):
        os.dup2(number, wanted)
    os.closerange(beyond, _BEYOND_ALL)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv[:] = asked["arguments"]
    # A fresh interpreter draws its seeds from the system.
    random.seed()
    sys.modules["torch"].seed()
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed()
    try:
        exec(asked["text"], {"__name__": "__main__"})  # noqa: S102 - what is on the command line of that interpreter
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            _end(end.code or 0)
        raise


def _end(code: int) -> None:
    """End as an interpreter does, but for letting go of all that was imported, of which each page would be copied."""
    atexit._run_exitfuncs()
    util._flush_std_streams()  # type: ignore[attr-defined]
    os._exit(code)
