"""Tagged loaders: the data set and the batches look the same as without tags to all other code."""

import pickle
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset

from harness.loading.tagged import Injection, TaggedBatch, add_tags, remove_tags


class Rows(Dataset[Any]):
    """Five samples."""

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> Any:
        return {"x": torch.full((2,), float(index))}


class Stream(IterableDataset[Any]):
    """The same samples as a stream."""

    def __iter__(self) -> Any:
        return map(Rows().__getitem__, range(5))


class Particular(DataLoader[Any]):
    """Requires a type of data set and inspects its batches, like loaders of some projects."""

    def __iter__(self) -> Any:
        assert isinstance(self.dataset, Rows | Stream)
        for batch in super().__iter__():
            assert isinstance(batch, dict)
            assert len(next(iter(batch.values()))) == len(batch["x"]) > 0
            yield batch


def test_a_loader_that_asks_for_its_kind_of_data_set_and_batch_is_given_them() -> None:
    """Tags still work, with and without workers."""
    for data_set in (Rows(), Stream()):
        for workers in (0, 1):
            batches = list(add_tags(Particular(data_set, 2, num_workers=workers)))
            tags = [tag for batch in batches for tag in TaggedBatch.__dict__["__reduce__"](batch)[1][0]]
            assert [tag.index for tag in tags] == [0, 1, 2, 3, 4]


def test_a_tagged_data_set_and_batch_are_sent_to_another_process_whole() -> None:
    """They can be sent although they claim another class."""
    loader = add_tags(Particular(Rows(), 2), Injection(3))
    again = pickle.loads(pickle.dumps(loader.dataset))  # noqa: S301 - ours
    assert type(again) is type(loader.dataset)
    assert again._injection == Injection(3)
    batch = pickle.loads(pickle.dumps(TaggedBatch([], torch.ones(2))))  # noqa: S301
    assert type(batch) is TaggedBatch
    assert isinstance(batch, torch.Tensor)
    assert type(remove_tags(loader).dataset) is Rows
