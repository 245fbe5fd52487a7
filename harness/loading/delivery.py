"""What loaders of a source deliver, epoch by epoch, read within bounds of time and memory.

Readings are kept, as many laws look at the same. An epoch that takes long is cut, and what a loader does instead of
delivering is a :class:`~harness.loading.fault.LoadingError`, raised again at once by every later reading like it.
"""

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import psutil
import torch

from harness.loading.content import Sample, samples_of
from harness.loading.fault import SOON_S, FaultKind, LoadingError, LoadingFault, bounded
from harness.loading.source import Ask, Facts, Source, facts_of, is_map_style
from harness.loading.spawning import spawned_quickly
from harness.loading.tagged import Injection, Tag, TaggedBatch, can_be_tagged, seed_all, tagged, untagged, with_data_set
from harness.loading.watched import diagnose

EPOCH_S = 3.0
"""After so many seconds an epoch is cut."""

SHORT_S = 0.4
"""The same of all others, once one was cut: what a part shows is known from few samples."""

FEW = 1000
"""So many samples are enough then."""

HUNG_S = 6.0
"""So much longer a batch may take before it is said to hang."""

AGAIN_S = 2.5
"""Seconds beyond what it took before that a loader which hangs has, when it is read again to see at which sample."""

MOST_BYTES = 2**28
"""More is not kept of an epoch."""


@dataclass
class Epoch:
    """What an epoch delivered.

    Parameters
    ----------
    samples
        In the order of their arrival.
    sizes
        Samples of each batch.
    tags
        Where the samples come from; empty where that was not asked or cannot be known.
    ended
        Whether it was read to its end.
    seconds
        How long that took.
    """

    samples: list[Sample] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    tags: list[Tag] = field(default_factory=list)
    ended: bool = False
    seconds: float = 0.0


