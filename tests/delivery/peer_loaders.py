"""Loaders of other projects as factories, used as in the documentation of each project.

All load the 41 squares of :mod:`delivery.wrong_samples`, from memory or from files in the project's format in a
temporary folder. Packages are imported on use, because none of them has to be installed.
"""

import tempfile
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from delivery.wrong_samples import N, Squares
from torch.utils.data import DataLoader, RandomSampler, SequentialSampler, default_collate


class Anew:
    """An iterable that makes each epoch by a function."""

    def __init__(self, epoch: Callable[[], Iterable[Any]]) -> None:
        self.epoch = epoch

    def __iter__(self) -> Any:
        return iter(self.epoch())


_KEPT: list[Any] = []


@cache
def folder(name: str) -> Path:
    """Return an empty folder for the files of a loader, which is removed at exit."""
    _KEPT.append(kept := tempfile.TemporaryDirectory(prefix=f"harness-{name}-"))
    return Path(kept.name)


# torchdata


def stateful(batch_size: int, num_workers: int = 0, shuffle: bool = False, seed: int = 0) -> Any:
    """``StatefulDataLoader`` in place of ``DataLoader``, with a seeded generator."""
    from torchdata.stateful_dataloader import StatefulDataLoader

    generator = torch.Generator().manual_seed(seed)
    return StatefulDataLoader(Squares(), batch_size, shuffle, num_workers=num_workers, generator=generator)


def _nodes(sampler: Any, batch_size: int, num_workers: int, method: str) -> Any:
    from torchdata import nodes

    rows, fetch = nodes.SamplerWrapper(sampler), Squares().__getitem__
    if num_workers:
        mapped: Any = nodes.ParallelMapper(rows, fetch, num_workers, method=method)
    else:
        mapped = nodes.Mapper(rows, fetch)
    batches = nodes.Batcher(mapped, batch_size, drop_last=False)
    return nodes.Loader(nodes.Mapper(batches, default_collate))


def nodes_in_order(batch_size: int, num_workers: int = 0) -> Any:
    """A graph of nodes with threads, one sample after the other."""
    return _nodes(SequentialSampler(range(N)), batch_size, num_workers, "thread")


def nodes_by_processes(batch_size: int, num_workers: int = 0) -> Any:
    """The same graph with processes."""
    return _nodes(SequentialSampler(range(N)), batch_size, num_workers, "process")


def nodes_shuffled(batch_size: int, num_workers: int = 0, shuffle: bool = True, seed: int = 0) -> Any:
    """The same graph over torch's ``RandomSampler``, with threads."""
    generator = torch.Generator().manual_seed(seed)
    sampler: Any = RandomSampler(range(N), generator=generator) if shuffle else SequentialSampler(range(N))
    return _nodes(sampler, batch_size, num_workers, "thread")


def nodes_unseeded(batch_size: int, num_workers: int = 0, shuffle: bool = True) -> Any:
    """The same graph, with a sampler that draws from torch's global generator."""
    sampler: Any = RandomSampler(range(N)) if shuffle else SequentialSampler(range(N))
    return _nodes(sampler, batch_size, num_workers, "thread")


# grain


def _arrays(i: Any) -> Any:
    x, y = Squares()[int(i)]
    return x.numpy(), np.int64(y)


def grain_loader(batch_size: int, shuffle: bool = False, seed: int = 0, drop_last: bool = False) -> Any:
    """``grain.DataLoader`` over an ``IndexSampler`` for an epoch."""
    import grain.python as grain

    return grain.DataLoader(
        data_source=[_arrays(i) for i in range(N)],
        sampler=grain.IndexSampler(N, grain.NoSharding(), shuffle=shuffle, num_epochs=1, seed=seed),
        operations=[grain.Batch(batch_size, drop_remainder=drop_last)],
    )


def grain_map(batch_size: int, shuffle: bool = False, seed: int = 0, drop_last: bool = False) -> Any:
    """``MapDataset``: shuffled, mapped, batched."""
    import grain

    rows = grain.MapDataset.source(range(N)).seed(seed)
    rows = rows.shuffle() if shuffle else rows
    return rows.map(_arrays).batch(batch_size, drop_remainder=drop_last).to_iter_dataset()


