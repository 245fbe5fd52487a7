"""Laws of loaders on data sets that are too large to be read."""

import time
from typing import Any

import pytest
from delivery.judging import said, verdicts
from torch.utils.data import DataLoader, Dataset, Sampler

from harness.record import Status

pytestmark = pytest.mark.judged

LARGE = 4000


class _Slow(Dataset[Any]):
    def __len__(self) -> int:
        return LARGE

    def __getitem__(self, i: int) -> Any:
        if not 0 <= i < LARGE:
            raise IndexError(i)
        time.sleep(2e-4)
        return i


class _LosesTheLast(Sampler[int]):
    def __iter__(self) -> Any:
        return iter(range(LARGE - 1))

    def __len__(self) -> int:
        return LARGE


def large(batch_size: int, num_workers: int = 0, shuffle: bool = False) -> Any:
    """Sound, and too slow for reading all samples."""
    return DataLoader(_Slow(), batch_size, num_workers=num_workers, shuffle=shuffle)


def large_without_its_last(batch_size: int) -> Any:
    """A sampler that loses the last sample."""
    return DataLoader(_Slow(), batch_size, sampler=_LosesTheLast())


def large_without_its_first(batch_size: int) -> Any:
    """A collate function that drops the first sample."""
    return DataLoader(_Slow(), batch_size, collate_fn=lambda rows: [row for row in rows if row])


def test_the_order_of_a_large_data_set_is_checked_by_index() -> None:
    """The samples after the first 1,000 are not read."""
    began = time.perf_counter()
    once, lengths = verdicts(large, {}, laws=["each_sample_once", "lengths_are_as_declared"])
    assert (once.status, lengths.status) == (Status.HOLDS, Status.HOLDS), (said(once), said(lengths))
    assert time.perf_counter() - began < 60.0


def test_a_sample_that_a_large_data_set_loses_is_named() -> None:
    """By its index."""
    once, lengths = verdicts(large_without_its_last, {}, laws=["each_sample_once", "lengths_are_as_declared"])
    assert f"1 of {LARGE} samples never arrives: {LARGE - 1}" in said(once)
    assert lengths.status is Status.HOLDS


def test_a_sample_that_a_collate_function_drops_is_missing_although_its_index_was_requested() -> None:
    """The part that was read shows it."""
    (once,) = verdicts(large_without_its_first, {}, laws=["each_sample_once"])
    assert once.status is Status.BROKEN, said(once)
    assert "among the first samples" in said(once)
    assert said(once).endswith("samples never arrives: 0")
