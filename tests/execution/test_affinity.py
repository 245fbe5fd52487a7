"""Related pieces run in the same process, unless another piece would wait too long."""

from collections.abc import Hashable, Iterator, Sequence

from harness.execution.worker_pool import AHEAD, PendingPieces


def taken(pending: PendingPieces, keys: Sequence[Hashable]) -> Iterator[int]:
    """Yield the pieces that a process takes, until none is left."""
    while (piece := pending.next(keys)) is not None:
        yield piece[0]


def test_a_process_takes_its_own_pieces_first() -> None:
    """Each process begins with its share of the keys, and then helps another with the rest."""
    pending = PendingPieces(range(10, 20), [index % 2 for index in range(10)])
    shares = pending.shares(2)
    assert shares == [(0,), (1,)]
    assert list(taken(pending, shares[1])) == [11, 13, 15, 17, 19, 10, 12, 14, 16, 18]


def test_a_process_goes_only_so_far_ahead() -> None:
    """Beyond that, it takes pieces of the other process, which would wait too long."""
    count = 3 * AHEAD
    pending = PendingPieces(range(count), [index % 2 for index in range(count)])
    order = list(taken(pending, (1,)))
    skipped = order.index(0)
    assert order[:skipped] == list(range(1, AHEAD + 1, 2))
    assert order[skipped : skipped + 2] == [0, AHEAD + 1]
    assert sorted(order) == list(range(count))


def test_nothing_starts_after_the_end() -> None:
    """An interrupted command starts no more pieces."""
    pending = PendingPieces([1, 2], ["a", "b"])
    pending.clear()
    assert pending.next(["a"]) is None
