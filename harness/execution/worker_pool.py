"""A pool of worker processes, which replaces a worker that is lost, and gives related pieces to the same worker."""

import math
import time
from collections import Counter, deque
from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, Self

from harness.error import UsageError
from harness.execution.plan import Answer, Document, Plan, Result, to_document
from harness.isolation.delegate import Delegate, DelegateError
from harness.isolation.fork_server import SERVER
from harness.isolation.limits import Limits
from harness.isolation.lost_worker import WorkerFailure, describe_failure
from harness.isolation.unchanged import refuse_changes
from harness.record import Fault

AHEAD = 64
"""Number of places that a process may skip to take a piece similar to its last one."""

LOSSES = 3
"""Maximum number of workers lost to a case; its other pieces are then skipped."""

TIME_SHARE_AFTER_HANG = 0.1
"""Share of the time limit that remains for a case after one of its calls has hung."""


class PendingPieces:
    """Pieces that have not started, in the requested order.

    Parameters
    ----------
    indices
        Numbers of the pieces.
    affinity
        Key of each piece; one process should do all pieces of a key.
    """

    def __init__(self, indices: Sequence[int], affinity: Sequence[Hashable]) -> None:
        self.futures: list[Future[Any]] = [Future() for _ in indices]
        self._queues: dict[Hashable, deque[tuple[int, int, Future[Any]]]] = {}
        self._lock = Lock()
        for position, (index, future) in enumerate(zip(indices, self.futures, strict=True)):
            self._queues.setdefault(affinity[position], deque()).append((position, index, future))

    def shares(self, processes: int) -> list[tuple[Hashable, ...]]:
        """Return the keys that each process does first."""
        keys = tuple(self._queues)
        return [keys[first::processes] for first in range(processes)]

    def next(self, keys: Sequence[Hashable]) -> tuple[int, Future[Any]] | None:
        """Take the first piece with one of the given keys, unless another piece is far behind."""
        with self._lock:
            first = min(filter(None, self._queues.values()), key=_get_position, default=None)
            if first is None:
                return None
            queues = [self._queues[key] for key in keys if self._queues.get(key)]
            related = min(queues, key=_get_position, default=first)
            chosen = first if _get_position(related) > _get_position(first) + AHEAD else related
            return chosen.popleft()[1:]

    def clear(self) -> None:
        """Start no more pieces."""
        with self._lock:
            self._queues.clear()


def _get_position(queue: deque[tuple[int, int, Future[Any]]]) -> int:
    return queue[0][0]


