"""Laws about epochs that end early, resume or fail, and about resources that a loader leaves in use."""

from itertools import pairwise
from typing import Any

from harness.calling.adapter import NotApplicable
from harness.contracts.building_blocks.delivery.asking import allowed_request, asks, delivery_law
from harness.contracts.building_blocks.delivery.finding import created_with, differing_places, found, satisfied, skip_if
from harness.floats import Measurement
from harness.laws import Law
from harness.loading.content import digests
from harness.loading.delivery import Deliveries
from harness.loading.exercise import count_open, go_straight_on, leave_early, resume, stay, use, use_memory
from harness.loading.fault import FaultKind, LoadingError
from harness.loading.reader import Epoch
from harness.loading.source import Request
from harness.loading.tagged import Injection


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
    if epoch is None:
        raise NotApplicable("the loader supports one epoch only, or has a state and may continue")
    if not epoch.ended and len(epoch.samples) < len(whole_epoch.samples):
        raise NotApplicable("an epoch takes too long to be left early")
    if len(epoch.samples) != len(whole_epoch.samples):
        where = created_with(deliveries, request)
        message = f"after an epoch that was left after 2 batches, the next one has {len(epoch.samples)} of "
        message += f"{len(whole_epoch.samples)} samples{where}"
        return found(message, abs(len(epoch.samples) - len(whole_epoch.samples)), actual=len(epoch.samples))
    return satisfied(len(epoch.samples))


# Resuming


