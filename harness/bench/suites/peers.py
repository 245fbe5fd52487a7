"""Loaders of other projects on the same images, each in the fastest way of its documentation for tensors in memory.

They have the interface of the contract, and are measured if their package is installed (extra ``peers``). All gather
bytes and convert a batch at a time, like the reference loaders. The formats of webdataset, litdata and
mosaicml-streaming are files only, so these packages are checked by laws and not timed.
"""

import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, SequentialSampler

from harness.case import Case
from harness.data.fashion_mnist import arrays

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Peer:
    """A loader of another project, with the module it imports and the package to install."""

    function: Callable[[Path, bool, int, int, bool], Iterable[Batch]]
    module: str
    package: str

    @property
    def case(self) -> Case:
        """Return the loader as a case."""
        return Case(self.function, "loader", dtypes=("float32",), style="peer", name=f"peer.{self.function.__name__}")

    @property
    def absence(self) -> str | None:
        """Return why it cannot be measured; ``None`` if it can."""
        if find_spec(self.module) is not None:
            return None
        return f"{self.package} is not installed; install the extra `peers`"


class Remade:
    """A loader that a function creates for each epoch."""

    def __init__(self, make: Callable[[], Iterable[Batch]]) -> None:
        self.make = make

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.make())


def _load_tensors(root: Path, *, train: bool) -> Batch:
    images, labels = arrays(root, train=train)
    return torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels).long()


def _convert_batches(batches: Iterable[tuple[Tensor, Tensor]]) -> Iterator[Batch]:
    for images, labels in batches:
        yield images.float().mul_(1 / 255), labels


def _make_gatherer(root: Path, *, train: bool) -> tuple[Callable[[list[int]], Batch], int]:
    """Return a function that makes a batch from indices, and the number of samples."""
    images, labels = _load_tensors(root, train=train)

    def gather(indices: list[int]) -> Batch:
        rows = torch.as_tensor(indices)
        return images.index_select(0, rows).float().mul_(1 / 255), labels.index_select(0, rows)

    return gather, len(labels)


def _sample_indices(n: int, batch_size: int, *, shuffle: bool) -> BatchSampler:
    order = RandomSampler(range(n)) if shuffle else SequentialSampler(range(n))
    return BatchSampler(order, batch_size, drop_last=False)


def light_dataloader(root: Path, train: bool, batch_size: int, workers: int, shuffle: bool) -> Iterable[Batch]:  # noqa: ARG001, FBT001
    """``TensorDataLoader``, which shuffles the whole set before an epoch."""
    from light_dataloader import TensorDataLoader

    loader = TensorDataLoader(_load_tensors(root, train=train), batch_size, shuffle=shuffle)
    return Remade(lambda: _convert_batches(loader))


def light_dataloader_in_place(root: Path, train: bool, batch_size: int, workers: int, shuffle: bool) -> Iterable[Batch]:  # noqa: ARG001, FBT001
    """``TensorDataLoader`` in the mode that gathers batch by batch."""
    from light_dataloader import TensorDataLoader

    loader = TensorDataLoader(_load_tensors(root, train=train), batch_size, shuffle=shuffle, memory_efficient=True)
    return Remade(lambda: _convert_batches(loader))


def tensorloader(root: Path, train: bool, batch_size: int, workers: int, shuffle: bool) -> Iterable[Batch]:  # noqa: ARG001, FBT001
    """``TensorLoader``, which reorders the set."""
    from tensorloader import TensorLoader

    loader = TensorLoader(_load_tensors(root, train=train), batch_size=batch_size, shuffle=shuffle)
    return Remade(lambda: _convert_batches(loader))


def torchdata_nodes(root: Path, train: bool, batch_size: int, workers: int, shuffle: bool) -> Iterable[Batch]:  # noqa: FBT001
    """A sampler of batches and a map over them, with threads as workers."""
    from torchdata import nodes

    gather, n = _make_gatherer(root, train=train)
    batches = nodes.SamplerWrapper(_sample_indices(n, batch_size, shuffle=shuffle))
    node = nodes.ParallelMapper(batches, gather, workers, method="thread") if workers else nodes.Mapper(batches, gather)
    loader: Iterable[Batch] = nodes.Loader(node)
    return loader


