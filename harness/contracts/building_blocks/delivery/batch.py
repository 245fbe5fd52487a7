"""Laws about batches after their delivery."""

from harness.calling.adapter import NotApplicable
from harness.contracts.building_blocks.delivery.asking import allowed_request, asks, delivery_law
from harness.contracts.building_blocks.delivery.finding import created_with, found, not_random, satisfied, skip_if
from harness.floats import Measurement
from harness.loading.content import digest, digests
from harness.loading.delivery import Deliveries
from harness.loading.exercise import keep_batches, write_into

_BATCHES = 6
"""Number of batches that are compared again after later ones arrived."""

_MANY = 66
"""Number of batches that are overwritten."""


@delivery_law(
    "A batch does not change when later batches arrive.",
    asks(num_workers=(0, 2)),
    cause="a buffer is reused for several batches: return a copy, or use a new buffer for each batch",
    unit="batches",
)
def batches_stay_what_they_were(deliveries: Deliveries, num_workers: int) -> Measurement:
    """Keep some batches, and compare them again later."""
    request = allowed_request(deliveries, num_workers=num_workers)
    batches = deliveries.run_exercise(keep_batches, request, _BATCHES)
    changed = [
        index for index, (earlier, later) in enumerate(batches) if [*map(digest, earlier)] != [*map(digest, later)]
    ]
    if changed:
        message = f"batch {changed[0]} changes when later batches arrive{created_with(deliveries, request)}"
        return found(message, len(changed), actual=len(changed))
    return satisfied(len(batches))


@delivery_law(
    "Writing into a batch does not change the data.",
    asks(num_workers=(0,)),
    cause="batches are views of data that the data set keeps: return copies",
)
def writing_into_a_batch_changes_nothing(deliveries: Deliveries, num_workers: int) -> Measurement:
    """Fill the batches of an epoch with zeros, and read the next epoch."""
    skip_if(deliveries.info.workers, "its batches come from other processes")
    not_random(deliveries)
    request = deliveries.request(num_workers=num_workers)
    first, second = (epoch.samples for epoch in deliveries.epochs(request, 2))
    batch_count = _MANY if deliveries.epochs(request)[0].ended else len(deliveries.epochs(request)[0].sizes)
    wrote, epoch = deliveries.run_exercise(write_into, request, batch_count)
    skip_if(not wrote, "its batches contain nothing writable")
    samples = deliveries.directly or []
    first_digests, second_digests, direct_digests, later_digests = digests(first, second, samples, epoch.samples)
    expected = {*first_digests, *second_digests, *direct_digests}
    if not samples and set(first_digests) != set(second_digests):
        raise NotApplicable("its epochs contain different samples, so they cannot be compared")
    changed = [index for index, mark in enumerate(later_digests) if mark not in expected]
    if changed and len(samples) >= (deliveries.info.samples or 0):
        share = f"{len(changed)} of {len(later_digests)} samples"
        message = (
            f"sample {changed[0]} of the next epoch holds values written into an earlier batch, so batches are views "
            f"of the data ({share})"
        )
        return found(message, len(changed), actual=len(changed))
    return satisfied(len(later_digests))
