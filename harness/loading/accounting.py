"""What a process and all its descendants use: CPU time to the nanosecond, memory in fair shares.

``time.process_time`` does not count worker processes. Here a worker counts while it lives, by its own clock, and after
it has ended, by what the operating system has passed on to whoever waited for it.
"""

import resource
import time
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

SHARED_FOLDER = "/dev/shm"  # noqa: S108 - where Linux keeps shared memory; nothing is written there
_CPUCLOCK_SCHED = 2


def cpu_s() -> float:
    """Return the CPU seconds of this process and of all its descendants so far, those that have ended included.

    Notes
    -----
    The sum never decreases, and its differences are what was used in between. A descendant whose parent has ended
    without waiting for it is nobody's child any more, and is not counted.
    """
    while True:
        ended_s, living = _ended_s(), _descendants()
        own_s = time.process_time()
        total_s = own_s + ended_s + sum(map(_cpu_s, living))
        if _ended_s() == ended_s:  # else one ended meanwhile, and would be counted twice or not at all
            return total_s


def _ended_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _descendants() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def _cpu_s(process: psutil.Process) -> float:
    """CPU seconds of a process, its threads and the children it has waited for; zero where it is gone."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    own_s = _clock_s(process.pid)
    return (times.user + times.system if own_s is None else own_s) + times.children_user + times.children_system


def _clock_s(pid: int) -> float | None:
    """The CPU clock of another process, as POSIX ``clock_getcpuclockid`` numbers it; ``/proc`` rounds to 10 ms."""
    if not psutil.LINUX:
        return None
    try:
        return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)
    except OSError:
        return None


@dataclass(frozen=True)
class Memory:
    """Memory of a process and all its descendants, in bytes; ``None`` where the system does not say.

    Parameters
    ----------
    rss_bytes
        Resident: a page that several processes share is counted in each of them.
    pss_bytes
        Proportional: a shared page is divided among those that share it, so that the sum is what is in use.
    uss_bytes
        Unique: what would be free at once if these processes ended.
    shared_bytes
        Of the proportional memory, what lies in shared memory: batches on their way between processes.
    processes
        How many processes these are.
    """

    rss_bytes: int
    pss_bytes: int | None
    uss_bytes: int | None
    shared_bytes: int | None
    processes: int


def memory() -> Memory:
    """Measure the memory of this process and all its descendants now; it takes milliseconds a process."""
    found = [one for process in (psutil.Process(), *_descendants()) if (one := _memory(process)) is not None]
    return Memory(
        sum(one.rss_bytes for one in found),
        _total(one.pss_bytes for one in found),
        _total(one.uss_bytes for one in found),
        _total(one.shared_bytes for one in found),
        len(found),
    )


def _memory(process: psutil.Process) -> Memory | None:
    """Memory of one process; ``None`` where it is gone."""
    try:
        full = process.memory_full_info()
        maps = process.memory_maps(grouped=True) if psutil.LINUX else []
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
    shared = sum(part.pss for part in maps if part.path.startswith(SHARED_FOLDER)) if psutil.LINUX else None
    return Memory(full.rss, getattr(full, "pss", None), getattr(full, "uss", None), shared, 1)


def _total(parts: Iterable[int | None]) -> int | None:
    known = list(parts)
    return sum(part for part in known if part is not None) if None not in known else None
