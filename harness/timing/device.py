"""Timing on an accelerator: turns that are timed by events, and the state of the device.

Importing this module imports no torch. Clocks and accelerators are arguments, so that a made-up machine can test them.
"""

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.timing.clock import Accelerator, Clock, device_time
from harness.timing.turns import Slice

MAX_CALLS = 50
"""Maximum number of calls between two events."""

BLOCKED = 3.0
"""A launch that takes this many times the usual one has waited for room in the queue."""

PROBES = 5
"""Launches into an empty queue that show how long the usual one takes."""


def calls_in_queue(
    function: Callable[[], object], accelerator: Accelerator, clock: Clock, *, max_calls: int = MAX_CALLS
) -> int:
    """Return how many calls can be queued before the host has to wait for room in the queue.

    The queue of an accelerator holds about a thousand launches. Beyond that, a launch takes as long as the work, and
    its time says nothing about the host. A call may consist of many launches, so the number of calls is found by
    trial: twice as many each time, until calls take much longer than those into an empty queue.
    """
    direct_s = min(_time_launches(function, accelerator, clock, calls=1)[0] for _ in range(PROBES))
    fitting = 1
    while fitting < max_calls:
        trial = min(2 * fitting, max_calls)
        # The system may interrupt a launch once; a full queue slows all further ones each time.
        attempts = [_time_launches(function, accelerator, clock, calls=trial) for _ in range(2)]
        if min(sum(launch_s > BLOCKED * direct_s for launch_s in launches_s) for launches_s in attempts) > trial // 10:
            return fitting
        fitting = trial
    return fitting


def _time_launches(
    function: Callable[[], object], accelerator: Accelerator, clock: Clock, *, calls: int
) -> Sequence[float]:
    """Return the host's seconds for each of some calls into an empty queue."""
    accelerator.synchronize()
    durations = []
    for _ in range(calls):
        start = clock()
        function()
        durations.append(clock() - start)
    accelerator.synchronize()
    return durations


def time_by_events(launch: Callable[[], object], accelerator: Accelerator, clock: Clock) -> Slice:
    """Return a turn that times queued calls: seconds of the host, of the device by its events, and after the last."""

    def turn(calls: int) -> tuple[float, ...]:
        launch()
        timed = device_time(launch, accelerator, calls=calls, clock=clock)
        return timed.launch_s * calls, timed.device_s * calls, timed.beyond_s * calls

    return turn


FLUSHED = 1.5
"""Size of the buffer that displaces the contents of the second-level cache, in sizes of the cache."""


