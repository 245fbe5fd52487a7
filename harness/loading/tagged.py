"""Samples with their indices: a loader's data set and collate function changed so that each batch names its samples.

Each sample has a tag with its index, its worker, and its random numbers: a digest of the state for each generator
whose state the sample changed. Two samples that drew from the same state drew the same numbers.
The same wrapper raises an error at an index, or ends its process, to test how errors are handled.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from pydantic import BaseModel
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from harness.loading.content import STRICT, Count, Number, count_samples
from harness.loading.generators import changed_states, find_generators, read_states
from harness.loading.source import find_torch_loader, is_map_style


class Wrapper:
    """Replaces a data set, and forwards all attributes to it except the wrapper's own attributes.

    It also has the class of the data set, for loaders that check the class.

    Parameters
    ----------
    dataset
        The data set.
    own
        Attributes of the wrapper itself, by name.
    """

    def __init__(self, dataset: Any, **own: Any) -> None:
        self.__dict__.update(_inner=dataset, **own)

    @property  # type: ignore[misc]  # an object may override its class, as mocks do
    def __class__(self) -> Any:
        return type(self.__dict__["_inner"]) if "_inner" in self.__dict__ else Wrapper

    def __reduce__(self) -> Any:
        # Otherwise an object with another class is not pickled.
        return _rebuild_wrapper, (type(self), dict(self.__dict__))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_inner" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self._inner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._inner, name, value)

    @property
    def inner(self) -> Any:
        """The data set itself."""
        return self.__dict__["_inner"]


def _rebuild_wrapper(kind: type[Wrapper], state: dict[str, Any]) -> Wrapper:
    wrapper = kind.__new__(kind)
    wrapper.__dict__.update(state)
    return wrapper


def exchange(loader: Any, **parts: Any) -> None:
    """Replace the data set or sampler of a loader permanently; torch refuses an assignment after its creation."""
    loader.__dict__.update(parts)


class Tag(BaseModel):
    """Origin of a sample.

    Parameters
    ----------
    index
        Its index; its number in its worker where the data set can only be iterated over.
    worker
        Number of the worker; -1 for the requesting process.
    drew
        Generators it drew from, each with a digest of the state before.
    fetch
        Number of samples that its process had read. Samples that were fetched together have one number, and the state
        before the first of them.
    """

    model_config = STRICT

    index: Number
    worker: Number
    drew: tuple[tuple[str, str], ...] = ()
    fetch: Count = 0


class TaggedBatch:
    """A batch and the tags of its samples; it behaves as the batch, for code that reads batches on their way.

    Parameters
    ----------
    tags
        Tags of its samples.
    batch
        The collated batch.
    """

    def __init__(self, tags: list[Tag], batch: Any) -> None:
        self.__dict__.update(tags=tags, batch=batch)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self.__dict__["batch"]) if "batch" in self.__dict__ else TaggedBatch

    def __reduce__(self) -> Any:
        return TaggedBatch, (self.tags, self.batch)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "batch" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.batch, name)

    def __getitem__(self, at: Any) -> Any:
        return self.batch[at]

    def __len__(self) -> int:
        return len(self.batch)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.batch)


@dataclass
class _Tagged:
    tags: list[Tag]
    sample: Any


class InjectedError(RuntimeError):
    """An error that is raised to test how it is handled."""


@dataclass(frozen=True)
class Injection:
    """An injected error.

    Parameters
    ----------
    at
        Number of samples that a process reads before the error.
    ends
        Whether the process ends there instead of raising.
    """

    at: int
    ends: bool = False
    happened: torch.Tensor = field(
        default_factory=lambda: torch.zeros(1, dtype=torch.bool).share_memory_(), compare=False, repr=False
    )
    """Whether the error occurred, in any process."""

    def happen(self, before: int, now: int = 1) -> None:
        """Raise the error, or end the process, if the number of samples is reached."""
        if before <= self.at < before + now:
            self.happened[0] = True
            if self.ends and get_worker_info() is not None:
                os._exit(17)
            raise InjectedError("a sample was made to raise")


_FIRST = 8
"""Samples that a process has read before the generators of its data set are taken as known."""


class _Tagging(Wrapper):
    """A wrapper of a data set that counts samples and injects errors."""

    def __init__(self, dataset: Any, injection: Injection | None) -> None:
        super().__init__(dataset, _injection=injection, _sources=None, _count=0)

    def _reads(self, number: int = 1) -> None:
        """Count samples, and inject an error if it is due."""
        before = self._count
        self.__dict__["_count"] = before + number
        if self._injection is not None:
            self._injection.happen(before, number)

    def _states(self) -> dict[str, str]:
        # The first samples may create generators, in each process.
        if self._sources is None or self._count <= _FIRST:
            self.__dict__["_sources"] = find_generators(self._inner)
        return read_states(self._sources)

    def _tags(self, index: Any, before: dict[str, str]) -> list[Tag]:
        """Return the tags of samples that were fetched together."""
        info, drew = get_worker_info(), changed_states(before, self._states())
        indices = index if _is_batch(index) else [index]
        worker = -1 if info is None else info.id
        return [Tag(index=int(i), worker=worker, drew=drew, fetch=self._count) for i in indices]


class _Failing(_Tagging, Dataset[Any]):
    """A map-style data set with unchanged samples, except for one error."""

    def __len__(self) -> int:
        return len(self._inner)

    def __getitem__(self, index: Any) -> Any:
        self._reads()
        return self._inner[index]


def inject_failure(loader: Any, injection: Injection) -> Any:
    """Change a loader permanently, so that an error is injected into its data set."""
    if can_be_tagged(loader):
        return add_tags(loader, injection)
    data_set = getattr(loader, "__dict__", {}).get("dataset")
    if find_torch_loader(loader) is not None or data_set is None or not is_map_style(data_set):
        return None
    exchange(loader, dataset=_Failing(data_set, injection))
    return loader


class TaggedMap(_Tagging, Dataset[Any]):
    """The samples of a map-style data set, tagged."""

    def __len__(self) -> int:
        return len(self._inner)

    def __getitem__(self, index: Any) -> _Tagged:
        self._reads(len(index) if _is_batch(index) else 1)
        before = self._states()
        sample = self._inner[index]
        return _Tagged(self._tags(index, before), sample)


class TaggedBatches(TaggedMap):
    """The same, of a data set that fetches a batch at once."""

    def __getitems__(self, indices: Sequence[Any]) -> _Tagged:
        """Fetch a batch as the data set does."""
        self._reads(len(indices))
        before = self._states()
        fetched = self._inner.__getitems__(indices)
        return _Tagged(self._tags(list(indices), before), fetched)


class TaggedStream(_Tagging, IterableDataset[Any]):
    """The samples of an iterable data set, tagged; its items may be batches, which have several samples each."""

    def __init__(self, dataset: Any, injection: Injection | None, *, of_batches: bool) -> None:
        super().__init__(dataset, injection)
        self.__dict__.update(_of_batches=of_batches)

    def __iter__(self) -> Iterator[_Tagged]:
        before = self._states()
        for number, sample in enumerate(self._inner):
            self._reads((count_samples(sample) or 1) if self._of_batches else 1)
            yield _Tagged(self._tags(number, before), sample)
            before = self._states()


class _Indices(_Tagging, Dataset[Any]):
    """A map-style data set whose samples are their indices."""

    def __len__(self) -> int:
        return len(self._inner)

    def __getitem__(self, index: Any) -> Any:
        return index

    def __getitems__(self, indices: Any) -> Any:
        """Return the indices of a batch."""
        return indices


def load_indices(loader: Any) -> Any:
    """Change a loader of torch permanently, so that a batch is a list of indices, and no sample is read."""
    inner = find_torch_loader(loader)
    if inner is None or inner is not loader or type(inner).__iter__ is not DataLoader.__iter__:
        return None
    if not can_be_tagged(inner) or not is_map_style(inner.dataset):
        return None
    exchange(inner, dataset=_Indices(inner.dataset, None))
    inner.collate_fn = _CollateIndices(inner.collate_fn, is_tagged=False)
    return inner


class _Collate:
    """Collates samples, and keeps their tags."""

    def __init__(self, collate: Any, *, is_tagged: bool) -> None:
        self.collate = collate
        self.is_tagged = is_tagged

    def __call__(self, items: Any) -> Any:
        if isinstance(items, _Tagged):
            tags, batch = items.tags, self.collate(items.sample)
        else:
            tags = [tag for item in items for tag in item.tags]
            batch = self.collate([item.sample for item in items])
        return TaggedBatch(tags, batch) if self.is_tagged else batch


class _CollateIndices(_Collate):
    """Makes a list of the indices of a batch."""

    def __call__(self, items: Any) -> Any:
        return [int(item) for item in items] if _is_batch(items) else [int(items)]


def can_be_tagged(loader: Any) -> bool:
    """Whether a loader is or wraps a ``DataLoader`` that was not read yet."""
    inner = find_torch_loader(loader)
    return inner is not None and getattr(inner, "_iterator", None) is None


def add_tags(outer: Any, injection: Injection | None = None) -> Any:
    """Change a loader permanently, so that an error is injected, or so that it yields :class:`TaggedBatch`.

    A wrapper may be unable to compute with a tagged batch.
    """
    loader = _inner(outer)
    dataset = loader.dataset
    if isinstance(dataset, _Tagging):
        dataset = dataset.inner
    if not is_map_style(dataset):
        wrapper: Any = TaggedStream(dataset, injection, of_batches=loader.batch_size is None)
    elif getattr(dataset, "__getitems__", None):
        wrapper = TaggedBatches(dataset, injection)
    else:
        wrapper = TaggedMap(dataset, injection)
    exchange(loader, dataset=wrapper)
    if not isinstance(loader.collate_fn, _Collate):
        loader.collate_fn = _Collate(loader.collate_fn, is_tagged=injection is None)
    return outer


def replace_data_set(outer: Any, dataset: Any) -> Any:
    """Replace the data set of a loader, or of the loader that it wraps, permanently."""
    exchange(_inner(outer), dataset=dataset)
    return outer


def _inner(loader: Any) -> "DataLoader[Any]":
    inner = find_torch_loader(loader)
    assert inner is not None
    return inner


def remove_tags(outer: Any) -> Any:
    """Undo :func:`add_tags` or :func:`inject_failure`."""
    loader = find_torch_loader(outer)
    if loader is None:
        data_set = getattr(outer, "__dict__", {}).get("dataset")
        if isinstance(data_set, _Failing):
            exchange(outer, dataset=data_set.inner)
        return outer
    dataset = loader.dataset
    if isinstance(dataset, _Tagging):
        exchange(loader, dataset=dataset.inner)
    if isinstance(loader.collate_fn, _Collate):
        loader.collate_fn = loader.collate_fn.collate
    return outer


def _is_batch(index: Any) -> bool:
    return isinstance(index, list | tuple) or (isinstance(index, torch.Tensor) and index.ndim > 0)
