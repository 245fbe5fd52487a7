"""Laws about the order of samples: it follows from the seed, changes each epoch, and follows ``set_epoch``."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from harness.calling.adapter import NotApplicable
from harness.contracts.building_blocks.delivery.asking import allowed_request, asks, delivery_law, named, varied
from harness.contracts.building_blocks.delivery.finding import (
    created_with,
    differing_places,
    found,
    not_random,
    satisfied,
    skip_if,
)
from harness.floats import Measurement
from harness.loading.content import digests
from harness.loading.delivery import Deliveries
from harness.loading.exercise import set_epochs
from harness.loading.reader import Epoch
from harness.loading.source import Request

_FEW = 8
"""Minimum number of samples to compare; two random orders of eight are equal with probability 1/40,320."""


def marks_of(deliveries: Deliveries, request: Request, *epochs: Epoch) -> list[list[object]]:
    """Return marks that identify the samples of epochs: their indices if samples are random, otherwise their content.

    Raises
    ------
    NotApplicable
        If samples are random and their indices are unknown.
    """
    if deliveries.is_random:
        tagged_ = deliveries.epochs(request, len(epochs), tags=True)
        if not all(epoch.tags for epoch in tagged_):
            not_random(deliveries)
        return [[tag.index for tag in epoch.tags] for epoch in tagged_]
    return [list(marks) for marks in digests(*(epoch.samples for epoch in epochs))]


def same_samples(first: Sequence[object], second: Sequence[object], *, complete: bool) -> None:
    """Skip the law if two complete epochs contain different samples.

    Raises
    ------
    NotApplicable
        If they do; another law covers that.
    """
    if complete and Counter(first) != Counter(second):
        raise NotApplicable("the epochs contain different samples, which is a matter for each_sample_once")


@delivery_law(
    "The order depends on the seed and not on the number of workers; another seed gives another order.",
    asks(num_workers=(2, 3), shuffle=(True, False)),
    cause="workers divide the order among themselves, batches arrive in order of completion, or the seed is not "
    "passed on: let the main process draw the order, or declare the dependence with `--declare order=workers`",
)
def order_depends_on_the_seed_alone(deliveries: Deliveries, num_workers: int, shuffle: bool) -> Measurement:  # noqa: FBT001
    """Compare the orders with and without workers, and the orders of two seeds."""
    varied(deliveries, "shuffle", shuffle)
    if deliveries.names("seed") and shuffle and (wrong := _of_two_seeds(deliveries)) is not None:
        return wrong
    named(deliveries, "num_workers")
    if shuffle:
        named(deliveries, "seed")
    skip_if(deliveries.declares.get("order") == "workers", "its order is declared to depend on its workers")
    by_index = deliveries.info.by_index
    if not (by_index or deliveries.names("seed")):
        raise NotApplicable("its workers may share a stream and it has no parameter `seed`, so no order is promised")
    standalone, several = (deliveries.request(num_workers=number, shuffle=shuffle) for number in (0, num_workers))
    first, second = deliveries.epochs(standalone)[0], deliveries.epochs(several)[0]
    marks: Sequence[Sequence[object]] = digests(first.samples, second.samples)
    if deliveries.is_random:
        marks = [marks_of(deliveries, request, first)[0] for request in (standalone, several)]
    return _ordered(marks[0], marks[1], num_workers, complete=first.ended and second.ended)


def _ordered(first: Sequence[object], second: Sequence[object], num_workers: int, *, complete: bool) -> Measurement:
    same_samples(first, second, complete=complete)
    if differing := differing_places(first, second):
        message = f"with {num_workers} workers the order differs from that without workers"
        return found(f"{message}, starting at sample {differing[0]}", len(differing), actual=len(differing))
    return satisfied(len(first))


def _of_two_seeds(deliveries: Deliveries) -> Measurement | None:
    request = deliveries.request(shuffle=True)
    first, second = (deliveries.epochs(replace(request, seed=seed), world_seed=3 + seed)[0] for seed in (0, 1))
    if len(first.samples) < _FEW:
        return None
    first_marks, second_marks = (
        marks_of(deliveries, replace(request, seed=seed), epoch)[0] for seed, epoch in ((0, first), (1, second))
    )
    if first_marks == second_marks and len(set(first_marks)) > _FEW:
        return found("two seeds give the same order, so the seed is not passed on", 1)
    return None


@delivery_law(
    "With shuffling each epoch has another order; without it each epoch has the order of the data set.",
    asks(shuffle=(True, False), num_workers=(0, 2)),
    cause="the order is drawn once when the loader is created, or the epoch or `shuffle` is not passed on: draw a "
    "new order in each epoch, and call `loader.sampler.set_epoch(epoch)` if there is such a sampler",
    unit="epochs",
)
def epochs_are_shuffled_anew(deliveries: Deliveries, shuffle: bool, num_workers: int) -> Measurement:  # noqa: FBT001
    """Compare the orders of two epochs."""
    shuffles = deliveries.info.shuffled if not deliveries.names("shuffle") else shuffle
    if not deliveries.names("shuffle") and (shuffle or shuffles is None) and shuffles is not True:
        raise NotApplicable(f"{deliveries.name} has no parameter `shuffle`, so this law does not apply")
    varied(deliveries, "num_workers", num_workers)
    request = deliveries.request(shuffle=shuffle, num_workers=num_workers)
    first, second = deliveries.epochs(request, 2)
    first_marks, second_marks = marks_of(deliveries, request, first, second)
    if not shuffles:
        return _unshuffled(deliveries, first, first_marks, second_marks)
    if len(first_marks) < _FEW or len(set(first_marks)) < _FEW:
        raise NotApplicable("too few samples differ, so two orders cannot be distinguished")
    is_complete = not deliveries.draws_with_replacement
    same_samples(first_marks, second_marks, complete=first.ended and second.ended and is_complete)
    if (wrong := _stays(deliveries, request) or _stay_together(deliveries, request)) is not None:
        return wrong
    if first_marks == second_marks:
        named_ = "epochs 0 and 1" if deliveries.names("epoch") else "the first and second epochs"
        return found(f"with shuffling, {named_} have the same order", 1, actual=0, expected=1)
    if not deliveries.is_random and (direct := deliveries.directly) is not None and is_complete:
        straight = digests(direct, first.samples)
        if straight[0] == straight[1]:
            return found("with shuffling, the first epoch has the order of the data set", 1, actual=0, expected=1)
    return satisfied(len(first_marks) + len(second_marks))


def _stays(deliveries: Deliveries, request: Request) -> Measurement | None:
    """Look for a sample that has the same place in each of many epochs, which a random order gives no sample.

    The first batch is left aside, because some samplers deliver the largest samples first, to fill the memory at once.
    """
    n = deliveries.info.samples or 0
    if not _FEW < n <= _MANY or request.num_workers or deliveries.draws_with_replacement:
        return None
    epochs = [indices for indices, _ in deliveries.indices(request, _EPOCHS) or ()]
    fixed = [place for place, indices in enumerate(zip(*epochs, strict=False)) if len(set(indices)) == 1]
    late = [place for place in fixed if place >= request.batch_size]
    if late and len(epochs) == _EPOCHS and len(fixed) < n:
        message = f"with shuffling, sample {epochs[0][late[0]]} has place {late[0]} in each of {_EPOCHS} epochs"
        return found(message, len(late), actual=len(late))
    return None


def _stay_together(deliveries: Deliveries, request: Request) -> Measurement | None:
    """Look for batches that have the same samples in each of many epochs, whatever their order."""
    n = deliveries.info.samples or 0
    if not _FEW < n <= _MANY or request.num_workers or deliveries.draws_with_replacement:
        return None
    epochs = []
    for indices, sizes in deliveries.indices(request, _EPOCHS) or ():
        rows = iter(indices)
        epochs.append({frozenset(islice(rows, size)) for size in sizes})
    same = [batch for batch in set.intersection(*epochs) if len(batch) > 1] if len(epochs) == _EPOCHS else []
    if len(same) < 2:
        return None
    message = (
        f"with shuffling, {len(same)} of {len(epochs[0])} batches have the same samples in each of {_EPOCHS} epochs"
    )
    return found(message, len(same), actual=len(same))


_MANY, _EPOCHS = 1000, 10
"""Largest number of samples whose places are compared in this number of epochs.

