"""Laws about random numbers: samples draw different ones, and the global random state is not reset."""

from dataclasses import replace

from harness.calling.adapter import NotApplicable
from harness.contracts.building_blocks.delivery.asking import allowed_request, asks, delivery_law, varied
from harness.contracts.building_blocks.delivery.finding import found, satisfied, skip_if
from harness.floats import Measurement
from harness.loading.content import digests
from harness.loading.delivery import Deliveries
from harness.loading.exercise import deliver_wrapped, seed_and_begin, seed_and_read
from harness.loading.reader import SEED, Epoch
from harness.loading.source import Request
from harness.loading.tagged import Tag


@delivery_law(
    "Random augmentation draws different numbers for each sample, in each worker, rank and epoch.",
    asks(num_workers=(2, 0)),
    source="pytorch/pytorch#5059",
    cause="forked workers inherit a generator, or a generator gets the same seed in each worker, each rank, each epoch "
    "or for each sample: seed it from `torch.initial_seed()` in the worker, and from the rank",
)
def random_numbers_differ(deliveries: Deliveries, num_workers: int) -> Measurement:
    """Look for two samples that drew from the same state of a generator."""
    request = allowed_request(deliveries, num_workers=num_workers)
    if num_workers == 0 and (wrong := _equally_seeded(deliveries)) is not None:
        return wrong
    first, second = deliveries.epochs(request, 2, tags=True)
    if not first.tags and deliveries.info.wrapped:
        # A wrapper that makes new batches loses the tags; the loader inside it draws the same numbers.
        first, second = deliveries.run_exercise(deliver_wrapped, request, 2)
    skip_if(not first.tags, "its data set cannot be accessed, so its random numbers cannot be observed")
    if not any(tag.drew for tag in (*first.tags, *second.tags)):
        if deliveries.is_random_each_time and (wrong := _repeated_content(deliveries, first, second)) is not None:
            return wrong
        if deliveries.is_random:
            cause = "each time they are read" if deliveries.is_random_each_time else "from loader to loader"
            raise NotApplicable(f"its samples differ {cause}, but it draws from no generator that can be watched")
        raise NotApplicable("it draws no random numbers")
    first_use: dict[tuple[str, str], tuple[int, Tag]] = {}
    for number, epoch in enumerate((first, second)):
        before = None
        for tag in epoch.tags:
            if tag.drew and (before is None or tag.drew != before.drew or tag.index != before.index):
                for drew in tag.drew:
                    if drew in first_use and not _is_one_fetch(first_use[drew], (number, tag)):
                        return _repeated(first_use[drew], (number, tag), drew[0])
                    first_use.setdefault(drew, (number, tag))
            before = tag
    wrong = _repeated_content(deliveries, first, second) or _between_ranks(deliveries, request)
    return satisfied(len(first.tags) + len(second.tags)) if wrong is None else wrong


def _between_ranks(deliveries: Deliveries, request: Request) -> Measurement | None:
    """Look for two samples of different ranks that drew from the same state of a generator of the data set."""
    if not deliveries.info.by_index or not deliveries.names("rank") or not deliveries.names("world_size"):
        return None
    first_tags, second_tags = (
        deliveries.epochs(replace(request, rank=rank, world_size=2), tags=True, world_seed=SEED + rank)[0].tags
        for rank in range(2)
    )
    first_use = {drew: tag for tag in first_tags for drew in tag.drew}
    for tag in second_tags:
        for drew in tag.drew:
            if (earlier := first_use.get(drew)) is not None:
                samples = f"sample {earlier.index} of rank 0 and sample {tag.index} of rank 1"
                return found(f"{samples} draw the same random numbers from {drew[0]}", 1)
    return None


def _equally_seeded(deliveries: Deliveries) -> Measurement | None:
    """Measure whether each sample sets a generator to the same state before it draws from it."""
    if deliveries.directly is None:
        return None
    after = deliveries.run_exercise(seed_and_read, deliveries.request(), min(3, len(deliveries.directly)))
    same = [name for name in after[0] if len({states.get(name) for states in after}) == 1] if len(after) > 1 else []
    if same:
        cause = f"each sample sets {' and '.join(same)} to the same state"
        return found(f"{cause}, and therefore draws the same numbers", 1)
    return None


def _is_one_fetch(first: tuple[int, Tag], second: tuple[int, Tag]) -> bool:
    """Return whether two samples were fetched together, so that the recorded state belongs to the first."""
    (epoch, tag), (later, later_tag) = first, second
    return (epoch, tag.worker, tag.fetch) == (later, later_tag.worker, later_tag.fetch)


def _repeated(first: tuple[int, Tag], second: tuple[int, Tag], generator: str) -> Measurement:
    (epoch, tag), (later, later_tag) = first, second
    source = f"from {generator}"
    if later != epoch:
        samples = (
            f"sample {later_tag.index} in the second epoch draws the same numbers as sample {tag.index} in the first"
        )
        message = f"{samples}, {source}"
    elif tag.worker != later_tag.worker:
        samples = f"sample {tag.index} of worker {tag.worker} and sample {later_tag.index} of worker {later_tag.worker}"
        message = f"{samples} draw the same random numbers {source}"
    else:
        message = f"samples {tag.index} and {later_tag.index} draw the same random numbers {source}"
    return found(message, 1)


def _repeated_content(deliveries: Deliveries, first: Epoch, second: Epoch) -> Measurement | None:
    """Measure whether nearly all samples have the same random content in both epochs."""
    if not deliveries.is_random or len(first.samples) != len(first.tags) or len(second.samples) != len(second.tags):
        return None
    first_digests, second_digests = digests(first.samples, second.samples)
    before = {tag.index: mark for tag, mark in zip(first.tags, first_digests, strict=True)}
    same = sum(before.get(tag.index) == mark for tag, mark in zip(second.tags, second_digests, strict=True))
    if len(first_digests) >= _FEW and same > _NEARLY_ALL * len(first_digests):
        message = f"{same} of {len(first_digests)} samples have the same augmentation as in the first epoch"
        return found(message, same, actual=same)
    return None


_FEW, _NEARLY_ALL = 8, 0.9


@delivery_law(
    "A loader does not reset the global random state: the state after an epoch depends on the state before it.",
    asks(num_workers=(0,), shuffle=(True, False)),
    source="contract",
    cause="`torch.manual_seed`, `np.random.seed` or `random.seed` in the factory, the data set or a transform: use "
    "a separate generator",
    unit="generators",
)
def the_global_random_state_is_left_alone(deliveries: Deliveries, num_workers: int, shuffle: bool) -> Measurement:  # noqa: FBT001
    """Compare the states after two epochs with different initial states; drawing from the generators is allowed."""
    varied(deliveries, "shuffle", shuffle)
    request = deliveries.request(num_workers=num_workers, shuffle=shuffle)
    first, second = deliveries.run_exercise(seed_and_begin, request, [11, 12])
    same = [name for name in first if first[name] == second.get(name)]
    if same:
        message = f"it sets the state of {' and '.join(same)}, regardless of the previous state"
        return found(message, len(same), actual=len(same))
    return satisfied()
