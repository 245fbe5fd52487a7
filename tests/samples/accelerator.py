"""A simulated accelerator: queued work takes time when the program waits for it."""

from collections.abc import Callable

from harness.timing.clock import NotCapturableError


class Machine:
    """A host and an accelerator with a shared clock: queued work runs when the program waits for it.

    Its device has the name of the CPU, so that tensors can be sent to it.
    """

    name = "cpu"

    def __init__(self, *, capturable: bool = True) -> None:
        self.now_s, self.device_s, self.queued_s = 0.0, 0.0, 0.0
        self.waits = 0
        self.capturable = capturable
        self.log: list[str] = []

    def clock(self) -> float:
        """Return the time of the host."""
        return self.now_s

    def launch(self, host_s: float, device_s: float) -> None:
        """Queue work."""
        self.log.append("launch")
        self.now_s += host_s
        self.queued_s += device_s

    def synchronize(self) -> None:
        """Wait for queued work."""
        self.log.append("synchronize")
        self.waits += 1
        self.now_s += self.queued_s
        self.device_s += self.queued_s
        self.queued_s = 0.0

    def event(self) -> "Mark":
        """Return a fresh mark."""
        return Mark(self)

    def capture(self, _: Callable[[], object]) -> Callable[[], object]:
        """Return a replay that costs the host a tenth."""
        if not self.capturable:
            raise NotCapturableError("it cannot be recorded: it waits")
        return lambda: self.launch(0.1, 2.0)


class Mark:
    """A mark in the queue."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.at_s = 0.0

    def record(self) -> None:
        """Record the time of the device after all queued work."""
        self.machine.log.append("record")
        self.at_s = self.machine.device_s + self.machine.queued_s

    def synchronize(self) -> None:
        """Wait for the work before the mark."""
        self.machine.log.append("wait")
        self.machine.now_s += max(0.0, self.at_s - self.machine.device_s)
        self.machine.queued_s -= max(0.0, self.at_s - self.machine.device_s)
        self.machine.device_s = max(self.machine.device_s, self.at_s)

    def elapsed_time(self, end_event: "Mark") -> float:
        """Return milliseconds."""
        self.machine.log.append("elapsed")
        return (end_event.at_s - self.at_s) * 1e3