class Deliveries:
    """The loaders of one source, and what was read from them.

    Parameters
    ----------
    source
        Makes them.
    declares
        What their author declares.

    Attributes
    ----------
    read
        How many samples were read so far.
    left
        What was left running by a reading, in words; empty where nothing was.
    """

    def __init__(self, source: Source, declares: Mapping[str, Any]) -> None:
        self.source, self.declares = source, declares
        self.read = 0
        self.left = ""
        self._readings: dict[Any, list[Epoch]] = {}
        self._faults: dict[Any, LoadingFault] = {}
        self.limit_s = EPOCH_S
        self._began = time.monotonic()

    @property
    def name(self) -> str:
        """What the source is called."""
        return self.source.name

    @property
    def age_s(self) -> float:
        """Seconds since it was first looked at."""
        return time.monotonic() - self._began

    def names(self, keyword: str) -> bool:
        """Whether a keyword is asked of the loaders."""
        return keyword in self.source.names

    @cached_property
    def facts(self) -> Facts:
        """What is known of a loader without reading it."""
        with self.reading(Ask(), "made"):
            return facts_of(self.make(Ask()))
        raise AssertionError

    def make(self, ask: Ask) -> Any:
        """Make a loader; one that was tagged before is as it was."""
        loader = self.source.make(ask)
        return (
            untagged(loader)
            if self.source.is_one_object and isinstance(loader, torch.utils.data.DataLoader)
            else loader
        )

    def ask(self, **wanted: Any) -> Ask:
        """Return what is asked, with a batch size that suits the data."""
        return self.source.named(replace(Ask(batch_size=self.batch_size), **wanted))

    @cached_property
    def batch_size(self) -> int:
        """A batch size that gives ten batches or more and a rest; few batches of a large data set."""
        n = self.facts.samples or 0
        sizes = [size for size in (4, 3, 5, 7) if n % size] or [4]
        return sizes[0] if n < _SMALL else next(size for size in range(n // _BATCHES, n) if n % size)

    @contextmanager
    def reading(self, ask: Ask, how: str = "", limit_s: float = EPOCH_S + HUNG_S) -> Iterator[None]:
        """Do something with loaders within bounds; what they do instead of delivering is known from then on."""
        key = ask.num_workers
        # What happens without workers happens with them too.
        if (known := self._faults.get(key) or self._faults.get(0)) is not None:
            raise LoadingError(known)
        try:
            wait_s = 0.05 if self.left else SOON_S
            with spawned_quickly(), bounded(limit_s, keeps=self.source.is_one_object, wait_s=wait_s) as ended:
                yield
        except LoadingError as error:
            gc.collect()  # what it leaves behind would be inherited by the next workers
            self._faults[key] = error.fault if how in {"made", "injected"} else self._placed(ask, error)
            if how == "injected":
                del self._faults[key]
                raise
            raise LoadingError(self._faults[key]) from error.__cause__
        if ended.left:
            self.left = self.left or f"{ended.left} of its processes still run when it is let go of"

    def _placed(self, ask: Ask, error: LoadingError) -> LoadingFault:
        """Say at which sample it failed, where that can be seen when the epoch is read again."""
        if error.fault.index is not None or error.fault.kind in _NO_SAMPLE:
            return error.fault
        with suppress(Exception), spawned_quickly():
            loader = self.make(ask)
            data_set = facts_of(loader).data_set
            if data_set is None or not is_map_style(data_set):
                return error.fault
            limit_s = AGAIN_S if error.fault.kind is FaultKind.HUNG else EPOCH_S + HUNG_S
            found = diagnose(
                data_set, lambda watch: with_data_set(loader, watch), workers=facts_of(loader).workers, limit_s=limit_s
            )
            if found is not None and found.index is not None:
                return found
            if error.fault.kind is FaultKind.RAISED:
                return uncollated(facts_of(loader).data_set, self.make(ask), error.fault)
        return error.fault

    def epochs(self, ask: Ask, count: int = 1, *, tags: bool = False, world_seed: int = 1) -> list[Epoch]:
        """Read several epochs of one loader; of a factory that takes the epoch, each of a loader of its own.

        Parameters
        ----------
        ask
            What is asked for.
        count
            How many epochs.
        tags
            Whether samples are to come with their tags; an epoch has none where that is impossible.
        world_seed
            What the global generators are seeded with before.
        """
        key = (ask, tags, world_seed)
        known = self._readings.get(key, [])
        if len(known) < count:
            with self.reading(ask, limit_s=EPOCH_S * count + HUNG_S):
                known = self._readings[key] = self._read(ask, count, tags=tags, world_seed=world_seed)
            if not any(epoch.samples for epoch in known[:1]) and ask == self.ask(num_workers=ask.num_workers):
                raise LoadingError(LoadingFault(FaultKind.EMPTY, "the loader delivers no sample", "give it some"))
        return known[:count]

    def _read(self, ask: Ask, count: int, *, tags: bool, world_seed: int) -> list[Epoch]:
        seed_all(world_seed)
        epochs: list[Epoch] = []
        loader = None
        for number in range(ask.epoch, ask.epoch + count):
            if loader is None or self.makes_each_epoch(loader):
                loader = self.make(replace(ask, epoch=number))
            tell_epoch(loader, number)
            if tags and can_be_tagged(loader):
                loader = tagged(loader)
            epochs.append(self.epoch_of(loader))
        return epochs

    def makes_each_epoch(self, loader: Any) -> bool:
        """Whether a loader is good for one epoch: the factory takes the epoch, or is a generator function."""
        return self.names("epoch") or (self.source.is_factory and _is_generator(loader))

    def epoch_of(self, loader: Any, *, skip: int = 0, most: int | None = None) -> Epoch:
        """Read an epoch, or what is left of it.

        Parameters
        ----------
        loader
            The loader, or its iterator.
        skip
            Batches that are not kept.
        most
            Batches that are read at most.
        """
        epoch, size = Epoch(), 0
        whole = facts_of(loader).whole
        batches = iter(loader)
        began = time.perf_counter()  # its workers have started, which is no part of reading
        for number, came in enumerate(batches):
            batch = came
            if isinstance(came, TaggedBatch):
                batch = came.batch
                epoch.tags += came.tags
            if number >= skip:
                samples = samples_of(batch, whole=whole)
                epoch.samples += samples
                epoch.sizes.append(len(samples))
                size += sum(_bytes(sample) for sample in samples)
            if most is not None and number + 1 >= most:
                break
            long = self.limit_s < EPOCH_S and len(epoch.samples) >= FEW
            if long or time.perf_counter() - began > self.limit_s or size > MOST_BYTES:
                self.limit_s = SHORT_S
                break
        else:
            epoch.ended = True
        epoch.seconds = time.perf_counter() - began
        self.read += len(epoch.samples)
        return epoch

    def failing(self, ask: Ask, injection: Injection) -> Epoch | None:
        """Read an epoch in which something goes wrong; ``None`` where that cannot be brought about.

        Raises
        ------
        LoadingError
            As it should.
        """
        with self.reading(ask, "injected"):
            return self._failing(ask, injection)
        raise AssertionError

    def _failing(self, ask: Ask, injection: Injection) -> Epoch | None:
        loader = self.make(ask)
        return self.epoch_of(tagged(loader, injection)) if can_be_tagged(loader) else None

    @cached_property
    def directly(self) -> list[Sample] | None:
        """The samples as the data set gives them, one after the other, each collated alone; ``None`` if unreachable.

        They are fewer than there are where reading them takes long.
        """
        with self.reading(Ask(), "directly"):
            loader = self.make(self.ask())
            facts = facts_of(loader)
            if facts.data_set is None or not is_map_style(facts.data_set) or facts.samples is None:
                return None
            return list(_until(self.limit_s, lambda i: alone(loader, i), range(len(facts.data_set))))

    @cached_property
    def is_random(self) -> bool:
        """Whether a sample of the data set is another when it is read again."""
        if self.directly is None or not self.directly:
            return False
        from harness.loading.content import digest

        with self.reading(Ask(), "directly"):
            loader = self.make(self.ask())
            places = range(min(3, len(self.directly)))
            first, second = ([digest(alone(loader, i)) for i in places] for _ in range(2))
            return first != second


def uncollated(data_set: Any, loader: Any, fault: LoadingFault) -> LoadingFault:
    """Say which batch cannot be collated, and which sample in it is unlike the others.

    Parameters
    ----------
    data_set
        Map-style; its samples are there.
    loader
        Torch's loader of it.
    fault
        What it did.

    Returns
    -------
    fault
        With the index; the same where each batch can be collated.
    """
    for indices in loader.batch_sampler or ():
        samples = [data_set[i] for i in indices]
        try:
            loader.collate_fn(samples)
        except Exception:  # noqa: BLE001 - that is what is looked for
            kinds = [_shapes(sample) for sample in samples]
            odd = next((i for i, kind in zip(indices, kinds, strict=True) if kinds.count(kind) == 1), indices[0])
            said = f"at index {odd}: the batch of samples {indices[0]} to {indices[-1]} cannot be collated"
            if len(set(kinds)) > 1:
                said += f", as they have several shapes: {kinds[list(indices).index(odd)]} beside {kinds[0]}"
            return replace(fault, sentence=f"{said}; {fault.sentence}", index=int(odd))
    return fault


def _shapes(sample: Any) -> str:
    leaves = samples_of(sample, whole=True)[0].values()
    return ", ".join(str(list(leaf.shape)) for leaf in leaves if isinstance(leaf, torch.Tensor))


_SMALL, _BATCHES = 400, 40
_NO_SAMPLE = {FaultKind.SHARED_MEMORY, FaultKind.UNPICKLABLE, FaultKind.EMPTY, FaultKind.LEFT}


def alone(loader: Any, index: int) -> Sample:
    """Return one sample of a loader's data set, collated alone, as it would be in a batch.

    What cannot be collated alone is a sample that equals no other.
    """
    data_set = loader.dataset
    at_once = getattr(data_set, "__getitems__", None) and loader.batch_sampler is not None
    whole = not at_once and facts_of(loader).whole
    batched = at_once or loader.batch_sampler is None
    if at_once:
        given = data_set.__getitems__([index])
    else:
        given = data_set[index] if whole or not batched else data_set[[index]]
    try:
        batch = loader.collate_fn(given if batched else [given])
        if not batched and not whole and _has_lists(batch):
            # A list of one tensor may be one of samples or of parts: of many it is not both.
            batch = loader.collate_fn([given] * _MANY)
        return next(iter(samples_of(batch, whole=whole)), {"nothing": f"of sample {index}"})
    except Exception:  # noqa: BLE001 - what cannot be collated at all, a reading says
        return {"nothing": f"of sample {index}"}


def _has_lists(part: Any) -> bool:
    parts = part.values() if isinstance(part, Mapping) else part if isinstance(part, list | tuple) else ()
    return any(isinstance(inner, list) or _has_lists(inner) for inner in parts)


_MANY = 11
"""Copies of a sample that are collated together, where one would be taken for what it is not."""


def tell_epoch(loader: Any, number: int) -> None:
    """Tell a loader its epoch, where it asks for it."""
    if callable(tell := getattr(loader, "set_epoch", None)):
        tell(number)


def _is_generator(loader: Any) -> bool:
    return iter(loader) is loader if hasattr(loader, "__next__") else False


def _until(limit_s: float, call: Callable[[int], Any], places: Sequence[int]) -> Iterator[Any]:
    began = time.perf_counter()
    for place in places:
        if time.perf_counter() - began > limit_s:
            return
        yield call(place)


def _bytes(sample: Sample) -> int:
    return sum(leaf.nbytes if isinstance(leaf, torch.Tensor) else 64 for leaf in sample.values())


def own_processes() -> set[psutil.Process]:
    """The processes below this one."""
    gc.collect()
    return set(psutil.Process().children(recursive=True))
