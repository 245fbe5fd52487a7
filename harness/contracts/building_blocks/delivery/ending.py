"""Laws about epochs that end early, resume or fail, and about resources that a loader leaves in use."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from harness.calling.adapter import NotApplicable
from harness.contracts.building_blocks.delivery.asking import allowed_request, asks, delivery_law
from harness.contracts.building_blocks.delivery.finding import created_with, differing_places, found, satisfied, skip_if
from harness.floats import Measurement
from harness.loading.content import digests
from harness.loading.delivery import USE_S, Deliveries
from harness.loading.exercise import change_settings, count_open, fail, go_straight_on, leave_early, resume, stay, use
from harness.loading.fault import FaultKind, LoadingError
from harness.loading.reader import Epoch


@delivery_law(
    "Leaving an epoch early does not affect the next one, which is complete.",
    asks(num_workers=(0, 2)),
    cause="a stored iterator continues instead of restarting: create a new one in `__iter__`",
)
def an_epoch_left_early_spoils_none(deliveries: Deliveries, num_workers: int) -> Measurement:
    """Read two batches, and then an epoch."""
    request = allowed_request(deliveries, num_workers=num_workers)
    (whole_epoch,) = deliveries.epochs(request)
    skip_if(not whole_epoch.ended or len(whole_epoch.sizes) < 3, "an epoch is too short or too long to be left early")
    epoch = deliveries.run_exercise(leave_early, request, 2)
    skip_if(epoch is None, "the loader supports one epoch only, or has a state and may continue")
    if not epoch.ended and len(epoch.samples) < len(whole_epoch.samples):
        raise NotApplicable("an epoch takes too long to be left early")
    where = created_with(deliveries, request)
    if len(epoch.samples) != len(whole_epoch.samples):
        message = f"after an epoch that was left after 2 batches, the next one has {len(epoch.samples)} of "
        message += f"{len(whole_epoch.samples)} samples{where}"
        return found(message, abs(len(epoch.samples) - len(whole_epoch.samples)), actual=len(epoch.samples))
    first, second, after = digests(*(reading.samples for reading in (*deliveries.epochs(request, 2), epoch)))
    sames = (sorted, list) if not deliveries.is_random else ()
    if any(same(first) == same(second) != same(after) for same in sames):
        message = "after an epoch that was left after 2 batches, the next one has other samples or begins elsewhere"
        return found(f"{message}{where}", 1)
    return satisfied(len(epoch.samples))


# Resuming


@delivery_law(
    "A loader resumed from a saved state delivers the same samples as an uninterrupted one, random numbers included.",
    asks(num_workers=(0, 2), shuffle=(True, False)),
    source="torchdata.stateful_dataloader",
    cause="the state lacks the order, the epoch or the random numbers, counts prefetched batches, restarts when it is "
    "saved a second time, or goes on with the loader: save a copy of the position after the last delivered batch",
)
def resumes_where_it_stopped(deliveries: Deliveries, num_workers: int, shuffle: bool) -> Measurement:  # noqa: FBT001
    """Take the state at several batches, resume in a new loader, and compare the rest and the next epoch."""
    request = allowed_request(deliveries, num_workers=num_workers, shuffle=shuffle)
    where = created_with(deliveries, request)
    straight = deliveries.run_exercise(go_straight_on, request)
    skip_if(straight is None, "it has no `state_dict` and `load_state_dict`")
    first, following = straight
    skip_if(not first.ended, "an epoch takes too long to be resumed at several batches")
    batches, rows = len(first.sizes), 0
    stops = [[batch] for batch in sorted({1, batches // 2, max(batches - 1, 1), batches, batches + 1})]
    for stop in [*stops, [batches // 3, 1]] if batches > 3 else stops:
        rest, after = deliveries.run_exercise(resume, request, stop)
        if not (rest.ended and after.ended and following.ended):
            raise NotApplicable("an epoch takes too long to be resumed at several batches")
        if wrong := _comparison(first, following, rest, after, sum(stop)):
            when = f"after {stop[0]} of {batches} batches" if stop[0] <= batches else "at the end of an epoch"
            return found(f"when resumed {when if len(stop) == 1 else 'a second time in one epoch'}{where}, {wrong}", 1)
        rows += len(rest.samples)
    return satisfied(rows)


def _comparison(first: Epoch, following: Epoch, rest: Epoch, after: Epoch, stop: int) -> str:
    """Describe how a resumed loader differs from an uninterrupted one; empty if it does not."""
    start = sum(first.sizes[:stop])
    expected = first.samples[start:]
    if not expected:  # at the end, the rest is empty or already the next epoch
        if not rest.samples and stop == len(first.sizes):
            rest = after
        expected = following.samples
        return _difference(expected, rest.samples, "the next epoch")
    wrong = _difference(expected, rest.samples, "the rest of the epoch")
    if not wrong and len(after.samples) != len(following.samples):
        return f"the next epoch has {len(after.samples)} samples instead of {len(following.samples)}"
    return wrong


def _difference(expected: list[Any], received: list[Any], cause: str) -> str:
    if len(expected) != len(received):
        return f"{cause} has {len(received)} samples instead of {len(expected)}"
    expected_digests, received_digests = digests(expected, received)
    differing = differing_places(expected_digests, received_digests)
    if not differing:
        return ""
    if set(expected_digests) == set(received_digests):
        return f"{cause} has a different order, starting at its sample {differing[0]}"
    return f"{len(differing)} of {len(expected_digests)} samples of {cause} differ; the first is sample {differing[0]}"


# Errors


@delivery_law(
    "An exception in the data set or a worker that dies raises an error; no sample is silently dropped.",
    asks(num_workers=(0, 2)),
    cause="an `except` around the loading hides the error, or the end of a thread is mistaken for the end of the "
    "epoch: re-raise the error",
)
def errors_are_not_swallowed(deliveries: Deliveries, num_workers: int) -> Measurement:
    """Let a sample raise an exception and a worker die, and test whether the reader gets an error."""
    request = allowed_request(deliveries, num_workers=num_workers)
    (whole_epoch,) = deliveries.epochs(request)
    where = created_with(deliveries, request)
    index = min(max(len(whole_epoch.samples) // 2, 0), max(len(whole_epoch.samples) - 1, 0)) // max(num_workers, 1)
    ways = [False, True] if num_workers or deliveries.info.workers else [False]
    for ends in ways:
        when = f"when {'a worker process dies' if ends else 'the data set raises an exception'} at its sample {index}"
        try:
            epoch = deliveries.run_exercise(fail, request, index, ends, placed=False, kept=False)
        except LoadingError as error:
            if error.fault.kind is FaultKind.HUNG:
                return found(f"{when}, the loader hangs{where}", 1)
            continue
        skip_if(epoch is None, "its data set cannot be accessed, so no error can be injected")
        if epoch.ended:
            missing = len(whole_epoch.samples) - len(epoch.samples)
            message = f"{when}, the epoch ends without an error, with {len(epoch.samples)}"
            return found(f"{message} of {len(whole_epoch.samples)} samples{where}", missing)
    return satisfied(len(whole_epoch.samples))


# Resources that stay in use

_LEAST_BYTES = 16 * 2**10
"""Smallest growth per epoch that counts; the interpreter itself grows by less."""


@delivery_law(
    "Memory does not grow from epoch to epoch.",
    asks(num_workers=(0, 2)),
    cause="delivered batches are stored, or a cache has no limit: release them after delivery",
    unit="bytes",
)
def memory_does_not_grow(deliveries: Deliveries, num_workers: int) -> Measurement:
    """Measure the memory of this process and of persistent workers after each of several epochs."""
    request = allowed_request(deliveries, num_workers=num_workers)
    (whole_epoch,) = deliveries.epochs(request)
    if not whole_epoch.ended or whole_epoch.seconds * _SEVERAL > USE_S:
        raise NotApplicable(f"an epoch takes {whole_epoch.seconds:.1f} s, too long to read several of them")
    skip_if(num_workers and not deliveries.run_exercise(stay, request), "its workers end with the epoch")
    growth = _growth(deliveries.usage(request), 0, _LEAST_BYTES)
    growth = growth and _growth(deliveries.usage(request, again=True), 0, _LEAST_BYTES)
    if growth is None:
        raise NotApplicable("several epochs take too long")
    skip_if(_growth(deliveries.usage(request), 1, 1), "files stay open, which is a matter for nothing_is_left_behind")
    if growth:
        message = f"memory grows by {growth / 2**10:,.0f} KiB in each epoch{created_with(deliveries, request)}"
        return found(message, growth, actual=growth)
    return satisfied(len(whole_epoch.samples) * _SEVERAL)


_SEVERAL = 7
"""Number of epochs after which resources are counted, with those for warming up."""


def _growth(usage: Sequence[tuple[int, int]] | None, which: int, least: int) -> float | None:
    """Return the typical growth of a resource per epoch; zero unless it grows in every epoch, ``None`` if unknown."""
    if usage is None or len(usage) < 2:
        return None
    steps = sorted(after[which] - before[which] for before, after in pairwise(usage))
    return float(steps[len(steps) // 2]) if steps[0] >= least else 0.0


@delivery_law(
    "Neither an epoch, ended or left early, nor a discarded loader leaves a process, a thread or an open file behind.",
    asks(num_workers=(0, 2)),
    cause="what `__iter__` starts is not joined, a file is not closed, or shared memory is not unlinked: do so in a "
    "`finally` of `__iter__`, which also runs when an epoch is left early",
    unit="things",
)
def nothing_is_left_behind(deliveries: Deliveries, num_workers: int) -> Measurement:
    """Create, read and discard loaders, and count open files and threads each time."""
    request = allowed_request(deliveries, num_workers=num_workers)
    (whole_epoch,) = deliveries.epochs(request)
    if deliveries.left:  # another law has seen it
        return found(deliveries.left, 1)
    if whole_epoch.seconds * _SEVERAL > USE_S:
        raise NotApplicable(f"an epoch takes {whole_epoch.seconds:.1f} s, too long to read several of them")
    if not num_workers and (settings := deliveries.run_exercise(change_settings, request)):
        return found(f"an epoch changes {' and '.join(settings)}", len(settings))
    counts = []
    for _ in range(_TIMES + 1):
        deliveries.run_exercise(use, request)
        counts.append(deliveries.run_exercise(count_open, request, 0.0))
    if deliveries.left:
        return found(deliveries.left, 1)
    if any(after > before for before, after in zip(counts[-2], counts[-1], strict=True)):
        counts[-1] = deliveries.run_exercise(count_open, request, _PAUSE_S)  # a thread may be about to end
    for which, (cause, stays) in enumerate(_KINDS):
        totals = [count[which] for count in counts[1:]]
        if all(after > before for before, after in pairwise(totals)):
            more = f"at least one {cause} {stays}: {totals[-1] - totals[0]} more after {len(totals) - 1} loaders"
            return found(f"after each discarded loader, which was left early once, {more}", totals[-1] - totals[0])
    is_one_process = not num_workers or deliveries.run_exercise(stay, request)
    if is_one_process and (files := _growth(deliveries.usage(request), 1, 1)):
        return found(f"{files:,.0f} more files are open after each epoch of one loader", files, actual=files)
    return satisfied(len(whole_epoch.samples) * _TIMES)


_TIMES, _PAUSE_S = 3, 0.3

_KINDS = (
    ("open file", "remains open"),
    ("thread", "remains"),
    ("block of shared memory", "remains"),
    ("temporary file", "remains"),
)
