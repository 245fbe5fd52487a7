"""Streams and events of the simulated device, with the methods of ``torch.Stream`` and ``torch.Event``."""

from typing import Any

import torch

from simulated_device.machine import Device, Queue, read_parameters

DEVICE = Device(read_parameters())


class Stream:
    """A queue of its own; the default one without arguments of a kind that torch gives."""

    def __init__(self, _: Any = None, *, queue: Queue | None = None, **__: Any) -> None:
        self.queue = queue or Queue()
        if queue is None:
            DEVICE.queues.append(self.queue)
        self.before: list[Stream] = []

    @property
    def device(self) -> torch.device:
        """Return the device, which has no name before its registration."""
        return torch.device("sim", 0)

    def __enter__(self) -> "Stream":
        """Let operations go here."""
        self.before.append(current())
        choose(self)
        return self

    def __exit__(self, *_: object) -> None:
        """Let them go where they went before."""
        choose(self.before.pop())

    def synchronize(self) -> None:
        """Wait for this stream."""
        DEVICE.synchronize(self.queue)

    def query(self) -> bool:
        """Whether all its work is done."""
        return self.queue.end_s <= DEVICE.host.now()

    def record_event(self, event: "Event | None" = None) -> "Event":
        """Add a mark."""
        event = event or Event()
        event.record(self)
        return event

    def wait_event(self, event: "Event") -> None:
        """Let later work here wait for a mark."""
        self.queue.end_s = max(self.queue.end_s, event.moment_s or 0.0)

    def wait_stream(self, stream: "Stream") -> None:
        """Let later work here wait for the present work of another stream."""
        self.queue.end_s = max(self.queue.end_s, stream.queue.end_s)


class Event:
    """A mark in a stream."""

    def __init__(self, _: Any = None, *, enable_timing: bool = False, **__: Any) -> None:
        self.timing, self.moment_s = enable_timing, None

    moment_s: float | None

    def record(self, stream: Stream | None = None) -> None:
        """Add the mark to the present stream, or to another one."""
        self.moment_s = max((stream or current()).queue.end_s, DEVICE.host.now())

    def wait(self, stream: Stream | None = None) -> None:
        """Let later work of a stream wait."""
        (stream or current()).wait_event(self)

    def synchronize(self) -> None:
        """Let the host wait."""
        DEVICE.host.spend(DEVICE.parameters.wait_s)
        DEVICE.host.wait_until(self.moment_s or 0.0)

    def query(self) -> bool:
        """Whether the device has passed the mark."""
        return (self.moment_s or 0.0) <= DEVICE.host.now()

    def elapsed_time(self, end_event: "Event") -> float:
        """Return the milliseconds between two marks."""
        if not (self.timing and end_event.timing):
            raise ValueError("Both events must be created with argument 'enable_timing=True'.")
        if self.moment_s is None or end_event.moment_s is None:
            raise ValueError("Both events must be recorded before calculating elapsed time.")
        if DEVICE.parameters.synchronizes and not (self.query() and end_event.query()):
            raise RuntimeError("Both events must be completed before calculating elapsed time.")
        return (end_event.moment_s - self.moment_s) * 1e3


DEFAULT = Stream(queue=DEVICE.queues[0])
_current = [DEFAULT]


def current(*_: object) -> Stream:
    """Return the stream to which operations go."""
    return _current[0]


def choose(stream: Stream) -> None:
    """Let operations go to a stream."""
    _current[0] = stream