@delivery_law(
    "A loader resumed from a saved state delivers the same samples as an uninterrupted one, random numbers included.",
    asks(num_workers=(0, 2), shuffle=(True, False)),
    source="torchdata.stateful_dataloader",
    cause="the state lacks the order, the epoch or the random numbers, counts prefetched batches, or restarts when "
    "it is saved a second time: save the position after the last delivered batch",
)
def resumes_where_it_stopped(deliveries: Deliveries, num_workers: int, shuffle: bool) -> Measurement:  # noqa: FBT001
    """Take the state at several batches, resume in a new loader, and compare the rest and the next epoch."""
    request = allowed_request(deliveries, num_workers=num_workers, shuffle=shuffle)
    where = created_with(deliveries, request)
    straight = deliveries.run_exercise(go_straight_on, request)
    if straight is None:
        raise NotApplicable("it has no `state_dict` and `load_state_dict`")
    first, following = straight
    skip_if(not first.ended, "an epoch takes too long to be resumed at several batches")
    batches, rows = len(first.sizes), 0
    for at in sorted({1, batches // 2, max(batches - 1, 1), batches, batches + 1}):
        rest, after = deliveries.run_exercise(resume, request, [at])
        if not (rest.ended and after.ended and following.ended):
            raise NotApplicable("an epoch takes too long to be resumed at several batches")
        wrong = _comparison(first, following, rest, after, at)
        if wrong:
            when = f"after {at} of {batches} batches" if at <= batches else "at the end of an epoch"
            return found(f"when resumed {when}{where}, {wrong}", 1)
        rows += len(rest.samples)
    if batches > 3:
        rest, after = deliveries.run_exercise(resume, request, [batches // 3, 1])
        wrong = _comparison(first, following, rest, after, batches // 3 + 1)
        if wrong:
            return found(f"when resumed a second time in one epoch{where}, {wrong}", 1)
    return satisfied(rows)


def _comparison(first: Epoch, following: Epoch, rest: Epoch, after: Epoch, at: int) -> str:
    """Describe how a resumed loader differs from an uninterrupted one; empty if it does not."""
    start = sum(first.sizes[:at])
    expected = first.samples[start:]
    if not expected:  # at the end, the rest is empty or already the next epoch
        if not rest.samples and at == len(first.sizes):
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
    at = min(max(len(whole_epoch.samples) // 2, 0), max(len(whole_epoch.samples) - 1, 0)) // max(num_workers, 1)
    ways = [False, True] if num_workers or deliveries.info.workers else [False]
    for ends in ways:
        when = f"when {'a worker process dies' if ends else 'the data set raises an exception'} at its sample {at}"
        try:
            epoch = deliveries.failing(request, Injection(at, ends=ends))
        except LoadingError as error:
            if error.fault.kind is FaultKind.HUNG:
                return found(f"{when}, the loader hangs{where}", 1)
            continue
        if epoch is None:
            raise NotApplicable("its data set cannot be accessed, so no error can be injected")
        if epoch.ended:
            missing = len(whole_epoch.samples) - len(epoch.samples)
            message = f"{when}, the epoch ends without an error, with {len(epoch.samples)}"
            return found(f"{message} of {len(whole_epoch.samples)} samples{where}", missing)
    return satisfied(len(whole_epoch.samples))


# Resources that stay in use

_EPOCHS, _WARM = 5, 2
_LEAST_BYTES = 16 * 2**10
"""Smallest growth per epoch that counts; the interpreter itself grows by less."""

_MAX_S = 3.0


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
    if not whole_epoch.ended or whole_epoch.seconds * (_EPOCHS + _WARM) > _MAX_S:
        raise NotApplicable(f"an epoch takes {whole_epoch.seconds:.1f} s, too long to read several of them")
    skip_if(num_workers and not deliveries.run_exercise(stay, request), "its workers end with the epoch")
    growth = _growth(deliveries, request) and _growth(deliveries, request)
    if growth is None:
        raise NotApplicable("several epochs take too long")
    if growth:
        message = f"memory grows by {growth / 2**10:,.0f} KiB in each epoch{created_with(deliveries, request)}"
        return found(message, growth, actual=growth)
    return satisfied(len(whole_epoch.samples) * _EPOCHS)


def _growth(deliveries: Deliveries, request: Request) -> float | None:
    """Return the typical growth per epoch in bytes; zero unless every epoch grows, ``None`` if epochs take too long."""
    used = deliveries.run_exercise(use_memory, request, _EPOCHS, _WARM, 3 * _MAX_S, limit_s=4 * _MAX_S)
    if used is None or len(used) < 2:
        return None
    steps = sorted(after - before for before, after in pairwise(used))
    return float(steps[len(steps) // 2]) if steps[0] >= _LEAST_BYTES else 0.0


@delivery_law(
    "A discarded loader leaves nothing behind: no process, thread or open file.",
    asks(num_workers=(0, 2)),
    cause="what `__iter__` starts is not joined, or a file is not closed: join and close them when the iterator ends",
    unit="things",
)
def nothing_is_left_behind(deliveries: Deliveries, num_workers: int) -> Measurement:
    """Create, read and discard loaders, and count open files and threads each time."""
    request = allowed_request(deliveries, num_workers=num_workers)
    (whole_epoch,) = deliveries.epochs(request)
    if whole_epoch.seconds * (_TIMES + 1) > _MAX_S:
        raise NotApplicable(f"an epoch takes {whole_epoch.seconds:.1f} s, too long to read several of them")
    counts = []
    for _ in range(_TIMES + 1):
        deliveries.run_exercise(use, request)
        counts.append(deliveries.run_exercise(count_open, request))
    if deliveries.left:
        return found(deliveries.left, 1)
    for which, cause in enumerate(("open file", "thread")):
        totals = [count[which] for count in counts[1:]]
        if all(after > before for before, after in pairwise(totals)):
            more = f"at least one {cause} remains open: {totals[-1] - totals[0]} more after {len(totals) - 1} loaders"
            return found(f"after each discarded loader {more}", totals[-1] - totals[0])
    return satisfied(len(whole_epoch.samples) * _TIMES)


_TIMES = 3


LAWS: tuple[Law, ...] = (
    an_epoch_left_early_spoils_none,
    resumes_where_it_stopped,
    errors_are_not_swallowed,
    memory_does_not_grow,
    nothing_is_left_behind,
)
