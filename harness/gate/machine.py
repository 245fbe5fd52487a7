"""State of the machine during a measurement: one measurement at a time, load, stolen time, clock rate."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from harness.error import UsageError

PATIENCE_S = 600.0
"""Maximum seconds to wait for another measurement."""


@dataclass(frozen=True)
class Condition:
    """The state of the machine. Unknown is ``None``.

    Parameters
    ----------
    load
        Processes that ran or waited to, on average over the minute before.
    stolen_s, total_s
        CPU time since the machine started: given to other virtual machines, and in total.
    frequency_hz
        Clock rate.
    """

    load: float | None
    stolen_s: float | None
    total_s: float
    frequency_hz: float | None

    def steal_since(self, before: "Condition") -> float | None:
        """Share of the time since then that the hypervisor gave to others."""
        if self.stolen_s is None or before.stolen_s is None:
            return None
        passed_s = self.total_s - before.total_s
        return (self.stolen_s - before.stolen_s) / passed_s if passed_s > 0 else None


def condition() -> Condition:
    """Look at the machine now."""
    times = psutil.cpu_times()
    frequency = psutil.cpu_freq() if hasattr(psutil, "cpu_freq") else None
    return Condition(
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        stolen_s=getattr(times, "steal", None),
        total_s=sum(times),
        frequency_hz=frequency.current * 1e6 if frequency else None,
    )


@contextmanager
def alone(patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Keep other measurements of this user away; two at a time would measure each other.

    Raises
    ------
    UsageError
        If another one is still running when patience is at its end.
    """
    # In the machine's own folder for temporary files: the lock is the machine's, and not a checkout's.
    lock = FileLock(Path(tempfile.gettempdir(), f"harness-measurement-{os.getuid()}.lock"), timeout=patience_s)
    try:
        acquired = lock.acquire(poll_interval=0.5)
    except Timeout as error:
        raise UsageError(
            "another measurement is already running",
            place=lock.lock_file,
            remedy="wait for it to finish",
        ) from error
    with acquired:
        yield
