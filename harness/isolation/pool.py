"""Workers from the other side: they are started, asked, listened to, and replaced where one is lost."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from queue import SimpleQueue
from typing import Any

from pydantic import TypeAdapter

from harness.campaign import Campaign
from harness.error import UsageError
from harness.isolation.limits import Limits
from harness.isolation.loss import SILENT, Loss, loss
from harness.record import Fault, Status, Verdict

LOSSES = 3
"""Workers that a case may cost; its other laws are skipped then."""

HURRY = 0.1
"""Share of the time for a call that is left to a case of which one has hung."""


def decided(campaign: Campaign, limits: Limits, processes: int) -> Iterator[Verdict]:
    """Yield the verdicts of a campaign in the order of its jobs, whatever becomes of the workers.

    Parameters
    ----------
    campaign
        What to decide.
    limits
        Under which the code runs.
    processes
        How many workers decide at a time.

    Raises
    ------
    UsageError
        If the code cannot be loaded.
    """
    workers = [_Worker(campaign, limits) for _ in range(processes)]
    try:
        for worker in workers:
            worker.start()
        desk = _Desk(workers, workers[0].ready(), limits)
        with ThreadPoolExecutor(processes) as threads:
            try:
                yield from threads.map(desk.decide, range(len(desk.verdicts)))
            except BaseException:
                desk.close()
                threads.shutdown(wait=False, cancel_futures=True)
                raise
    finally:
        for worker in workers:
            worker.end()


class _Desk:
    """Hands jobs to idle workers, and gives a case up that costs too many of them."""

    def __init__(self, workers: list["_Worker"], verdicts: list[Verdict], limits: Limits) -> None:
        self.verdicts = verdicts
        self._limits = limits
        self._workers = workers
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        for worker in workers:
            self._idle.put(worker)
        self._lost: Counter[str] = Counter()
        self._hung: set[str] = set()

    def close(self) -> None:
        """Let nobody wait any longer."""
        for worker in self._workers:
            worker.retire()

    def decide(self, index: int) -> Verdict:
        """Reach one verdict, or say why it cannot be."""
        unreached = self.verdicts[index]
        case = unreached.case
        worker = self._idle.get()
        try:
            if self._lost[case] >= LOSSES:
                reason = f"not tried: {LOSSES} calls of {case} before did not come back"
                return unreached.model_copy(update={"reason": reason})
            call_s = self._limits.call_s * (HURRY if case in self._hung else 1.0)
            started = time.perf_counter()
            answer = worker.ask(index, call_s)
        finally:
            self._idle.put(worker)
        if isinstance(answer, Verdict):
            return answer
        self._lost[case] += 1
        if answer.fault is Fault.HUNG:
            self._hung.add(case)
        return unreached.model_copy(
            update={
                "status": Status.ERROR,
                "fault": answer.fault,
                "reason": f"{case} {answer.sentence}",
                "duration_s": time.perf_counter() - started,
            }
        )


@dataclass
class _Worker:
    """One process, started anew when it was lost."""

    campaign: Campaign
    limits: Limits
    process: subprocess.Popen[bytes] | None = None
    retired: bool = False

    def start(self) -> None:
        """Start the process; what it prints goes into a file without a name."""
        self.printed = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self.received = b""
        self.verdicts: list[Verdict] | None = None
        self.process = subprocess.Popen(
            # Without the working directory on the path, so that no file in it stands in for a module of ours.
            [sys.executable, "-P", "-c", "from harness.isolation.worker import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.printed,
            start_new_session=True,
        )
        campaign = TypeAdapter(Campaign).dump_python(self.campaign, mode="json")
        self._send({"campaign": campaign, "limits": asdict(self.limits)})

    def ready(self) -> list[Verdict]:
        """Wait until the code is loaded, and return the verdicts there will be.

        Raises
        ------
        UsageError
            If it cannot be loaded.
        """
        if self.verdicts is None:
            answer = self._answer(replace(self.limits, law_s=self.limits.load_s))
            if isinstance(answer, Loss):
                self.end()
                raise UsageError(
                    rule="the file or module can be imported",
                    value=f"one that {answer.sentence} while it is",
                    place=f"`{self.campaign.target}`",
                )
            self.verdicts = [Verdict.model_validate(document) for document in answer]
        return self.verdicts

    def ask(self, index: int, call_s: float) -> Verdict | Loss:
        """Have one verdict reached."""
        if self.process is None:
            self.start()
        self.ready()
        self._send({"index": index, "call_s": call_s})
        answer = self._answer(replace(self.limits, call_s=call_s))
        if isinstance(answer, Loss):
            self.end()
            return answer
        return Verdict.model_validate(answer)

    def end(self) -> None:
        """End the process and whatever it has started."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.printed):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        self.process = None

    def retire(self) -> None:
        """End the process while another thread may be waiting for it."""
        if self.process is not None:
            self.process.kill()

    def _send(self, message: Any) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        # A process that is lost already says so by its answer.
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()

    def _answer(self, limits: Limits) -> Any:
        """Return what the process says in time, or how it was lost."""
        assert self.process is not None
        line = self._line(time.monotonic() + limits.law_s)
        if not line:
            code = self._code(wait_s=0.0 if line is None else _GRACE_S)
            if code is None and line is not None:
                return loss(SILENT, "", limits)
            end = max(0, os.fstat(self.printed.fileno()).st_size - _END)
            return loss(code, os.pread(self.printed.fileno(), _END, end).decode(errors="replace"), limits)
        try:
            answer = json.loads(line)
        except json.JSONDecodeError:
            return Loss(Fault.STATE, "writes into files that it has not opened")
        match answer["kind"]:
            case "usage":
                raise UsageError(**answer["what"])
            case "bug":
                raise RuntimeError(f"in the worker process:\n{answer['what']}")
        return answer["what"]

    def _code(self, *, wait_s: float) -> int | None:
        """The exit code; ``None`` where the process has none yet."""
        assert self.process is not None
        try:
            return self.process.wait(wait_s)
        except subprocess.TimeoutExpired:
            return None

    def _line(self, deadline: float) -> bytes | None:
        """Read one line; nothing where the line is closed, ``None`` where time is up."""
        assert self.process is not None
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while b"\n" not in self.received:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    return None
                received = os.read(self.process.stdout.fileno(), 2**16)
                if not received:
                    return b""
                self.received += received
        line, _, self.received = self.received.partition(b"\n")
        return line


_GRACE_S = 1.0
"""Seconds between the end of what a process says and its own."""

_END = 2**16
"""Bytes of what was printed in which the stack of a call that hung is looked for."""