def make_flush(device: str, l2_bytes: int) -> Callable[[], object]:
    """Return a call that displaces the contents of the second-level cache.

    ROCm reports the cache of one die of several, so the buffer is never smaller than one that fills the device.

    References
    ----------
    ROCm, issue 4203: "incorrect L2_cache_size reported by torch.cuda.get_device_properties".
    """
    import torch

    from harness.timing.roofline import FILLING_BYTES

    return torch.empty(max(int(FLUSHED * l2_bytes), FILLING_BYTES) // 4, device=device).zero_


def time_cold(
    launch: Callable[[], object], flush: Callable[[], object], accelerator: Accelerator, clock: Clock
) -> Slice:
    """Return a turn of calls with a cold cache: seconds of calls that are waited for, and of the device by its events.

    The flush is waited for before the time begins, so that the time includes no part of it. An untimed call comes
    first, so that a flush without effect shows in each timed call, whatever ran before.
    """

    def turn(calls: int) -> tuple[float, ...]:
        launch()
        waited_s = device_s = 0.0
        for _ in range(calls):
            flush()
            accelerator.synchronize()
            start, end, began = accelerator.event(), accelerator.event(), clock()
            start.record()
            launch()
            end.record()
            accelerator.synchronize()
            waited_s += clock() - began
            device_s += start.elapsed_time(end) / 1e3
        return waited_s, device_s

    return turn


THROTTLED = 0.8
"""Share of the highest clock below which a round does not count."""

COOLING_S, PAUSE_S = 10.0, 0.2
"""Seconds for which a measurement waits altogether until the clock has recovered, and between two readings."""

LATE_S = 2.0
"""Longest time before a reading to which it may refer: the driver averages over up to a second, and then holds the
value for as long."""

LAST_READINGS = 6
"""Readings in the second after the rounds, since a sample period takes between a sixth of a second and a second."""


def read_clock(accelerator: Accelerator | None) -> Callable[[], float] | None:
    """Return a function that reads the average clock in MHz over the driver's last sample period.

    Returns
    -------
    read
        ``None`` without a driver's library; that of ``torch.cuda.clock_rate`` is ``nvidia-ml-py`` or ``amdsmi``.
    """
    import torch

    module = None if accelerator is None else torch.get_device_module(accelerator.name)
    read: Callable[[], float] | None = getattr(module, "clock_rate", None)
    if read is not None:
        try:
            read()
        except Exception:  # noqa: BLE001 - the libraries of drivers have their own, such as `NVMLError` for a part of a GPU
            return None
    return read


def watch_clock(read: Callable[[], float], clock: Clock, pause: Callable[[float], object] = time.sleep) -> Slice:
    """Return a turn that reads the clock, and waits while it is low; its values are MHz and the moment in seconds.

    Zero is unknown: torch reports it for an AMD device without the value, and an XPU has it while it sleeps.
    """
    highest_mhz, left_s = 0.0, COOLING_S

    def turn(_: int) -> tuple[float, ...]:
        nonlocal highest_mhz, left_s
        read_mhz = now_mhz = read()
        moment_s = clock()
        highest_mhz = max(highest_mhz, read_mhz)
        while 0.0 < now_mhz < THROTTLED * highest_mhz and left_s > 0.0:
            pause(PAUSE_S)
            left_s -= PAUSE_S
            now_mhz = read()
        return read_mhz, moment_s

    return turn


def list_full_rounds(readings: Sequence[tuple[float, ...]], rounds: int) -> list[int]:
    """Return the numbers of the rounds at the full clock: no low reading refers to them.

    Parameters
    ----------
    readings
        MHz and moment in seconds: one somewhere within each round, and further ones after the last.
    rounds
        Number of rounds.
    """
    limit = THROTTLED * max((mhz for mhz, _ in readings), default=0.0)
    low_s = [moment_s for mhz, moment_s in readings if 0.0 < mhz < limit]
    spans = [(readings[number][1], readings[number + 1][1] + LATE_S) for number in range(rounds)]
    return [number for number, (begin, end) in enumerate(spans) if not any(begin <= s <= end for s in low_s)]


def time_replays(replay: Callable[[], object], accelerator: Accelerator, clock: Clock) -> Slice:
    """Return a turn that times a graph: seconds of calls that are each waited for, and of the device by its events."""

    def turn(calls: int) -> tuple[float, ...]:
        replay()
        accelerator.synchronize()
        start = clock()
        for _ in range(calls):
            replay()
            accelerator.synchronize()
        waited_s = clock() - start
        return waited_s, device_time(replay, accelerator, calls=calls, clock=clock).device_s * calls

    return turn


@dataclass(frozen=True)
class DeviceState:
    """Properties and clocks of an accelerator; ``None`` if unknown.

    Parameters
    ----------
    l2_bytes
        Size of the second-level cache.
    clock_mhz, memory_clock_mhz
        Present clocks of processors and memory.
    power_limit_w
        Present power limit.
    """

    l2_bytes: int | None = None
    clock_mhz: float | None = None
    memory_clock_mhz: float | None = None
    power_limit_w: float | None = None


Query = Callable[[Sequence[str]], str]
"""Runs a command and returns its output."""


def device_state(accelerator: Accelerator | None, query: Query | None = None) -> DeviceState:
    """Return the state of a device as torch reports it, and for a CUDA device as ``nvidia-smi`` does."""
    if accelerator is None:
        return DeviceState()
    import torch

    module = torch.get_device_module(accelerator.name)
    properties = module.get_device_properties() if hasattr(module, "get_device_properties") else None
    sizes = [getattr(properties, name, None) for name in ("L2_cache_size", "last_level_cache_size")]  # CUDA, XPU
    l2_bytes = next(filter(None, sizes), None)
    if accelerator.name != "cuda":
        return DeviceState(l2_bytes)
    return DeviceState(l2_bytes, *_read_values(str(getattr(properties, "uuid", "")), query or _run))


_QUERY = ("clocks.sm", "clocks.mem", "power.limit")


def _read_values(uuid: str, query: Query) -> list[float | None]:
    """Ask ``nvidia-smi`` for clocks and power limit; torch may number devices in another order, so by identifier."""
    which = uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"
    command = ["nvidia-smi", f"--id={which}", f"--query-gpu={','.join(_QUERY)}", "--format=csv,noheader,nounits"]
    try:
        words = query(command).strip().split(",")
    except (OSError, subprocess.SubprocessError):
        words = []
    return [_parse_number(word) for word in words] if len(words) == len(_QUERY) else [None] * len(_QUERY)


def _parse_number(word: str) -> float | None:
    """Return a number; ``None`` for words such as ``[N/A]``."""
    try:
        return float(word)
    except ValueError:
        return None


def _run(command: Sequence[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout
