"""Laws about the samples of an epoch: each sample once, in batches of the requested size, as many as announced."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from harness.calling.adapter import NotApplicable
from harness.contracts.building_blocks.delivery.asking import allowed_request, asks, delivery_law, named
from harness.contracts.building_blocks.delivery.finding import (
    created_with,
    found,
    not_random,
    satisfied,
    skip_if,
    spans,
    whole,
)
from harness.floats import Measurement
from harness.loading.content import Sample, digests
from harness.loading.delivery import Deliveries
from harness.loading.exercise import announce
from harness.loading.reader import SEED, Epoch
from harness.loading.source import Request

_EPOCHS = ("first", "second")


@delivery_law(
    "Every epoch delivers each sample exactly once, over all workers together.",
    asks(num_workers=(0, 2), shuffle=(False,), drop_last=(False,))
    + asks(num_workers=(0, 3), shuffle=(True,), drop_last=(False,))
    + asks(num_workers=(3,), shuffle=(False,), drop_last=(False,))
    + asks(num_workers=(0, 3), shuffle=(False,), drop_last=(True,)),
    cause="workers do not share an iterable data set, the remainder of a division is lost, `drop_last` is set "
    "without being requested, samples are filtered out, or a generator is exhausted: give each worker its own "
    "part, and cover all samples",
)
def each_sample_once(deliveries: Deliveries, num_workers: int, shuffle: bool, drop_last: bool) -> Measurement:  # noqa: FBT001
    """Count samples that are missing or superfluous, in any order."""
    request = allowed_request(deliveries, num_workers=num_workers, shuffle=shuffle, drop_last=drop_last)
    if (wrong := _misused_weights(deliveries)) is not None:
        return wrong
    (whole_epoch,) = deliveries.epochs(request)
    if deliveries.draws_with_replacement:
        skip_if(not _are_without_replacement(deliveries, whole_epoch.samples), _REPLACED)
    if not whole_epoch.ended:
        partly = _at_the_beginning(deliveries, request) or _of_indices(deliveries, request)
        return partly or _within_a_part(deliveries, request)
    where, rows = created_with(deliveries, request), 0
    for which, epoch in zip(_EPOCHS, deliveries.epochs(request, 2), strict=True):
        if not epoch.ended:  # a busy machine
            break
        extra, missing, total = _comparison(deliveries, request, epoch)
        if -1 in extra and extra.count(-1) == len(extra) == len(missing):
            # The number is right but every sample is unknown, so compare indices; other laws check the content.
            extra, missing, total = _by_index(deliveries, request, _EPOCHS.index(which))
        if extra or len(missing) > _spare(deliveries, request):
            position = f"in the {which} epoch{where}"
            if not epoch.samples:
                return found(f"{position}: none of the {total} samples arrives", total, actual=0, expected=total)
            message = _description(extra, missing, total)
            return found(f"{position}: {message}", len(extra) + len(missing), actual=len(epoch.samples), expected=total)
        rows += len(epoch.samples)
    return satisfied(rows)


def _misused_weights(deliveries: Deliveries) -> Measurement | None:
    """Measure whether a weighted sampler has too few weights, or weights that have no effect."""
    info = deliveries.info
    lost = (info.length or 0) - (info.length or 0 if info.weights is None else info.weights)
    if lost > 0:
        message = f"its sampler has {info.weights} weights for {info.length} samples, so that {lost} never arrive"
        return found(f"{message}: it takes a weight for each sample, not for each class", lost, actual=lost)
    if info.idle_weights:
        return found("its sampler draws every sample without replacement, so that its weights have no effect", 1)
    return None


_REPLACED = "it draws with replacement, so no sample is guaranteed"


def _are_without_replacement(deliveries: Deliveries, samples: Sequence[Sample]) -> bool:
    """Return whether draws with replacement would give as many different samples with a probability below 1e-7.

    Notes
    -----
    All of ``k`` draws from ``n`` samples differ with the probability ``n! / ((n - k)! n^k)``, or less if the samples
    have weights. Ranks may be padded beyond ``n``.
    """
    (received,) = digests(samples)
    n = deliveries.info.samples or 0
    k = min(len(received), n)
    if deliveries.is_random or len(set(received)) < k or not k:
        return False
    return math.lgamma(n + 1) - math.lgamma(n - k + 1) - k * math.log(n) < math.log(1e-7)


def _spare(deliveries: Deliveries, request: Request) -> int:
    """Return how many samples an incomplete batch may lose."""
    drops = request.drop_last or (deliveries.info.drops and not deliveries.source.is_factory)
    return request.batch_size - 1 if drops else 0


def _of_indices(deliveries: Deliveries, request: Request) -> Measurement | None:
    """Check the indices of two whole epochs; ``None`` if they are unknown, or the part that was read differs."""
    epochs = deliveries.indices(request)
    n = deliveries.info.samples
    if epochs is None or n is None or deliveries.draws_with_replacement or not _has_same_beginning(deliveries, request):
        return None
    where = created_with(deliveries, request)
    for which, (indices, _) in zip(_EPOCHS, epochs, strict=True):
        times = Counter(indices)
        extra = [index for index, number in times.items() if number > 1]
        missing = [i for i in range(n) if i not in times] if n == deliveries.info.length else [*range(len(times), n)]
        if extra or len(missing) > _spare(deliveries, request):
            message = f"in the {which} epoch{where}: {_description(extra, missing, n)}"
            return found(message, len(extra) + len(missing), actual=len(indices), expected=n)
    return satisfied(sum(len(indices) for indices, _ in epochs))


def _at_the_beginning(deliveries: Deliveries, request: Request) -> Measurement | None:
    """Look for missing samples in the part that was read, if it has the order of the data set."""
    expected, received = _beginning(deliveries, request)
    arrived = set(received)
    missing = [i for i, mark in enumerate(expected[: len(received)]) if mark not in arrived]
    if not missing or 2 * len(missing) > len(received):
        return None
    message = _description([], missing, len(received))
    where = created_with(deliveries, request)
    return found(f"among the first samples{where}: {message}", len(missing), actual=len(missing))


def _has_same_beginning(deliveries: Deliveries, request: Request) -> bool:
    """Whether the part that was read equals the beginning of the data set, if it should."""
    return all(expected == mark for expected, mark in zip(*_beginning(deliveries, request), strict=False))


def _beginning(deliveries: Deliveries, request: Request) -> tuple[list[str], list[str]]:
    """Return digests of the data set and of the part that was read; none if the loader uses another order."""
    if request.shuffle or deliveries.info.shuffled is not False or deliveries.is_random:
        return [], []
    expected, received = digests(deliveries.directly or [], deliveries.epochs(request)[0].samples)
    return expected, received


def _within_a_part(deliveries: Deliveries, request: Request) -> Measurement:
    """Look for duplicates in a truncated epoch of distinct samples."""
    (epoch,) = deliveries.epochs(request)
    expected = deliveries.directly
    if expected is None or deliveries.is_random or deliveries.info.samples is None:
        whole(epoch)
    assert expected is not None
    reference, received = map(Counter, digests(expected, epoch.samples))
    if max(reference.values(), default=0) > 1 or len(expected) < (deliveries.info.samples or 0):
        whole(epoch)
    twice = [mark for mark, times in received.items() if times > 1]
    if not twice:
        return satisfied(len(epoch.samples))
    where = created_with(deliveries, request)
    return found(f"{len(twice)} of the first {len(epoch.samples)} samples arrive twice{where}", len(twice))


def _comparison(deliveries: Deliveries, request: Request, epoch: Epoch) -> tuple[list[int], list[int], int]:
    """Return the places of repeated and of missing samples, and the total number of samples."""
    if deliveries.is_random:
        return _by_index(deliveries, request)
    expected = deliveries.directly
    if expected is None or len(expected) < (deliveries.info.samples or 0):
        expected = whole(deliveries.epochs(deliveries.request())[0]).samples
    elif deliveries.info.samples is not None and deliveries.info.samples < len(expected):
        return _of_a_part(deliveries, expected, epoch)
    return (*differences(expected, epoch.samples), len(expected))


def _of_a_part(deliveries: Deliveries, expected: Sequence[Sample], epoch: Epoch) -> tuple[list[int], list[int], int]:
    """Return these places if the sampler covers only a part of the samples."""
    total = deliveries.info.samples or 0
    extra, missing = differences(expected, epoch.samples)
    return extra, missing[: max(0, len(missing) - (len(expected) - total))], total


_MANY = 2**22
"""Largest number of samples among which missing ones are searched."""


def _by_index(deliveries: Deliveries, request: Request, number: int = 0) -> tuple[list[int], list[int], int]:
    """Return these places by index if samples are random."""
    epoch = deliveries.epochs(request, number + 1, tags=True)[number]
    n = deliveries.info.samples
    # A sampler of a part of the data set does not reveal which part.
    if not epoch.tags or n is None or n != deliveries.info.length:
        raise NotApplicable("its samples differ each time, so they cannot be identified")
    skip_if(n > max(_MANY, 2 * len(epoch.tags)), "its data set reports far more samples than arrived")
    times = Counter(tag.index for tag in epoch.tags)
    return [i for i, number in times.items() if number > 1], [i for i in range(n or 0) if i not in times], n or 0


def differences(expected: Sequence[Sample], delivered: Sequence[Sample]) -> tuple[list[int], list[int]]:
    """Return the places of repeated and of missing samples; a sample that is not expected has the place -1."""
    reference, received = digests(expected, delivered)
    places: dict[str, list[int]] = {}
    for position, mark in enumerate(reference):
        places.setdefault(mark, []).append(position)
    extra, missing = [], []
    times = Counter(received)
    for mark, indices in places.items():
        surplus = times[mark] - len(indices)
        extra += indices[:1] * max(surplus, 0)
        missing += indices[surplus:] if surplus < 0 else []
    extra += [-1] * sum(number for mark, number in times.items() if mark not in places)
    return extra, sorted(missing)


def _description(extra: Sequence[int], missing: Sequence[int], total: int) -> str:
    """Describe repeated and missing samples."""
    unexpected = sum(position < 0 for position in extra)
    twice = sorted({position for position in extra if position >= 0})
    parts = []
    if twice:
        times_in_words = "twice or more" if len(extra) - unexpected > len(twice) else "twice"
        arrive = "arrives" if len(twice) == 1 else "arrive"
        parts.append(f"{len(twice)} of {total} samples {arrive} {times_in_words}: {spans(twice)}")
    if missing:
        arrive = "arrives" if len(missing) == 1 else "arrive"
        parts.append(f"{len(missing)} of {total} samples never {arrive}: {spans(missing)}")
    if unexpected:
        parts.append(f"{unexpected} samples are not in the data set")
    return "; ".join(parts)


@delivery_law(
    "All ranks together deliver each sample once, plus the minimal padding that makes the ranks equal.",
    asks(world_size=(2, 3), shuffle=(False, True), num_workers=(0,))
    + asks(world_size=(2,), shuffle=(False,), num_workers=(2,)),
    source="torch.utils.data.DistributedSampler",
    cause="the remainder of the division is lost, each rank draws its own order or split, ranks are padded to "
    "whole batches, or the shards of ranks and of workers overlap: draw one order for all ranks from a seed, pad it "
    "to a multiple of their number, and number shards by `rank * workers + worker`",
)
def ranks_share_an_epoch(deliveries: Deliveries, world_size: int, shuffle: bool, num_workers: int) -> Measurement:  # noqa: FBT001
    """Compare the union of the ranks with the whole epoch."""
    named(deliveries, "rank", "world_size")
    not_random(deliveries)
    alone_ = whole(deliveries.epochs(deliveries.request())[0]).samples
    expected = deliveries.directly or alone_
    skip_if(len(expected) < (deliveries.info.samples or 0), "an epoch takes too long to be read rank by rank")
    parts = []
    for rank in range(world_size):
        request = allowed_request(deliveries, num_workers=num_workers, shuffle=shuffle, world_size=world_size)
        ranked = deliveries.source.fill_defaults(replace(request, rank=rank))
        (epoch,) = deliveries.epochs(ranked, world_seed=SEED + rank)  # processes have no common random state
        parts.append(whole(epoch).samples)
    union = [sample for part in parts for sample in part]
    if deliveries.draws_with_replacement:
        skip_if(not _are_without_replacement(deliveries, union), _REPLACED)
        message = f"one process draws with replacement, but {world_size} ranks share each sample once"
        return found(f"{message}: the weights are lost in ranks", len(union))
    extra, missing = differences(expected, union)
    least = -len(expected) % world_size
    where = f" over {world_size} ranks{f' with {num_workers} workers each' if num_workers else ''}"
    where += ", shuffled" if shuffle else ""
    lengths = sorted({len(part) for part in parts})
    dropping = deliveries.info.drops and not extra
    allowed = world_size * max(num_workers, 1) * request.batch_size if dropping else 0
    if len(missing) > allowed or -1 in extra:
        return found(f"{_description(extra, missing, len(expected))}{where}", len(extra) + len(missing))
    if len(extra) > least:
        message = f"{len(extra)} samples are padding, although {least} would make the ranks equal{where}"
        return found(message, len(extra) - least, actual=len(extra), expected=least)
    if len(lengths) > 1:
        message = f"the ranks have {spans(lengths)} samples{where}, so that some wait for a batch that never comes"
        return found(message, lengths[-1] - lengths[0], actual=lengths[0], expected=lengths[-1])
    return satisfied(sum(len(part) for part in parts))


@delivery_law(
    "The loader delivers as many batches as its `len` says, and as many samples as the `len` of its data set.",
    asks(num_workers=(0, 2), drop_last=(False, True), shuffle=(False,), world_size=(1,))
    + asks(num_workers=(0,), drop_last=(False,), shuffle=(True,), world_size=(1,))
    + asks(num_workers=(0,), drop_last=(False,), shuffle=(False,), world_size=(2,)),
    source="torch.utils.data.DataLoader",
    cause="`__len__` counts samples instead of batches, rounds the wrong way, or is off by one: count the batches "
    "that are delivered",
    unit="batches",
)
def lengths_are_as_declared(
    deliveries: Deliveries,
    num_workers: int,
    drop_last: bool,  # noqa: FBT001
    shuffle: bool,  # noqa: FBT001
    world_size: int,
) -> Measurement:
    """Compare the announced with the delivered numbers."""
    request = allowed_request(
        deliveries, num_workers=num_workers, drop_last=drop_last, shuffle=shuffle, world_size=world_size
    )
    announced, extra = deliveries.run_exercise(announce, request, placed=False)
    if extra is not None:
        message = f"the data set reports {extra} samples, but also has one at index {extra}"
        return found(message, 1, actual=extra + 1, expected=extra)
    skip_if(announced is None, "it does not report how many batches it has")
    (epoch,) = deliveries.epochs(request)
    batches = len(epoch.sizes) if epoch.ended else _counted(deliveries, request)
    length, arrive = deliveries.info.length, len(epoch.samples)
    is_whole = not drop_last and not num_workers and world_size == 1
    if deliveries.info.streams and epoch.ended and length and arrive < length and is_whole:
        message = f"the data set reports {length} samples, but {arrive} arrive"
        return found(message, length - arrive, actual=arrive, expected=length)
    if deliveries.info.streams and num_workers:
        raise NotApplicable("torch does not count the batches of workers for an iterable data set")
    if batches != announced:
        where = created_with(deliveries, request)
        message = f"`len` reports {announced} batches{where}, but {batches} arrive"
        return found(message, abs(batches - announced), actual=batches, expected=announced)
    return satisfied(len(epoch.samples))


def _counted(deliveries: Deliveries, request: Request) -> int:
    """Return the number of batches in a truncated epoch, from its indices."""
    epochs = deliveries.indices(request)
    if epochs is None:
        whole(deliveries.epochs(request)[0])
    assert epochs is not None
    return len(epochs[0][1])


@delivery_law(
    "All batches have the requested size; the last one has the remainder, unless `drop_last` is set.",
    asks(num_workers=(0, 2), drop_last=(False, True)),
    cause="the batch size is not passed on, or `drop_last` is ignored: pass both on",
)
def batches_have_the_size_asked_for(deliveries: Deliveries, num_workers: int, drop_last: bool) -> Measurement:  # noqa: FBT001
    """Compare the sequence of batch sizes; every worker of a shared stream has a last batch."""
    named(deliveries, "batch_size")
    request = allowed_request(deliveries, num_workers=num_workers, drop_last=drop_last)
    (epoch,) = deliveries.epochs(request)
    skip_if(deliveries.info.whole, "it yields samples instead of batches")
    ends = 1 if deliveries.info.by_index else max(num_workers, 1)
    odd_sizes = [size for size in epoch.sizes if size != request.batch_size]
    tails = [] if drop_last else [size for size in odd_sizes if size < request.batch_size][:ends]
    wrong = len(odd_sizes) - len(tails)
    where = created_with(deliveries, request)
    if wrong:
        sizes = spans(odd_sizes)
        message = f"batches of {sizes} samples arrive instead of {request.batch_size}{where}"
        return found(message, wrong, actual=odd_sizes[0], expected=request.batch_size)
    in_turns = ends == 1 and not (deliveries.info.by_index and deliveries.info.shuffled is None)
    is_last_whole = epoch.ended and epoch.sizes[:-1] and epoch.sizes[-1] == request.batch_size
    if is_last_whole and not drop_last and in_turns and odd_sizes:
        index = next(i for i, size in enumerate(epoch.sizes) if size != request.batch_size)
        return found(f"batch {index} of {len(epoch.sizes)} is smaller than the following ones{where}", 1)
    return satisfied(len(epoch.samples))


@delivery_law(
    "The samples of an epoch do not depend on the batch size.",
    asks(num_workers=(0,)),
    cause="samples that do not fill a batch are dropped or repeated, or one random number is drawn for each batch "
    "instead of each sample",
)
def samples_do_not_depend_on_the_batch_size(deliveries: Deliveries, num_workers: int) -> Measurement:
    """Compare epochs of two batch sizes with different remainders, in any order."""
    named(deliveries, "batch_size")
    skip_if(deliveries.draws_with_replacement, _REPLACED)
    request = allowed_request(deliveries, num_workers=num_workers)
    whole(deliveries.epochs(request)[0])
    first, second = (whole(epoch).samples for epoch in deliveries.epochs(request, 2))
    second_request = replace(
        request, batch_size=_another_size(request.batch_size, deliveries.info.samples or len(first))
    )
    third = whole(deliveries.epochs(second_request)[0]).samples
    sizes = (f"batch_size={request.batch_size}", f"batch_size={second_request.batch_size}")
    if len(first) == len(second) != len(third):
        message = f"with {sizes[0]}, {len(first)} samples arrive; with {sizes[1]}, {len(third)} arrive"
        return found(message, abs(len(first) - len(third)), actual=len(first), expected=len(third))
    first_counts, second_counts, third_counts = map(Counter, digests(first, second, third))
    if deliveries.is_random or first_counts != second_counts:
        return satisfied(len(first) + len(third))
    if lost := sum((first_counts - third_counts).values()):
        message = f"{lost} of the samples that arrive with {sizes[0]} are missing with {sizes[1]}"
        return found(message, lost, actual=lost)
    return satisfied(len(first) + len(third))


def _another_size(batch_size: int, number: int) -> int:
    """Return a similar batch size that leaves a different remainder."""
    near = chain(range(batch_size - 1, 1, -1), range(batch_size + 1, 2 * batch_size + 2))
    return next((size for size in near if number % size != number % batch_size), batch_size + 1)