That a sample of eight or more keeps its place in ten epochs has a probability below 1e-7.
"""


def _unshuffled(
    deliveries: Deliveries, first: Epoch, first_marks: list[object], second_marks: list[object]
) -> Measurement:
    has_other_order = first_marks != second_marks and Counter(first_marks) == Counter(second_marks)
    if has_other_order and not deliveries.info.streams:
        return found("without shuffling, two epochs have different orders", 1, actual=1, expected=0)
    if deliveries.names("shuffle") and not deliveries.is_random and (direct := deliveries.directly) is not None:
        straight, arrived = digests(direct, first.samples)
        if straight != arrived and Counter(straight) == Counter(arrived):
            place = differing_places(straight, arrived)[0]
            return found(f"without shuffling, the order is not that of the data set, starting at sample {place}", 1)
    return satisfied(len(first_marks) + len(second_marks))


@delivery_law(
    "The same seed gives the same epoch, random augmentation included, whatever was drawn before.",
    asks(num_workers=(0, 2), shuffle=(True, False)),
    cause="the seed is not used, workers are seeded from the clock, or numbers are drawn from the global "
    "generators: use generators that are seeded from `seed`",
)
def the_same_seed_gives_the_same_epoch(deliveries: Deliveries, num_workers: int, shuffle: bool) -> Measurement:  # noqa: FBT001
    """Compare two equally seeded loaders, created after different random numbers were drawn."""
    named(deliveries, "seed")
    request = allowed_request(deliveries, num_workers=num_workers, shuffle=shuffle)
    if num_workers == 0 and deliveries.is_random and deliveries.names("num_workers"):
        raise NotApplicable("without workers, its augmentation draws from the global generators of the calling process")
    first, second = (deliveries.epochs(request, world_seed=seed)[0] for seed in (1, 2))
    first_marks, second_marks = digests(first.samples, second.samples)
    differing = differing_places(first_marks, second_marks)
    if not differing:
        return satisfied(len(first_marks) + len(second_marks))
    cause = "the order differs" if Counter(first_marks) == Counter(second_marks) else "the samples differ"
    if deliveries.is_random:
        cause = "the random augmentation differs"
    message = f"{cause} between two equally seeded loaders{created_with(deliveries, request)}"
    return found(f"{message}, starting at sample {differing[0]}", len(differing), actual=len(differing))


@delivery_law(
    "Setting the epoch reaches all workers: it changes the random numbers as it does without workers.",
    asks(num_workers=(0, 2), shuffle=(True,)),
    cause="persistent workers keep the data set of the first epoch: store the epoch in shared memory, or restart "
    "the workers",
)
def set_epoch_is_heard(deliveries: Deliveries, num_workers: int, shuffle: bool) -> Measurement:  # noqa: FBT001
    """Read epochs 0, 1 and 0 of a loader."""
    varied(deliveries, "num_workers", num_workers)
    request = deliveries.request(num_workers=num_workers, shuffle=shuffle)
    epochs = deliveries.run_exercise(set_epochs, request, [0, 1, 0])
    skip_if(epochs is None, "it has no `set_epoch`")
    first, second, third = digests(*(epoch.samples for epoch in epochs))
    if not all(epoch.ended for epoch in epochs):
        shortest = min(map(len, (first, second, third)))
        first, second, third = first[:shortest], second[:shortest], third[:shortest]
    if num_workers:
        expected = deliveries.run_exercise(set_epochs, deliveries.request(shuffle=shuffle), [0, 1, 0])
        if expected is not None and all(epoch.ended for epoch in (*epochs, *expected)):
            # Shuffling changes the order in each epoch, whether or not the workers know its number.
            counts = [Counter(digests(epoch.samples)[0]) for epoch in expected]
            stale, usual = (Counter(first) & Counter(second)).total(), (counts[0] & counts[1]).total()
            if counts[0] != counts[1] and (stale == len(first) or stale >= _FEW // 2 + 10 * usual):
                message = f"with {num_workers} workers {stale} of {len(first)} samples are the same in epochs 0 and 1"
                return found(f"{message}, without workers {usual}", stale, actual=stale, expected=usual)
    if first == second and len(first) >= _FEW and len(set(first)) >= _FEW:
        return found("epochs 0 and 1 are equal", 1)
    if first != third and Counter(first) != Counter(third) and not deliveries.is_random:
        return found("epoch 0 differs when it is set again", 1)
    return satisfied(len(first) * 3)
