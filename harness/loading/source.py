"""Sources of loaders: a factory, a data set or a loader, with their promises.

A factory gets the arguments of :data:`KEYWORDS` that it names, and no others. A data set is put into a ``DataLoader``
that the harness creates. A loader is used unchanged.
"""

import inspect
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset, RandomSampler, SubsetRandomSampler, WeightedRandomSampler

from harness.error import UsageError, join_names
from harness.loading.content import Count, Samples


@dataclass(frozen=True)
class Request:
    """A request to a loader.

    Parameters
    ----------
    batch_size
        Samples per batch.
    num_workers
        Worker processes; 0 loads in the requesting process.
    shuffle
        Whether each epoch has a new random order.
    seed
        Seed for the order and for all other random numbers.
    drop_last
        Whether an incomplete last batch is omitted.
    epoch
        Number of the epoch.
    rank, world_size
        Index and number of the parts of a distributed data set.
    """

    batch_size: int = 4
    num_workers: int = 0
    shuffle: bool = False
    seed: int = 0
    drop_last: bool = False
    epoch: int = 0
    rank: int = 0
    world_size: int = 1


KEYWORDS = tuple(Request.__dataclass_fields__)
"""Argument names that a factory may take."""

_OF_A_DATA_SET = frozenset({"batch_size", "num_workers", "shuffle", "drop_last"})
"""Arguments for a loader that the harness makes from a data set."""


@dataclass
class Promise:
    """The promises of a target, given its type and its keywords.

    Parameters
    ----------
    name
        Name of the target.
    is_factory
        Whether it makes loaders.
    is_one_object
        Whether the target is itself a loader.
    names
        Which of :data:`KEYWORDS` it takes.
    """

    name: str
    is_factory: bool
    is_one_object: bool
    names: frozenset[str]

    def fill_defaults(self, request: Request) -> Request:
        """Return the request with defaults for the arguments that the target does not name."""
        return replace(Request(), **{name: getattr(request, name) for name in self.names})

    def spell(self, request: Request) -> str:
        """Return how the loader is made, in words: what differs from the defaults, workers always."""
        keywords = {name: getattr(request, name) for name in KEYWORDS if name in self.names}
        usual = Request()
        words = [f"{name}={value}" for name, value in keywords.items() if value != getattr(usual, name)]
        return ", ".join(words)


class Source(Promise):
    """Makes the loaders of a target.

    Parameters
    ----------
    target
        A function or class that makes loaders or data sets, a data set, or a loader.
    name
        Name of the target.

    Raises
    ------
    UsageError
        If it is none of these, or a factory takes something else that has no default.
    """

    def __init__(self, target: Any, name: str) -> None:
        self.target = target
        is_factory = inspect.isclass(target) or (callable(target) and not is_data_set(target))
        if isinstance(target, DataLoader):
            is_factory = False
        names = _declared_keywords(target, name) if is_factory else frozenset()
        if not is_factory and is_data_set(target):
            names = _data_set_keywords(target)
        super().__init__(name, is_factory, not is_factory and not is_data_set(target), names)
        if self.is_one_object and not hasattr(target, "__iter__"):
            rule = "it must be a loader, a data set, or a function that returns a loader"
            raise UsageError(f"cannot check `{name}` as `data_loader`", rule=rule, value=f"`{type(target).__name__}`")

    def make(self, request: Request) -> Any:
        """Make a loader; if the target is a loader, return it."""
        instance = self.target
        if self.is_factory:
            instance = instance(**{name: getattr(request, name) for name in self.names & _accepted_keywords(instance)})
        # A factory that takes a batch size makes batches, whatever kind of object yields them.
        has_size = self.is_factory and "batch_size" in _declared_keywords(self.target, self.name)
        if is_data_set(instance) and not (has_size and hasattr(instance, "__iter__")):
            self.names |= _data_set_keywords(instance)
            return _loader(instance, request)
        return instance


def _accepted_keywords(factory: Any) -> frozenset[str]:
    """The keywords that a factory itself names, or takes whatever they are."""
    parameters = inspect.signature(factory).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return frozenset(KEYWORDS)
    return frozenset(parameter.name for parameter in parameters) & frozenset(KEYWORDS)


def _declared_keywords(factory: Any, name: str) -> frozenset[str]:
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return frozenset()
    variadic = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    needed = [
        parameter.name
        for parameter in parameters.values()
        if parameter.default is parameter.empty and parameter.kind not in variadic and parameter.name not in KEYWORDS
    ]
    if needed:
        problem, value = f"cannot call the loader factory `{name}`", f"`{needed[0]}`"
        rule = f"its required arguments may only be {join_names(KEYWORDS)}"
        remedy = "give this argument a default, or check a function that passes it"
        raise UsageError(problem, rule=rule, value=value, remedy=remedy)
    return frozenset(parameters) & frozenset(KEYWORDS)


def is_data_set(thing: Any) -> bool:
    """Whether something is a data set: samples by index, or one after the other, and no loader."""
    if isinstance(thing, type | DataLoader):
        return False
    if isinstance(thing, IterableDataset):
        return not _yields_batches(thing)
    kind = type(thing)
    return hasattr(kind, "__getitem__") and hasattr(kind, "__len__")


def _yields_batches(thing: Any) -> bool:
    """Whether an iterable data set is a loader itself, as some libraries have it."""
    return hasattr(thing, "batch_size") and hasattr(thing, "state_dict") and not hasattr(thing, "__getitem__")


