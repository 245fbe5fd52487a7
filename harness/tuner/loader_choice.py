"""Configurations of the tuner: settings of a ``DataLoader`` and its kind of fetch, as a line and as a loader."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from harness.loading.throughput import Configuration

if TYPE_CHECKING:
    from torch.utils.data import DataLoader


class LoaderKind(StrEnum):
    """Kind of fetch."""

    ITEMS = "items"
    """The data set receives one index at a time, and items are collated."""
    BATCHES = "batches"
    """The data set receives a list of indices and returns a batch."""


@dataclass(frozen=True)
class Choice(Configuration):
    """A configuration of a loader, with its ``kind`` of fetch."""

    kind: LoaderKind = LoaderKind.ITEMS

    def __str__(self) -> str:
        """Return the settings in words, without defaults."""
        return f"{super().__str__()}{', fetched at once' * (self.kind is LoaderKind.BATCHES)}"

    @property
    def samples_held(self) -> int:
        """Maximum number of samples in memory: prefetched batches and the current one."""
        return (self.ahead + 1) * self.batch_size

    @property
    def cost(self) -> tuple[int, int]:
        """Cost of a configuration: number of workers, then memory."""
        return self.workers, self.samples_held

    def line(self, name: str = "dataset", *, shuffle: bool = True) -> str:
        """Return the expression that creates the loader of the data set with this name."""
        arguments = [f"{key}={value!r}" for key, value in self._list_arguments(shuffle=shuffle).items()]
        if self.kind is LoaderKind.BATCHES:
            order = f"{'RandomSampler' if shuffle else 'SequentialSampler'}({name})"
            arguments[:1] = ["batch_size=None", f"sampler=BatchSampler({order}, {self.batch_size}, drop_last=False)"]
        return f"DataLoader({', '.join([name, *arguments])})"

    def imports(self, *, shuffle: bool = True) -> str:
        """Return the import for the line."""
        order = "RandomSampler" if shuffle else "SequentialSampler"
        names = ["BatchSampler", "DataLoader", order] if self.kind is LoaderKind.BATCHES else ["DataLoader"]
        return f"from torch.utils.data import {', '.join(names)}"

    def load(self, dataset: Any, *, shuffle: bool = True) -> "DataLoader[Any]":
        """Create the loader that the line evaluates to."""
        from torch.utils.data import BatchSampler, DataLoader, IterableDataset, RandomSampler, SequentialSampler

        # A stream has its own order.
        arguments = self._list_arguments(shuffle=shuffle and not isinstance(dataset, IterableDataset))
        if self.kind is LoaderKind.BATCHES:
            order = RandomSampler(dataset) if shuffle else SequentialSampler(dataset)
            arguments |= {"batch_size": None, "sampler": BatchSampler(order, self.batch_size, drop_last=False)}
        return DataLoader(dataset, **arguments)

    def _list_arguments(self, *, shuffle: bool) -> dict[str, Any]:
        """Return the arguments except the data set; with whole batches, the sampler determines the order."""
        size, *rest = self.arguments().items()
        shuffled = {"shuffle": True} if shuffle and self.kind is LoaderKind.ITEMS else {}
        return {**dict([size]), **shuffled, **dict(rest)}
