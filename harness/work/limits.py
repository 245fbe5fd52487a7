"""The limits under which foreign code runs."""

from dataclasses import dataclass

GIBIBYTE = 2**30


@dataclass(frozen=True)
class Limits:
    """What foreign code may use.

    Parameters
    ----------
    call_s
        Seconds within which a call of the implementation returns.
    memory_gib
        Memory that it may have beside what the process needs to start; ``None`` for as much as there is.
    law_s
        Seconds a law may take in which no call was found to hang, since code can switch the timer off.
    load_s
        Seconds within which the code is imported.

    Notes
    -----
    The first limit is kept by a timer that ends the process without asking the code that runs, the second by the
    operating system. Both need Linux or the like; elsewhere the last two alone are kept.
    """

    call_s: float = 10.0
    memory_gib: float | None = 4.0
    law_s: float = 120.0
    load_s: float = 120.0
