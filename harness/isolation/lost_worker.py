"""Description of a lost worker, from its exit code and its output."""

import os
import re
import signal
from dataclasses import dataclass
from typing import IO

from harness.isolation.limits import Limits
from harness.record import Fault

OUT_OF_MEMORY = 77
"""Exit code of a worker that has no memory left to answer with."""

SILENT = 78
"""Exit code of a worker that cannot answer, since the line was closed under it."""


@dataclass(frozen=True)
class WorkerFailure:
    """How a process was lost because of an implementation."""

    fault: Fault
    sentence: str
    """Sentence about the implementation, without its name."""


_END = 2**16
"""Size in bytes of the end of the output that is searched for the call stack of a hung call."""


def read_end(printed: IO[bytes]) -> str:
    """Return the end of a process's output."""
    begin = max(0, os.fstat(printed.fileno()).st_size - _END)
    return os.pread(printed.fileno(), _END, begin).decode(errors="replace")


def describe_failure(code: int | None, printed: str, limits: Limits) -> WorkerFailure:
    """Describe how a worker was lost.

    Parameters
    ----------
    code
        Its exit code, negative for a signal; ``None`` if it had not ended at the deadline.
    printed
        The end of its output, with the call stack of a hanging call.
    limits
        Its limits.
    """
    if code is None:
        return WorkerFailure(Fault.HUNG, f"does not finish within {limits.law_s:g} s")
    if code == -signal.SIGALRM:
        return WorkerFailure(
            Fault.HUNG, f"hangs: a call did not return within {limits.call_s:g} s{_find_place(printed)}"
        )
    if code == OUT_OF_MEMORY:
        return WorkerFailure(Fault.MEMORY, f"exceeds the memory limit of {limits.memory_gib:g} GiB")
    if code == SILENT:
        return WorkerFailure(Fault.STATE, "closes files that it has not opened")
    if code < 0:
        name = signal.Signals(-code).name
        meaning = {
            "SIGSEGV": "segmentation fault",
            "SIGABRT": "aborted",
            "SIGKILL": "killed, possibly for its memory use",
        }
        meant = f" ({meaning[name]})" if name in meaning else ""
        return WorkerFailure(Fault.KILLED, f"ends the process with {name}{meant}")
    return WorkerFailure(Fault.EXITED, f"ends the process with exit code {code}")


def _find_place(printed: str) -> str:
    """Return the innermost place of the last call stack."""
    # This imports torch, which a process that only reports does not need.
    from harness.exact.tape import place

    stack = printed.rpartition("most recent call first")[2]
    frames = re.findall(r'^  File "(.+)", line (\d+) in \S+$', stack, re.M)
    return place((file, int(line)) for file, line in frames)
