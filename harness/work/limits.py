"""The limits under which foreign code runs."""

from dataclasses import dataclass, field
from typing import Any

GIBIBYTE = 2**30


def _limit(default: Any, option: str, metavar: str, least: float | None, text: str) -> Any:
    """Declare a limit that a user sets: its default, and the option with its placeholder, minimum and help."""
    return field(default=default, metadata={"option": option, "metavar": metavar, "least": least, "help": text})


@dataclass(frozen=True)
class Limits:
    """What foreign code may use; the only place that says how much, and by which options a user says otherwise.

    Parameters
    ----------
    call_s
        Seconds within which a call of the implementation returns.
    first_call_s
        Seconds within which the first one does, in each process and of each kind that a compiler compiles anew:
        compiling and importing at the first call are no hanging.
    memory_gib
        Memory that it may have beside what the process needs to start; ``None`` for as much as there is.
    sandbox
        Words that are put before the command which starts the process the code runs in; none when absent.
    law_s
        Seconds a piece of work may take in which no call was found to hang, since code can switch the timer off.
    load_s
        Seconds within which the code is imported.
    scratch
        Folder in which the process has its temporary one, which whoever named it removes; the system's when absent.

    Notes
    -----
    The limits of calls are kept by a timer that ends the process without asking the code that runs, that of memory by
    the operating system. Both need Linux or the like; elsewhere the last two alone are kept.
    """

    call_s: float = _limit(10.0, "--timeout", "SECONDS", 0.01, "Time limit for one call of user code, in seconds.")
    first_call_s: float = _limit(
        60.0,
        "--first-call-seconds",
        "SECONDS",
        0.01,
        "Time limit for the first call, which may compile or import, in seconds.",
    )
    memory_gib: float | None = _limit(4.0, "--memory", "GIB", 0.1, "Memory limit for user code, in GiB.")
    sandbox: str | None = _limit(
        None, "--sandbox", "COMMAND", None, "Command that starts the process of user code, such as bwrap."
    )
    law_s: float = 120.0
    load_s: float = 120.0
    scratch: str | None = None
