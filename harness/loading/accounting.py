"""Resources of a process and all its descendants: CPU time in nanoseconds, and proportional memory.

``time.process_time`` does not count worker processes. This module reads the CPU clock of a running worker. The parent's
totals include a worker that has ended.
"""

import ctypes
import os
import resource
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

SHARED_FOLDER = "/dev/shm"  # noqa: S108 - where Linux keeps shared memory; nothing is written there
_CPUCLOCK_SCHED = 2


def cpu_s() -> float:
    """Return the CPU seconds of this process and all its descendants, including ended ones.

    Notes
    -----
    The sum never decreases, so differences are the CPU time between two calls. A descendant is not counted if its
    parent ended without waiting for it.
    """
    return time.process_time() + _others_s()


class Computing:
    """The seconds in which the thread that makes it computes; on Linux also those in which it waits for a core to."""

    def __init__(self) -> None:
        try:
            self._file: int | None = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._file = None

    def __call__(self) -> float:
        """Return the seconds since the start of the thread."""
        if self._file is None:
            return time.thread_time()
        ran, waited, _ = os.pread(self._file, 64, 0).split()
        return (int(ran) + int(waited)) / 1e9

    def ran(self) -> float:
        """Return the CPU seconds of the thread, which are exact."""
        return time.thread_time()

    def measure_wait_s(self) -> float:
        """Return the seconds for which the thread was ready and had no core; 0 if the system does not count them."""
        return 0.0 if self._file is None else int(os.pread(self._file, 64, 0).split()[1]) / 1e9

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class CpuWindow:
    """CPU seconds of this process and all its descendants from now on, without the cost of the measurement."""

    def __init__(self) -> None:
        self._others_s = _others_s()
        self._own_s = time.process_time()

    def close(self) -> float:
        """Return the seconds used since the window was opened."""
        own_s = time.process_time() - self._own_s  # first, as to look for descendants takes a millisecond
        return own_s + _others_s() - self._others_s


class OtherLoad:
    """The mean number of cores that other processes use from now on."""

    def __init__(self) -> None:
        self._began, self._own, self._busy_s = time.perf_counter(), CpuWindow(), _busy_s()

    def cores(self) -> float | None:
        """Return the mean number of cores; ``None`` where the system does not count."""
        busy_s = _busy_s()
        if busy_s is None or self._busy_s is None:
            return None
        wall_s = max(time.perf_counter() - self._began, 1e-9)
        return max(0.0, (busy_s - self._busy_s - self._own.close()) / wall_s)


def _busy_s() -> float | None:
    """Return the CPU seconds that all processes of the machine have used, other guests on the host included."""
    try:
        times = psutil.cpu_times()
    except (OSError, RuntimeError):
        return None
    idle = ("idle", "iowait", "guest", "guest_nice")  # guests count as user time, too
    return float(sum(times) - sum(getattr(times, name, 0.0) for name in idle))


def _others_s() -> float:
    """CPU seconds of all descendants, running or ended."""
    while True:
        ended_s = _ended_s()
        total_s = ended_s + sum(map(_cpu_s, _descendants()))
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
        Proportional: a shared page is divided among its processes, so the sum is the memory in use.
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
    shares = [
        share for process in (psutil.Process(), *_descendants()) if (share := _measure_memory(process)) is not None
    ]
    return Memory(
        sum(share.rss_bytes for share in shares),
        _sum_known(share.pss_bytes for share in shares),
        _sum_known(share.uss_bytes for share in shares),
        _sum_known(share.shared_bytes for share in shares),
        len(shares),
    )


def measure_bytes_in_use(*, workers: bool = False) -> int:
    """Measure what this process has allocated and not given back, and the private memory of its descendants.

    Notes
    -----
    For this process, the allocator reports the memory in use, which distinguishes a leak from free memory that is kept.
    For descendants, and if the C library has no such report, it is the resident set without shared memory.
    """
    allocated = _allocated_bytes()
    return (allocated if allocated is not None else psutil.Process().memory_info().rss) + sum(
        map(_measure_private, _descendants() if workers else ())
    )


def count_files(*, workers: bool = False) -> int:
    """Return the number of open files of this process, and of its descendants; 0 on systems that do not list them."""
    total = 0
    for process in ("self", *(str(worker.pid) for worker in (_descendants() if workers else ()))):
        with suppress(OSError):
            total += len(os.listdir(f"/proc/{process}/fd"))  # noqa: PTH208 - a count; elsewhere this folder is missing
    return total


def places_in_files() -> dict[tuple[int, str], str]:
    """Return the places from which files that are open for reading only are read next, on Linux."""
    places = {}
    for file in Path("/proc/self/fd").glob("*"):
        with suppress(OSError):
            path, facts = str(file.readlink()), Path("/proc/self/fdinfo", file.name).read_text().split()
            if Path(path).is_file() and not int(facts[3], 8) & (os.O_WRONLY | os.O_RDWR):
                places[int(file.name), path] = facts[1]
    return places


_MALLINFO = ["arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"]


class _Allocated(ctypes.Structure):
    """What glibc's ``mallinfo2`` returns."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in _MALLINFO)


def _allocated_bytes() -> int | None:
    try:
        request = ctypes.CDLL(None).mallinfo2
    except (OSError, AttributeError):
        return None
    request.restype = _Allocated
    reply = request()
    return int(reply.uordblks) + int(reply.hblkhd)


def _measure_private(process: psutil.Process) -> int:
    try:
        used = process.memory_info()
    except psutil.NoSuchProcess:
        return 0
    return int(used.rss) - int(getattr(used, "shared", 0))


def _measure_memory(process: psutil.Process) -> Memory | None:
    """Return the memory of a process; ``None`` if it is gone."""
    try:
        if not psutil.LINUX:
            full = process.memory_full_info()
            return Memory(full.rss, None, getattr(full, "uss", None), None, 1)
        sums = _read_sums(process.pid)
        if SHARED not in sums:  # a kernel before 5.4
            return _memory_of_maps(process.memory_maps(grouped=True))
    except (psutil.NoSuchProcess, psutil.AccessDenied, ProcessLookupError, PermissionError, FileNotFoundError):
        return None
    private = sums["Private_Clean"] + sums["Private_Dirty"]
    return Memory(sums["Rss"], sums["Pss"], private, sums[SHARED], 1)


SHARED = "Pss_Shmem"


def _read_sums(pid: int) -> dict[str, int]:
    """Return the kernel's totals for a process in bytes, which takes a third of the time of reading each map."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    pairs = (line.split()[:2] for line in lines)
    return {name.removesuffix(":"): 1024 * int(kibibytes) for name, kibibytes in pairs}


def _memory_of_maps(maps: Iterable[Any]) -> Memory:
    """Add up the maps one by one."""
    parts = list(maps)
    return Memory(
        sum(part.rss for part in parts),
        sum(part.pss for part in parts),
        sum(part.private_clean + part.private_dirty for part in parts),
        sum(part.pss for part in parts if part.path.startswith(SHARED_FOLDER)),
        1,
    )


def _sum_known(parts: Iterable[int | None]) -> int | None:
    values = list(parts)
    return sum(part for part in values if part is not None) if None not in values else None
