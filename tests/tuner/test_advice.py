"""Advice about a data set: whether the kind of loader is the problem, and whether workers can help."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, TensorDataset, get_worker_info

from harness.loading.throughput import copy_batch, hop_s, tensors
from harness.tuner.advice import ALREADY, Advice, equal, examine


class Items:
    """Sixty samples from a function."""

    def __init__(self, item: Callable[[int], Any]) -> None:
        self.item = item

    def __len__(self) -> int:
        return 60

    def __getitem__(self, index: Any) -> Any:
        return self.item(index)


def _one(index: Any) -> tuple[Tensor, int]:
    if not isinstance(index, int):
        raise TypeError("one at a time")
    return torch.full((3,), float(index)), index


def _drawn(index: Any) -> Tensor:
    return torch.rand(3) if isinstance(index, int) else torch.rand(len(index), 3)


def _squared(index: Any) -> Tensor:
    return torch.tensor(float(index)) if isinstance(index, int) else torch.tensor(index).float() ** 2


class Batched(Items):
    """A data set that defines how a batch is fetched."""

    def __getitems__(self, indices: list[int]) -> list[Any]:
        """Fetch the items."""
        return [self.item(index) for index in indices]


def test_a_batched_fetch_that_equals_the_items_is_found_and_is_faster() -> None:
    """Tensors are indexed at once. The sentence blames the kind of loader and states the factor."""
    rows = TensorDataset(torch.rand(500, 3), torch.arange(500))
    found = examine(rows, 256, cores=2)
    assert found.obstacle == ""
    assert found.takes_batches
    assert found.gain > 2.0
    assert found.made_s == found.batch_s
    assert any("the kind of loader is the problem, not its settings" in one for one in found.sentences())
    assert any(f"{found.gain:.3g} times as fast" in one for one in found.sentences())


@pytest.mark.parametrize(
    ("dataset", "obstacle"),
    [
        (Items(_one), "`dataset[indices]` raises TypeError"),
        (Items(_squared), "`dataset[indices]` does not equal the collated items"),
        (Items(_drawn), "the items differ from call to call, so a batch cannot be compared with them"),
        (Batched(_one), ALREADY),
    ],
    ids=["raises", "differs", "random", "already"],
)
def test_why_a_batch_cannot_be_fetched_at_once_is_said(dataset: Items, obstacle: str) -> None:
    """The items are then loaded one by one."""
    found = examine(dataset, 16, cores=2)
    assert found.obstacle == obstacle
    assert not found.takes_batches
    assert found.gain == 1.0


def test_items_that_are_waited_for_are_told_from_items_that_are_computed() -> None:
    """Sleeping is no computing."""

    def slept(index: int) -> Tensor:
        time.sleep(2e-3)
        return torch.zeros(3)

    found = examine(Items(slept), 16, cores=2)
    assert found.busy < 0.5
    assert found.waits
    assert found.sentences() == []


def test_short_computing_is_not_taken_for_waiting() -> None:
    """A fetch of a tenth of a millisecond ends before the system counts anything."""
    found = examine(Items(lambda index: torch.full((300,), float(index)).sqrt().sum()), 8, cores=2)
    assert found.items_s < 4e-3
    assert not found.waits


def test_items_that_compute_are_told_from_gathering_their_bytes() -> None:
    """What makes them slow is not known yet: there is no advice."""

    def computed(index: int) -> Tensor:
        until = time.thread_time() + 1e-3
        while time.thread_time() < until:
            pass
        return torch.zeros(3)

    found = examine(Items(computed), 16, cores=2)
    assert found.busy > 0.5
    assert found.sentences() == []
    assert found.item.startswith("an item takes ")


def _advice(**changed: Any) -> Advice:
    facts: dict[str, Any] = {"batch_size": 64, "items_s": 1e-3, "batch_s": None, "obstacle": "x"}
    return Advice(**{**facts, "busy": 1.0, "hop_s": 5e-4, "cores": 2, **changed})


@pytest.mark.parametrize(
    ("changed", "ruled_out", "sentences"),
    [
        ({}, False, []),
        ({"hop_s": 2e-3}, True, ["do not use workers: receiving a batch of 64"]),
        ({"hop_s": 1.1e-3}, False, []),
        ({"step_s": 4e-4}, False, ["no number of workers keeps up: receiving a batch of 64"]),
        ({"step_s": 6e-4}, False, []),
        ({"copies": True}, True, ["do not use workers: each one delivers all samples"]),
        ({"batch_s": 1e-4}, True, ["the kind of loader", "do not use workers"]),
        ({"batch_s": 9.5e-4}, False, []),
    ],
)
def test_workers_are_ruled_out_where_receiving_a_batch_clearly_costs_more_than_making_it(
    changed: dict[str, Any], ruled_out: bool, sentences: list[str]
) -> None:
    """A transfer as long as a step is reported, but does not exclude workers: they may still be faster."""
    found = _advice(**changed)
    assert found.rules_workers_out is ruled_out
    assert [one[: len(start)] for one, start in zip(found.sentences(), sentences, strict=True)] == sentences


def test_receiving_a_batch_from_a_worker_costs_the_receiver_time() -> None:
    """Many tensors cost far more than a tensor with the same bytes. The worker ends afterwards."""
    many, one = hop_s([torch.zeros(4) for _ in range(300)]), hop_s([torch.zeros(1200)])
    assert many > 5 * one > 0.0


class Shared(IterableDataset):
    """A stream of sixty samples, divided among workers."""

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        yield from map(_one, range(60) if worker is None else range(worker.id, 60, worker.num_workers))


class Copied(IterableDataset):
    """A stream of sixty samples, all of them in each worker."""

    def __iter__(self) -> Iterator[Any]:
        return map(_one, range(60))


def test_a_stream_that_does_not_share_itself_out_has_workers_ruled_out() -> None:
    """Each worker would deliver the whole stream. A stream that divides its samples may have workers."""
    copied_out, shared = (examine(stream, 16, cores=2) for stream in (Copied(), Shared()))
    assert copied_out.copies
    assert copied_out.rules_workers_out
    assert copied_out.sentences() == [
        "do not use workers: each one delivers all samples; first divide the samples among them with "
        "`get_worker_info()`"
    ]
    assert not shared.copies
    assert not shared.takes_batches


@pytest.mark.parametrize(
    ("actual", "expected", "same"),
    [
        (torch.tensor([1.0, float("nan")]), torch.tensor([1.0, float("nan")]), True),
        (torch.tensor([0.0]), torch.tensor([-0.0]), False),
        (torch.tensor([1.0]), torch.tensor([1.0], dtype=torch.float64), False),
        (torch.zeros(2, 1), torch.zeros(2), False),
        (torch.zeros(0, 3), torch.zeros(0, 3), True),
        ((torch.ones(2), [3]), [torch.ones(2), (3,)], True),
        ([torch.ones(2)], [torch.ones(2), 3], False),
        ({"x": torch.ones(2)}, {"x": torch.ones(2)}, True),
        ({"x": torch.ones(2)}, {"y": torch.ones(2)}, False),
        (np.ones(3), np.ones(3), True),
        (np.ones(3), torch.ones(3, dtype=torch.float64), False),
        (["a", "b"], ["a", "b"], True),
        (["a"], ["b"], False),
    ],
)
def test_batches_are_equal_bit_for_bit(actual: Any, expected: Any, same: bool) -> None:
    """Types and shapes count; a tuple and a list of the same parts are equal."""
    assert equal(actual, expected) is same


def test_a_copy_of_a_batch_shares_no_memory_with_it() -> None:
    """Each copy is therefore sent like a new batch."""
    batch: dict[str, Any] = {"x": [torch.ones(2), "text"], "n": 3}
    copy = copy_batch(batch)
    assert equal(copy, batch)
    assert copy["x"][0].data_ptr() != batch["x"][0].data_ptr()
    assert tensors(batch) == [batch["x"][0]]
