"""Processes that share pieces of work, so that related pieces go to the process with their cached results."""

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial
from threading import Lock
from typing import Any, Self

from harness.execution.processes import workers

AHEAD = 64
"""Number of places that a process may skip to take a piece similar to its last one."""

Piece = tuple[int, int, Future[Any]]
"""Place in the requested order, number of the piece, and future of its result."""


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
        self._queues: dict[Hashable, deque[Piece]] = {}
        self._lock = Lock()
        for position, (index, future) in enumerate(zip(indices, self.futures, strict=True)):
            self._queues.setdefault(affinity[position], deque()).append((position, index, future))

    def shares(self, processes: int) -> list[tuple[Hashable, ...]]:
        """Return the keys that each process does first."""
        keys = tuple(self._queues)
        return [keys[at::processes] for at in range(processes)]

    def next(self, keys: Sequence[Hashable]) -> Piece | None:
        """Take the first piece with one of the given keys, unless another piece is far behind."""
        with self._lock:
            first = min((queue for queue in self._queues.values() if queue), key=_place, default=None)
            related = min(
                (self._queues[affinity] for affinity in keys if self._queues.get(affinity)), key=_place, default=None
            )
            if first is None:
                return None
            chosen = first if related is None or _place(related) > _place(first) + AHEAD else related
            return chosen.popleft()

    def clear(self) -> None:
        """Start no more pieces."""
        with self._lock:
            self._queues.clear()


class AffinityPool:
    """Processes that each do one piece at a time; a context that waits for current pieces at its end.

    Parameters
    ----------
    processes
        Number of processes.
    prepare, argument
        See :func:`harness.execution.processes.workers`.
    """

    def __init__(self, processes: int, prepare: Callable[[Any], None], argument: Any) -> None:
        self._pools = [workers(1, prepare, argument) for _ in range(processes)]
        self._waiting = PendingPieces((), ())
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Do nothing: processes start with their first pieces."""
        for pool in self._pools:
            self._stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        return self

    def __exit__(self, *_: object) -> None:
        """Begin nothing more, and wait."""
        self._waiting.clear()
        self._stack.close()

    def submit(
        self, do: Callable[[int], Any], indices: Sequence[int], affinity: Sequence[Hashable]
    ) -> "list[Future[Any]]":
        """Return a future for each piece.

        Parameters
        ----------
        do
            ``do(index)`` runs in one of the processes.
        indices
            Numbers of the pieces.
        affinity
            Key of each piece; one process should do all pieces of a key.
        """
        self._waiting = PendingPieces(indices, affinity)
        for at, keys in enumerate(self._waiting.shares(len(self._pools))):
            self._begin(do, at, keys)
        return self._waiting.futures

    def _begin(self, do: Callable[[int], Any], at: int, keys: Sequence[Hashable], *_: object) -> None:
        """Let a process do the next piece that is not cancelled, and repeat."""
        while (piece := self._waiting.next(keys)) is not None:
            index, future = piece[1:]
            if future.set_running_or_notify_cancel():
                try:
                    done = self._pools[at].submit(do, index)
                except RuntimeError as ended:
                    future.set_exception(ended)
                    continue
                done.add_done_callback(partial(_hand_on, future))
                done.add_done_callback(partial(self._begin, do, at, keys))
                return


def _place(queue: deque[Piece]) -> int:
    return queue[0][0]


def _hand_on(future: "Future[Any]", done: "Future[Any]") -> None:
    error = done.exception()
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(done.result())