def is_map_style(data_set: Any) -> bool:
    """Whether a data set has its samples by index."""
    kind = type(data_set)
    by_index = hasattr(kind, "__getitem__") and hasattr(kind, "__len__")
    return by_index and not isinstance(data_set, IterableDataset)


def _data_set_keywords(data_set: Any) -> frozenset[str]:
    return _OF_A_DATA_SET if is_map_style(data_set) else _OF_A_DATA_SET - {"shuffle", "drop_last"}


def _loader(data_set: Any, request: Request) -> "DataLoader[Any]":
    """A loader of a data set that collates nothing: whether samples can be stacked is not the data set's business."""
    options: dict[str, Any] = {"shuffle": request.shuffle} if is_map_style(data_set) else {}
    return DataLoader(
        data_set,
        request.batch_size,
        num_workers=request.num_workers,
        drop_last=request.drop_last,
        collate_fn=Samples,
        **options,
    )


# Facts about a loader


@dataclass(frozen=True)
class LoaderInfo:
    """Facts that are known about a loader without reading it.

    Parameters
    ----------
    data_set
        Its data set, where it shows it; ``None`` else, and where it is in another process.
    by_index, streams
        Whether its data set has its samples by index, or is a stream of them; neither where it shows none.
    length
        What its data set says of its length; ``None`` where it says nothing.
    samples
        How many samples an epoch has; ``None`` where that is not known.
    shuffled
        Whether it draws an order; ``None`` where that is not known.
    replaced
        Whether it draws with replacement, so that no sample is promised.
    weights
        Number of the weights by which it draws; ``None`` if it has none.
    idle_weights
        Whether these weights have no effect, because it draws every sample once.
    drops
        Whether it drops an incomplete last batch.
    whole
        Whether it yields samples instead of batches.
    workers
        Its worker processes.
    wrapped
        Whether it is a wrapper of the loader that this is known of, and may change what that one delivers.
    """

    data_set: Any = None
    by_index: bool = False
    streams: bool = False
    length: Count | None = None
    samples: Count | None = None
    shuffled: bool | None = None
    replaced: bool = False
    weights: Count | None = None
    idle_weights: bool = False
    drops: bool = False
    whole: bool = False
    workers: Count = 0
    wrapped: bool = False


def find_torch_loader(loader: Any, deepest: int = 4) -> "DataLoader[Any] | None":
    """Return the ``DataLoader`` that a loader is or wraps; ``None`` if it wraps none, or several."""
    if isinstance(loader, DataLoader):
        return loader
    parts = getattr(loader, "__dict__", {})
    loaders = {id(value): value for value in parts.values() if isinstance(value, DataLoader)}
    if loaders or deepest == 0:
        return next(iter(loaders.values())) if len(loaders) == 1 else None
    return next((find_torch_loader(parts[name], deepest - 1) for name in _WRAPPED if name in parts), None)


_WRAPPED = ("loader", "dataloader", "data_loader", "_loader", "_dataloader", "base_dataloader")
"""Attributes in which a wrapper keeps another."""


def read_info(loader: Any) -> LoaderInfo:
    """Return the facts about a loader, or about the loader that it wraps."""
    wrapped = find_torch_loader(loader)
    if wrapped is None:
        return LoaderInfo()
    if wrapped is not loader:
        # The wrapper is assumed to yield batches.
        return replace(read_info(wrapped), whole=False, wrapped=True)
    data_set, sampler = loader.dataset, loader.sampler
    length = get_length(data_set)
    if not is_map_style(data_set):
        drops, workers = loader.drop_last, loader.num_workers
        return LoaderInfo(data_set, streams=True, length=length, samples=length, drops=drops, workers=workers)
    inner = getattr(sampler, "sampler", sampler) if loader.batch_size is None else sampler
    random = isinstance(inner, RandomSampler | SubsetRandomSampler | WeightedRandomSampler)
    unbatched = loader.batch_size is None and loader.batch_sampler is not None
    in_order = type(inner) is torch.utils.data.SequentialSampler and not unbatched
    weighted = inner if isinstance(inner, WeightedRandomSampler) else None
    weights = None if weighted is None else weighted.weights.tolist()
    draws_all = weighted is not None and not weighted.replacement and weighted.num_samples == len(weighted.weights)
    return LoaderInfo(
        data_set,
        by_index=True,
        length=length,
        samples=len(sampler.indices) if isinstance(sampler, SubsetRandomSampler) else length,
        shuffled=True if random else (False if in_order else None),
        replaced=weights is not None or bool(getattr(inner, "replacement", False)),
        weights=None if weights is None else len(weights),
        idle_weights=draws_all and len(set(weights or ())) > 1,
        drops=loader.drop_last,
        whole=loader.batch_sampler is None and not _yields_lists(sampler),
        workers=loader.num_workers,
    )


def _yields_lists(sampler: Any) -> bool:
    """Whether a sampler yields several indices at a time; its first item is read, and the random state is restored."""
    with torch.random.fork_rng(devices=[]):
        first = next(iter(sampler), None)
    return isinstance(first, list | tuple | torch.Tensor) and not (isinstance(first, torch.Tensor) and not first.ndim)


def get_length(loader: Any) -> int | None:
    """Return the length of a loader in batches, or of a data set in samples; ``None`` if it has no length."""
    try:
        return len(loader)
    except TypeError:
        return None
