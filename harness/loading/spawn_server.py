"""A process that has imported torch but no user code, and forks workers that would otherwise be spawned.

A forked worker is like a fresh interpreter that has imported torch. It gets the same open files, folder and environment
variables, and executes the command line of that interpreter.
"""

import fcntl
import gc
import os
import pickle
import random
import signal
import socket
import sys
from typing import Any

from harness.compat.python import flush_streams, run_exit_functions

_BEYOND_ALL = 2**30
_MAX_FILES = 250
LENGTH_BYTES = 8
"""Number of bytes for a length or a process number."""


def serve(descriptor: int) -> None:
    """Fork a worker for each request on a line, until the line is closed.

    Notes
    -----
    The requesting process adopts the worker, because the process in between ends at once.
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
        length, descriptors, *_ = socket.recv_fds(line, LENGTH_BYTES, _MAX_FILES)
        if not length:
            break
        request = _read(line, int.from_bytes(length, "little"))
        read_end, write_end = os.pipe()
        between = os.fork()
        if not between:
            if pid := os.fork():
                os.write(write_end, pid.to_bytes(LENGTH_BYTES, "little"))
                os._exit(0)
            signal.signal(signal.SIGINT, interrupted)
            line.detach()
            _become(descriptors, pickle.loads(request))  # noqa: S301 - of the process that started this one
            break
        for number in (write_end, *descriptors):
            os.close(number)
        os.waitpid(between, 0)
        line.sendall(os.read(read_end, LENGTH_BYTES) or bytes(LENGTH_BYTES))
        os.close(read_end)


def _read(line: socket.socket, count: int) -> bytes:
    read = b""
    while len(read) < count and (more := line.recv(count - len(read))):
        read += more
    return read


def _become(descriptors: list[int], request: dict[str, Any]) -> None:
    """Become the spawned process; its files have the same numbers as in the requesting process."""
    first_free = max(*request["files"], *descriptors) + 1
    moved = [fcntl.fcntl(number, fcntl.F_DUPFD, first_free) for number in descriptors]
    os.closerange(3, first_free)
    for number, wanted in zip(moved, request["files"], strict=True):
        os.dup2(number, wanted)
    os.closerange(first_free, _BEYOND_ALL)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv[:] = request["arguments"]
    # A fresh interpreter draws its seeds from the system.
    random.seed()
    sys.modules["torch"].seed()
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed()
    try:
        exec(request["text"], {"__name__": "__main__"})  # noqa: S102 - what is on the command line of that interpreter
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            _end(end.code or 0)
        raise


def _end(code: int) -> None:
    """Exit like an interpreter, but keep the imported modules, because freeing them would copy each page."""
    run_exit_functions()
    flush_streams()
    os._exit(code)