def grain_map_of_epoch(batch_size: int, shuffle: bool = False, seed: int = 0, epoch: int = 0) -> Any:
    """The same, with a new seed for each epoch, like ``reseed_each_epoch`` of ``repeat``."""
    return grain_map(batch_size, shuffle, seed=1000 * seed + epoch)


# SPDL


def spdl_pipeline(batch_size: int, num_workers: int = 0, drop_last: bool = False) -> Any:
    """A pipeline with threads: a source, an ordered function in several threads, batches."""
    from spdl.pipeline import PipelineBuilder

    squares = Squares()

    def epoch() -> Any:
        builder: Any = PipelineBuilder().add_source(range(N))
        builder = builder.pipe(squares.__getitem__, concurrency=max(1, num_workers), output_order="input")
        builder = builder.aggregate(batch_size, drop_last=drop_last).pipe(default_collate).add_sink(2)
        pipeline = builder.build(num_threads=max(1, num_workers))
        with pipeline.auto_stop():
            yield from pipeline.get_iterator()

    return Anew(epoch)


def spdl_sampler(batch_size: int, seed: int = 0, epoch: int = 0, rank: int = 0, world_size: int = 1) -> Any:
    """SPDL's ``DistributedRandomSampler``, which receives the epoch through ``shuffle``, and its ``DataLoader``."""
    from spdl.dataloader import DataLoader as SPDLLoader
    from spdl.source import DistributedRandomSampler

    sampler = DistributedRandomSampler(N, rank=rank, world_size=world_size, seed=seed)
    sampler.shuffle(epoch)
    squares = Squares()
    return SPDLLoader(
        sampler,
        preprocessor=squares.__getitem__,
        batch_size=batch_size,
        aggregator=default_collate,
        output_order="input",
        num_threads=2,
    )


def spdl_in_place_of_torch(
    batch_size: int, num_workers: int = 0, shuffle: bool = False, drop_last: bool = False
) -> Any:
    """``get_pytorch_dataloader``, which takes torch's arguments and has at least one worker."""
    from spdl.dataloader import get_pytorch_dataloader

    return get_pytorch_dataloader(
        Squares(), batch_size, shuffle, num_workers=max(1, num_workers), drop_last=drop_last, in_order=True
    )


# Tensors in memory


def light(batch_size: int, shuffle: bool = False, seed: int = 0) -> Any:
    """``TensorDataLoader`` of light-dataloader."""
    from light_dataloader import TensorDataLoader

    squares = Squares()
    return TensorDataLoader((squares.x, squares.y), batch_size, shuffle, seed=seed)


def light_in_place(batch_size: int, shuffle: bool = False, seed: int = 0) -> Any:
    """The same, in its mode without a second copy of the data."""
    from light_dataloader import TensorDataLoader

    squares = Squares()
    return TensorDataLoader((squares.x, squares.y), batch_size, shuffle, memory_efficient=True, seed=seed)


def tensor_loader(batch_size: int, shuffle: bool = False, drop_last: bool = False) -> Any:
    """``TensorLoader`` of tensorloader."""
    from tensorloader import TensorLoader

    squares = Squares()
    return TensorLoader((squares.x, squares.y), batch_size=batch_size, shuffle=shuffle, drop_last=drop_last)


# Hugging Face datasets


def _table() -> Any:
    import datasets

    datasets.disable_progress_bars()
    squares = Squares()
    return datasets.Dataset.from_dict({"x": squares.x.tolist(), "y": squares.y.tolist()}).with_format("torch")


def datasets_by_index(batch_size: int, num_workers: int = 0, shuffle: bool = False, drop_last: bool = False) -> Any:
    """A table with the format of torch, in torch's ``DataLoader``."""
    return DataLoader(_table(), batch_size, shuffle, num_workers=num_workers, drop_last=drop_last)


