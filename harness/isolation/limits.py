"""The limits under which user code runs."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

GIBIBYTE = 2**30


def _make_limit(default: Any, option: str, metavar: str, least: float | None, text: str) -> Any:
    """Declare a limit that a user sets: its default, and the option with its placeholder, minimum and help."""
    return field(default=default, metadata={"option": option, "metavar": metavar, "least": least, "help": text})


@dataclass(frozen=True)
class Limits:
    """Limits of foreign code, and the options that set them.

    Parameters
    ----------
    call_s
        Seconds for a call of the implementation.
    first_call_s
        Seconds for the first call in each process and for each kind of compilation; it may compile and import.
    memory_gib
        Memory in addition to that of the process at its start; ``None`` for no limit.
    sandbox
        Words before the command that starts the process of the code; none when absent.
    law_s
        Seconds for a piece of work without a hanging call, because code can disable the timer.
    load_s
        Seconds for the import of the code, with the start of its process.
    scratch
        Folder for the temporary folder of the process; the owner removes it. The system's folder when absent.

    Notes
    -----
    A timer ends the process after the time for a call, whatever the code does. The operating system limits the memory.
    Both need a system like Linux; other systems apply only the last two limits.
    """

    call_s: float = _make_limit(10.0, "--timeout", "SECONDS", 0.01, "Time limit for one call of user code, in seconds.")
    first_call_s: float = _make_limit(
        60.0,
        "--first-call-seconds",
        "SECONDS",
        0.01,
        "Time limit for the first call, which may compile or import, in seconds.",
    )
    memory_gib: float | None = _make_limit(4.0, "--memory", "GIB", 0.1, "Memory limit for user code, in GiB.")
    sandbox: str | None = _make_limit(
        None, "--sandbox", "COMMAND", None, "Command that starts the process of user code, such as bwrap."
    )
    law_s: float = 120.0
    load_s: float = _make_limit(
        120.0, "--import-seconds", "SECONDS", 0.1, "Time limit for the import of user code, in seconds."
    )
    scratch: str | None = None

    @property
    def memory_bytes(self) -> int | None:
        """The memory limit in bytes."""
        return None if self.memory_gib is None else int(self.memory_gib * GIBIBYTE)


def limit_memory(more: int | None, *, hard: bool = True) -> None:
    """Limit the growth of the private memory of this process, in bytes, if the system reports that memory.

    The address space is not limited, because accelerators reserve much more than they use. A limit that is not ``hard``
    can be changed again.
    """
    if more is None:
        return
    import resource

    with suppress(OSError), open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - nothing is imported
        limit = int(file.read().split()[5]) * resource.getpagesize() + more
        resource.setrlimit(
            resource.RLIMIT_DATA, (limit, limit if hard else resource.getrlimit(resource.RLIMIT_DATA)[1])
        )