class WorkerPool:
    """Worker processes that share pieces, and may end; a :class:`harness.execution.runner.Backend`.

    Parameters
    ----------
    plan
        The work.
    limits
        Limits of the code; ``None`` if it is trusted.
    processes
        Number of workers.
    folder
        Their working directory; by default the one of this process.

    Notes
    -----
    It is a context: on entering it the code is loaded, and its pieces are known; on leaving it every process is ended.
    """

    def __init__(self, plan: Plan, limits: Limits | None, processes: int, *, folder: str | None = None) -> None:
        refuse_changes()
        self._limits = limits
        self._workers = [_WorkerClient(plan, limits, folder) for _ in range(processes)]
        self._lost: Counter[str] = Counter()
        self._hung: set[str] = set()
        self.pieces: list[Document] = []

    def __enter__(self) -> Self:
        """Start the workers, and wait until the first of them has loaded the code.

        Raises
        ------
        UsageError
            If it cannot be loaded.
        """
        try:
            for worker in self._workers:
                worker.start()
            self.pieces = self._workers[0].load()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End them."""
        for worker in self._workers:
            worker.end()

    def answers(self, indices: Sequence[int], *, seconds: float | None = None) -> Iterator[Answer]:
        """Yield the results of some pieces, in their order, also if workers are lost."""
        until = math.inf if seconds is None else time.monotonic() + seconds
        pending = PendingPieces(indices, [self.pieces[index].get("affinity") for index in indices])
        with ThreadPoolExecutor(len(self._workers)) as threads:
            try:
                for worker, keys in zip(self._workers, pending.shares(len(self._workers)), strict=True):
                    threads.submit(self._work, worker, pending, keys, until)
                for future in pending.futures:
                    yield future.result()
            except BaseException:
                # The results are no longer needed. Trusted code completes its files.
                pending.clear()
                if self._limits is not None:
                    for worker in self._workers:
                        worker.kill()
                    threads.shutdown(wait=False, cancel_futures=True)
                raise

    def _work(self, worker: "_WorkerClient", pending: PendingPieces, keys: Sequence[Hashable], until: float) -> None:
        """Let a worker do pieces, first the ones that share cached results with its earlier pieces."""
        while (piece := pending.next(keys)) is not None:
            index, future = piece
            try:
                future.set_result(self._answer(worker, index, until))
            except BaseException as error:  # noqa: BLE001 - it is raised where the answer is asked for
                future.set_exception(error)

    def _answer(self, worker: "_WorkerClient", index: int, until: float) -> Answer:
        """Do one piece in a worker, or say why that is not possible."""
        case = self.pieces[index]["case"]
        if time.monotonic() >= until:
            return Answer(index)
        if self._lost[case] >= LOSSES:
            return Answer(index, reason=f"not tried: {LOSSES} earlier calls of {case} did not return")
        limits = self._limits
        if limits is not None and case in self._hung:
            call_s, first_call_s = limits.call_s * TIME_SHARE_AFTER_HANG, limits.first_call_s * TIME_SHARE_AFTER_HANG
            limits = replace(limits, call_s=call_s, first_call_s=first_call_s)
        started = time.perf_counter()
        result = worker.do(index, str(self.pieces[index].get("first_call", case)), limits)
        duration_s = time.perf_counter() - started
        if (failure := result.failure) is not None:
            self._lost[case] += 1
            if failure.fault is Fault.HUNG:
                self._hung.add(case)
            return Answer(index, failure=failure, reason=f"{case} {failure.sentence}", duration_s=duration_s)
        noticed = result.noticed
        reason = f"{case} {noticed[1]}" if noticed and result.reply is None else None
        return Answer(index, result.reply, noticed, reason=reason, duration_s=duration_s)


_UNLIMITED = Limits(call_s=math.inf, first_call_s=0.0, law_s=math.inf, load_s=math.inf, memory_gib=None)


@dataclass
class _WorkerClient:
    """One process, which is replaced after a failure."""

    plan: Plan
    limits: Limits | None
    folder: str | None = None
    process: Delegate | None = None

    def start(self) -> None:
        """Start the process, which loads the code."""
        self.pieces: list[Document] | None = None
        self.called: set[str] = set()
        # The process of the code has the limits, not the worker. A sandbox starts another program, not a fork.
        self.process = Delegate(
            "harness.execution.worker:start",
            {"plan": to_document(self.plan), "limits": self.limits},
            limits=_UNLIMITED,
            server=SERVER,
            folder=self.folder,
            keeps_standby=self.limits is not None and not self.limits.sandbox,
        )
        self.process.send("load", {})

    def load(self) -> list[Document]:
        """Wait until the code is loaded, and return the pieces there are.

        Raises
        ------
        UsageError
            If it cannot be loaded.
        """
        if self.pieces is None:
            limits = self.limits or _UNLIMITED
            pieces = self._receive(list[Document], replace(limits, law_s=limits.load_s))
            if isinstance(pieces, WorkerFailure):
                self.end()
                module = self.plan.target.partition(":")[0]
                raise UsageError(f"cannot import `{module}`", rule=f"the import {pieces.sentence}")
            self.pieces = pieces
        return self.pieces

    def do(self, index: int, kind: str, limits: Limits | None) -> Result:
        """Do one piece; the first call of a kind may take longer."""
        limits = limits or _UNLIMITED
        if self.process is None:
            self.start()
        self.load()
        assert self.process is not None
        first_s = None if kind in self.called else limits.first_call_s
        self.called.add(kind)
        law_s = limits.law_s + max(0.0, (first_s or 0.0) - limits.call_s)
        self.process.send("do", {"index": index, "call_s": limits.call_s, "first_call_s": first_s, "law_s": law_s})
        received = self._receive(Result, limits, first_s)
        if isinstance(received, WorkerFailure):
            self.end()
        result = Result(failure=received) if isinstance(received, WorkerFailure) else received
        if result.failure is not None:
            # A new process must receive the kind again.
            self.called.clear()
        return result

    def end(self) -> None:
        """End the process and its group."""
        if self.process is not None:
            self.process.__exit__()
        self.process = None

    def kill(self) -> None:
        """End the process while another thread may be waiting for it."""
        if self.process is not None:
            self.process.kill()

    def _receive(self, kind: Any, limits: Limits, first_s: float | None = None) -> Any:
        """Return the result, or how the process was lost."""
        assert self.process is not None
        start = time.monotonic()

        def describe(code: int | None, printed: str) -> WorkerFailure:
            call_s = limits.call_s if first_s is None or time.monotonic() - start < first_s else first_s
            return describe_failure(code, printed, replace(limits, call_s=call_s))

        # Additional time of the first call does not count for the law.
        within_s = limits.law_s + max(0.0, (first_s or 0.0) - limits.call_s) + _MARGIN_S
        try:
            return self.process.receive(kind, within_s=within_s, describe=describe)
        except DelegateError as error:
            if error.failure.fault is Fault.RAISED:
                raise RuntimeError(f"in the worker process:\n{self.process.printed}") from None
            return error.failure


_MARGIN_S = 2.0
"""Additional seconds for a worker after the time limit of a piece, to report how a child process was lost."""
