"""What loaders of a source deliver, as those see it who judge: what was read is kept, as many laws look at the same.

A :class:`~harness.loading.fault.LoadingError` is raised again at once by every later exercise like the one it came of.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, Protocol

from harness.loading.content import Sample, digest
from harness.loading.exercise import deliver, fail, read_directly, read_twice, show
from harness.loading.fault import FaultKind, LoadingError, LoadingFault
from harness.loading.reader import EPOCH_S, HUNG_S, Epoch, Exercise, Exercised
from harness.loading.source import Ask, Facts, Promise
from harness.loading.tagged import Injection

_SMALL, _BATCHES = 400, 40


class Exercising(Protocol):
    """Who has loaders do something: a :class:`~harness.loading.reader.Reader`, or what stands for one elsewhere."""

    @property
    def source(self) -> Promise:
        """What is promised of the loaders."""

    def exercised(
        self, exercise: Exercise, ask: Ask, *given: Any, limit_s: float, hurried: bool = False, placed: bool = True
    ) -> Exercised:
        """Do something with loaders within bounds."""


class Reference(Protocol):
    """What gives each sample as it should be."""

    def samples(self, count: int) -> list[Sample]:
        """Return the first ones."""


class Deliveries:
    """The loaders of one source, and what was read from them.

    Parameters
    ----------
    reader
        Reads them.
    declares
        What their author declares.
    reference
        What gives each sample as it should be; ``None`` where nothing does.

    Attributes
    ----------
    read
        How many samples of epochs were read so far.
    left
        What was left running by an exercise, in words; empty where nothing was.
    """

    def __init__(self, reader: Exercising, declares: Mapping[str, Any], reference: Reference | None = None) -> None:
        self._reader = reader
        self.declares = declares
        self.reference = reference
        self.read = 0
        self.left = ""
        self._readings: dict[Any, list[Epoch]] = {}
        self._faults: dict[Any, LoadingFault] = {}
        self._began = time.monotonic()

    @property
    def source(self) -> Promise:
        """What is promised of the loaders."""
        return self._reader.source

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
        facts: Facts = self.exercised(show, Ask(), placed=False)
        return facts

    def ask(self, **wanted: Any) -> Ask:
        """Return what is asked, with a batch size that suits the data."""
        return self.source.named(replace(Ask(batch_size=self.batch_size), **wanted))

    @cached_property
    def batch_size(self) -> int:
        """A batch size that gives ten batches or more and a rest; few batches of a large data set."""
        n = self.facts.samples or 0
        sizes = [size for size in (4, 3, 5, 7) if n % size] or [4]
        return sizes[0] if n < _SMALL else next(size for size in range(n // _BATCHES, n) if n % size)

    def exercised(
        self,
        exercise: Exercise,
        ask: Ask,
        *given: Any,
        limit_s: float = EPOCH_S + HUNG_S,
        placed: bool = True,
        kept: bool = True,
    ) -> Any:
        """Have loaders do something; what they do instead of delivering is known from then on.

        Parameters
        ----------
        exercise
            What: see :mod:`harness.loading.exercise`.
        ask
            What the loaders are asked for.
        given
            What else the exercise takes.
        limit_s
            Seconds for all of it.
        placed
            Whether it is looked into at which sample it fails.
        kept
            Whether a failure says something of later exercises.

        Raises
        ------
        LoadingError
            If a loader does something else than deliver.
        """
        key = ask.num_workers
        # What happens without workers happens with them too.
        if (known := self._faults.get(key) or self._faults.get(0)) is not None:
            raise LoadingError(known)
        try:
            value, left = self._reader.exercised(
                exercise, ask, *given, limit_s=limit_s, hurried=bool(self.left), placed=placed
            )
        except LoadingError as error:
            if kept:
                self._faults[key] = error.fault
            raise
        if left:
            self.left = self.left or f"processes still running after it was closed: {left}"
        self.read += _samples_in(value)
        return value

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
            limit_s = EPOCH_S * count + HUNG_S
            known = self._readings[key] = self.exercised(deliver, ask, count, tags, world_seed, limit_s=limit_s)
            if not any(epoch.samples for epoch in known[:1]) and ask == self.ask(num_workers=ask.num_workers):
                raise LoadingError(
                    LoadingFault(FaultKind.EMPTY, "the loader delivers no samples", "use a data set that is not empty")
                )
        return known[:count]

    def failing(self, ask: Ask, injection: Injection) -> Epoch | None:
        """Read an epoch in which something goes wrong; ``None`` where that cannot be brought about.

        Raises
        ------
        LoadingError
            As it should.
        """
        epoch: Epoch | None = self.exercised(fail, ask, injection.at, injection.ends, placed=False, kept=False)
        return epoch

    @cached_property
    def directly(self) -> list[Sample] | None:
        """The samples as the data set gives them, one after the other, each collated alone; ``None`` if unreachable.

        They are fewer than there are where reading them takes long.
        """
        samples: list[Sample] | None = self.exercised(read_directly, self.ask())
        return samples

    @cached_property
    def is_random(self) -> bool:
        """Whether a sample of the data set is another when it is read again."""
        if self.directly is None or not self.directly:
            return False
        first, second = self.exercised(read_twice, self.ask(), min(3, len(self.directly)))
        return [digest(sample) for sample in first] != [digest(sample) for sample in second]


def _samples_in(value: Any) -> int:
    """How many samples there are in the epochs among what was read."""
    if isinstance(value, Epoch):
        return len(value.samples)
    return sum(map(_samples_in, value)) if isinstance(value, list | tuple) else 0
