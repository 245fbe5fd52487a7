"""CUDA graphs on simulated devices: warm-up and capture on a side stream, synchronization, and refusals."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from harness.timing.clock import WARM_CALLS, NotCapturableError, TorchAccelerator, capture_graph


class FakeCuda:
    """The part of ``torch.cuda`` that a capture uses, with a log."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, refusing: str = "") -> None:
        self.log: list[str] = []
        self.refusing = refusing
        fakes = {
            "Stream": lambda: FakeStream("side", self.log),
            "current_stream": lambda: FakeStream("default", self.log),
            "stream": lambda stream: self.within(f"on {stream.name}"),
            "graph": lambda _, stream: self.within(f"capture on {stream.name}"),
            "CUDAGraph": lambda: FakeGraph(self.log),
            "synchronize": lambda: self.log.append("synchronize"),
        }
        for name, fake in fakes.items():
            monkeypatch.setattr(torch.cuda, name, fake)

    @contextmanager
    def within(self, what: str) -> Iterator[None]:
        """Log begin and end, and refuse a capture if configured."""
        self.log.append(what)
        yield
        if what.startswith("capture") and self.refusing:
            raise RuntimeError(self.refusing)
        self.log.append("end")


class FakeStream:
    """A stream with a name."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log

    def wait_stream(self, other: "FakeStream") -> None:
        """Log the waiting stream and the other stream."""
        self.log.append(f"{self.name} waits for {other.name}")


class FakeGraph:
    """A graph that logs its replay."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    def replay(self) -> None:
        """Log it."""
        self.log.append("replay")


def test_a_step_is_warmed_and_captured_on_one_side_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """The streams wait for each other, and the result replays the graph."""
    cuda = FakeCuda(monkeypatch)
    replay = capture_graph(lambda: cuda.log.append("step"), "cuda")
    replay()
    warm = ["side waits for default", "on side", *["step"] * WARM_CALLS, "end", "default waits for side"]
    assert cuda.log == [*warm, "capture on side", "step", "end", "replay"]


def test_a_refused_capture_has_its_reason_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the first line of torch's error, and the device is synchronized before its next use."""
    cuda = FakeCuda(monkeypatch, refusing="operation not permitted when stream is capturing\nmore of it")
    with pytest.raises(NotCapturableError, match=r"^recording failed: operation not permitted .* capturing$"):
        capture_graph(lambda: None, "cuda")
    assert cuda.log[-1] == "synchronize"


def test_other_devices_have_no_such_graphs() -> None:
    """The reason names the device."""
    with pytest.raises(NotCapturableError, match="torch records graphs only on cuda, not on mps"):
        TorchAccelerator("mps").capture(lambda: None)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA on this machine")
def test_a_real_graph_repeats_what_was_recorded() -> None:
    """Each replay adds one."""
    total = torch.zeros(4, device="cuda")
    replay = capture_graph(lambda: total.add_(1.0), "cuda")
    before = total.clone()
    replay()
    replay()
    assert torch.equal(total, before + 2.0)