def datasets_iterable(batch_size: int, num_workers: int = 0) -> Any:
    """The same as an iterable of shards."""
    return DataLoader(_table().to_iterable_dataset(num_shards=6), batch_size, num_workers=num_workers)


def datasets_shuffled(batch_size: int, num_workers: int = 0, seed: int = 0, epoch: int = 0) -> Any:
    """The same, shuffled through a buffer, with the epoch set as documented."""
    stream = _table().to_iterable_dataset(num_shards=6).shuffle(seed=seed, buffer_size=20)
    stream.set_epoch(epoch)
    return DataLoader(stream, batch_size, num_workers=num_workers)


def datasets_resumed(batch_size: int, num_workers: int = 0) -> Any:
    """The same in ``StatefulDataLoader``, as documented for resuming."""
    from torchdata.stateful_dataloader import StatefulDataLoader

    stream = _table().to_iterable_dataset(num_shards=6)
    return StatefulDataLoader(stream, batch_size, num_workers=num_workers)


# Loaders with special file formats


@cache
def _tars() -> str:
    import webdataset

    place = folder("webdataset")
    with webdataset.ShardWriter(str(place / "%02d.tar"), maxcount=7, verbose=0) as writer:
        for i in range(N):
            x, y = Squares()[i]
            writer.write({"__key__": f"{i:04d}", "x.npy": x.numpy(), "y.cls": y})
    return str(place / "{00..05}.tar")


def webdataset_in_order(batch_size: int, num_workers: int = 0) -> Any:
    """Archives are split among workers, which make the batches."""
    import webdataset

    rows = webdataset.WebDataset(_tars(), shardshuffle=False).decode().to_tuple("x.npy", "y.cls").batched(batch_size)
    return webdataset.WebLoader(rows, batch_size=None, num_workers=num_workers)


def webdataset_shuffled(batch_size: int, num_workers: int = 0) -> Any:
    """The same, with shuffled archives and samples."""
    import webdataset

    rows = webdataset.WebDataset(_tars(), shardshuffle=6).shuffle(20).decode().to_tuple("x.npy", "y.cls")
    return webdataset.WebLoader(rows.batched(batch_size), batch_size=None, num_workers=num_workers)


def _square(i: int) -> Any:
    x, y = Squares()[i]
    return {"x": x, "y": y}


@cache
def _chunks() -> str:
    from litdata.streaming.cache import Cache

    place = str(folder("litdata"))
    writer = Cache(place, chunk_size=7)
    for i in range(N):
        writer[i] = _square(i)
    writer.done()
    writer.merge()
    return place


def litdata_loader(
    batch_size: int, num_workers: int = 0, shuffle: bool = False, seed: int = 42, drop_last: bool = False
) -> Any:
    """``StreamingDataset`` of chunks in ``StreamingDataLoader``."""
    from litdata import StreamingDataLoader, StreamingDataset

    rows = StreamingDataset(_chunks(), shuffle=shuffle, seed=seed, drop_last=drop_last)
    return StreamingDataLoader(rows, batch_size=batch_size, num_workers=num_workers)


@cache
def _shards() -> str:
    from streaming import MDSWriter

    place = str(folder("mosaic") / "shards")
    with MDSWriter(out=place, columns={"x": "ndarray:float32:2", "y": "int"}, size_limit=200) as writer:
        for i in range(N):
            x, y = Squares()[i]
            writer.write({"x": x.numpy(), "y": y})
    return place


def mosaic_loader(batch_size: int, num_workers: int = 0, shuffle: bool = False, seed: int = 9176) -> Any:
    """``StreamingDataset`` of local shards in ``StreamingDataLoader``."""
    from streaming import StreamingDataLoader, StreamingDataset
    from streaming.base.util import clean_stale_shared_memory

    clean_stale_shared_memory()
    rows = StreamingDataset(local=_shards(), shuffle=shuffle, shuffle_seed=seed, batch_size=batch_size)
    return StreamingDataLoader(rows, batch_size=batch_size, num_workers=num_workers)