class _Batches(Dataset[Batch]):
    """A data set whose index is a batch of indices."""

    def __init__(self, gather: Callable[[list[int]], Batch], n: int) -> None:
        self.gather, self.n = gather, n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, indices: list[int]) -> Batch:
        return self.gather(indices)


def torchdata_stateful(root: Path, train: bool, batch_size: int, workers: int, shuffle: bool) -> Iterable[Batch]:  # noqa: FBT001
    """``StatefulDataLoader`` instead of ``DataLoader``, over a sampler of batches."""
    from torchdata.stateful_dataloader import StatefulDataLoader

    gather, n = _make_gatherer(root, train=train)
    sampler = _sample_indices(n, batch_size, shuffle=shuffle)
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="'set_vital' is deprecated"
        )  # it calls a deprecated function of torch
        loader: Iterable[Batch] = StatefulDataLoader(
            _Batches(gather, n), batch_size=None, sampler=sampler, num_workers=workers, persistent_workers=workers > 0
        )
    return loader


def datasets(root: Path, train: bool, batch_size: int, workers: int, shuffle: bool) -> Iterable[Batch]:  # noqa: FBT001
    """An Arrow table in NumPy format, in a ``DataLoader`` over a sampler of batches."""
    import datasets

    images, labels = arrays(root, train=train)
    n, *sides = images.shape
    rows_of = datasets.Sequence(datasets.Value("uint8"), length=math.prod(sides))  # decoded faster than an `Array2D`
    kinds = {"images": rows_of, "labels": datasets.Value("int64")}
    columns = {"images": images.reshape(n, -1), "labels": labels.astype("int64")}
    table = datasets.Dataset.from_dict(columns, features=datasets.Features(kinds)).with_format("numpy")

    def gather(indices: list[int]) -> Batch:
        rows = table[indices]
        pixels = torch.from_numpy(rows["images"]).reshape(-1, 1, *sides)
        return pixels.float().mul_(1 / 255), torch.from_numpy(rows["labels"])

    sampler = _sample_indices(n, batch_size, shuffle=shuffle)
    return DataLoader(
        _Batches(gather, n), batch_size=None, sampler=sampler, num_workers=workers, persistent_workers=workers > 0
    )


def grain(root: Path, train: bool, batch_size: int, workers: int, shuffle: bool) -> Iterable[Batch]:  # noqa: FBT001
    """A data set of batches, read by threads as workers."""
    import grain

    gather, n = _make_gatherer(root, train=train)

    def epoch() -> Iterable[Batch]:
        batches = list(_sample_indices(n, batch_size, shuffle=shuffle))
        options = grain.ReadOptions(num_threads=workers, prefetch_buffer_size=2 * workers)
        elements: Iterable[Batch] = grain.MapDataset.source(batches).map(gather).to_iter_dataset(options)
        return elements

    return Remade(epoch)


def spdl(root: Path, train: bool, batch_size: int, workers: int, shuffle: bool) -> Iterable[Batch]:  # noqa: FBT001
    """A pipeline of batches of indices with at least one thread."""
    from spdl.pipeline import PipelineBuilder

    gather, n = _make_gatherer(root, train=train)
    concurrency = max(1, workers)

    def epoch() -> Iterator[Batch]:
        builder: Any = PipelineBuilder()
        builder = builder.add_source(_sample_indices(n, batch_size, shuffle=shuffle))
        builder = builder.pipe(gather, concurrency=concurrency).add_sink(2 * concurrency)
        pipeline = builder.build(num_threads=concurrency)
        with pipeline.auto_stop():
            yield from pipeline.get_iterator()

    return Remade(epoch)


PEERS = {
    peer.case.name: peer
    for peer in (
        Peer(light_dataloader, "light_dataloader", "light-dataloader"),
        Peer(light_dataloader_in_place, "light_dataloader", "light-dataloader"),
        Peer(tensorloader, "tensorloader", "tensorloader"),
        Peer(torchdata_nodes, "torchdata", "torchdata"),
        Peer(torchdata_stateful, "torchdata", "torchdata"),
        Peer(datasets, "datasets", "datasets"),
        Peer(grain, "grain", "grain"),
        Peer(spdl, "spdl", "spdl"),
    )
}
"""The peers by the names of their cases, in the order of the report."""
