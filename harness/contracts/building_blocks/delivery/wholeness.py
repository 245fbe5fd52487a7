"""Laws about the content of a sample: all its parts, together, as the data set returns them."""

from collections.abc import Collection, Mapping, Sequence

from torch import Tensor

from harness.contracts.building_blocks.delivery.asking import allowed_request, asks, delivery_law
from harness.contracts.building_blocks.delivery.finding import (
    created_with,
    differing_places,
    found,
    not_random,
    satisfied,
    skip_if,
    whole,
)
from harness.floats import Measurement
from harness.loading.content import Sample, digest, digests, get_kind, leaf_digest
from harness.loading.delivery import Deliveries, Reference
from harness.loading.exercise import collate, count_by_hash, replay


@delivery_law(
    "The parts of a sample stay together, for example an image and its label.",
    asks(num_workers=(0, 2), shuffle=(True, False)),
    source="definition of a sample",
    cause="images and labels are shuffled, sorted or filtered separately: apply the same index to all parts",
)
def samples_stay_together(deliveries: Deliveries, num_workers: int, shuffle: bool) -> Measurement:  # noqa: FBT001
    """Look for samples whose parts are all known, but from different samples."""
    request = allowed_request(deliveries, num_workers=num_workers, shuffle=shuffle)
    not_random(deliveries)
    whole(deliveries.epochs(deliveries.request())[0])
    one_epoch = whole(deliveries.epochs(request)[0])
    epochs = deliveries.epochs(request, _MANY if one_epoch.seconds * _MANY < _QUICK_S and not num_workers else 2)
    reference = deliveries.directly
    if reference is None or len(reference) < (deliveries.info.samples or 0):
        reference = whole(deliveries.epochs(deliveries.request())[0]).samples
    skip_if(not reference or len(reference[0]) < 2, "a sample has only one part")
    parts = {path: {leaf_digest(sample.get(path)) for sample in reference} for path in reference[0]}
    for number, epoch in enumerate(epochs):
        reference_digests, received = digests(reference, epoch.samples)
        distinct = set(reference_digests)
        unexpected = [index for index, mark in enumerate(received) if mark not in distinct]
        apart = [index for index in unexpected if _has_known_parts(epoch.samples[index], parts)]
        if apart:
            which = f" of the {_ORDINALS[number]} epoch" if number else ""
            message = f"{len(apart)} of {len(received)} samples{which} combine parts of different samples"
            message += f"{created_with(deliveries, request)}; the first is sample {apart[0]}"
            return found(message, len(apart), actual=len(apart))
    return satisfied(sum(len(epoch.samples) for epoch in epochs))


_MANY, _QUICK_S = 4, 0.5
"""Epochs that are read if they take no longer in all: pairs may come apart later than in the second epoch."""

_ORDINALS = ("first", "second", "third", "fourth")


def _has_known_parts(sample: Sample, parts: Mapping[str, Collection[str]]) -> bool:
    """Return whether each part occurs in some sample."""
    return all(path in sample and leaf_digest(sample[path]) in marks for path, marks in parts.items())


@delivery_law(
    "A sample arrives as the data set returns it and as any single process reads it, whenever: dtype, shape, values.",
    asks(num_workers=(0, 2, 3)),
    source="definition of a sample",
    cause="a collate function converts values, the data set changes stored samples in place, a cache confuses them, "
    "classes are numbered in the order of a set, or an unreadable sample is replaced: change copies, sort classes, and "
    "return samples unchanged",
)
def samples_are_whole(deliveries: Deliveries, num_workers: int) -> Measurement:
    """Compare samples with the reference, with the data set read directly, and with each sample collated alone."""
    request = allowed_request(deliveries, num_workers=num_workers)
    where = created_with(deliveries, request)
    if num_workers == 0 and (wrong := _as_given(deliveries)) is not None:
        return wrong
    expected = deliveries.directly
    not_random(deliveries)
    if expected is None:
        expected = deliveries.epochs(deliveries.request())[0].samples
    (epoch,) = deliveries.epochs(request)
    reference_digests, received = digests(expected, epoch.samples)
    distinct = set(reference_digests)
    unexpected = [index for index, mark in enumerate(received) if mark not in distinct]
    if unexpected and len(expected) >= (deliveries.info.samples or 0):
        cause = _difference(expected, epoch.samples[unexpected[0]], unexpected[0])
        whose = "in the data set" if deliveries.directly is not None else "among those that arrive without workers"
        message = f"{len(unexpected)} of {len(received)} samples are not {whose}{where}; sample {unexpected[0]} {cause}"
        return found(message, len(unexpected), actual=len(unexpected))
    return satisfied(len(received))


def _as_given(deliveries: Deliveries) -> Measurement | None:
    """Compare the data set with the user's reference, with itself, and with its collated samples."""
    if deliveries.reference is not None and (wrong := _by_reference(deliveries, deliveries.reference)) is not None:
        return wrong
    if deliveries.directly is None:
        return None
    return _changed(deliveries) or _truncated(deliveries) or _by_hash(deliveries)


def _by_reference(deliveries: Deliveries, reference: Reference) -> Measurement | None:
    delivered = deliveries.directly
    if delivered is None:
        delivered = deliveries.epochs(deliveries.request())[0].samples
    expected = reference(len(delivered))
    reference_digests, received = digests(expected, delivered)
    wrong = differing_places(reference_digests, received)
    if not wrong:
        return None
    elsewhere = [index for index in wrong if received[index] in reference_digests]
    cause = f"sample {wrong[0]} differs from the reference at index {wrong[0]}"
    if elsewhere:
        cause = f"sample {elsewhere[0]} equals the reference at index {reference_digests.index(received[elsewhere[0]])}"
    return found(f"{cause}; {len(wrong)} of {len(received)} samples are wrong", len(wrong), actual=len(wrong))


def _changed(deliveries: Deliveries) -> Measurement | None:
    """Measure whether a sample depends on earlier readings, although its random numbers are the same."""
    direct = deliveries.directly or []
    places = [*range(len(direct) - 1, -1, -max(1, len(direct) // _READ_AGAIN))][::-1]
    if not places or deliveries.source.is_one_object:
        return None
    readings = deliveries.run_exercise(replay, deliveries.request(), places)
    first, second, third = ([digest(sample) for sample in samples] for samples in readings)
    for again, before, new in zip(places, zip(first, second, strict=True), third, strict=True):
        if before[0] != before[1] and before[0] == new:
            message = f"sample {again} differs when it is read again with the same random numbers"
            return found(f"{message}: the data set changes its stored data", 1)
        if not deliveries.is_random and digest(direct[again]) != new:
            return found(f"sample {again} differs when the samples are read in another order", 1)
    return None


_READ_AGAIN = 16
"""Least number of samples, evenly spread, that are read again, in a data set that has as many."""


def _by_hash(deliveries: Deliveries) -> Measurement | None:
    """Measure whether new processes, whose strings have other hashes, read other samples."""
    number = 0 if deliveries.is_random else min(len(deliveries.directly or ()), _MOST)
    differing = number and deliveries.run_exercise(count_by_hash, deliveries.request(), number, limit_s=_IMPORTS_S)
    message = f"{differing} of {number} samples differ from process to process, because the order of a set does"
    return found(message, differing) if differing else None


_MOST, _IMPORTS_S = 400, 60.0
"""Largest number of samples, and longest time for the processes."""


def _truncated(deliveries: Deliveries) -> Measurement | None:
    """Measure whether fractions in the data set arrive as integers, or integers as rounded or wrapped numbers."""
    pairs = deliveries.run_exercise(collate, deliveries.request(), min(len(deliveries.directly or ()), _LOOKED_AT))
    for i, (expected, collated) in enumerate(pairs):
        for path in expected.keys() & collated.keys():
            source, result = expected[path], collated[path]
            if not isinstance(source, Tensor) or not isinstance(result, Tensor) or source.shape != result.shape:
                continue
            dtype = str(result.dtype).removeprefix("torch.")
            if not source.is_floating_point() and bool((source.double() != result.double()).any()):
                cause = f"part {path} of sample {i} is {source.flatten()[0].item()}"
                return found(f"{cause}, but arrives as {dtype} {result.flatten()[0].item():g}", 1)
            lost = source.is_floating_point() and not result.is_floating_point() and not result.is_complex()
            if lost and bool((source.trunc() == result).all()) and bool((source != result).any()):
                cause = f"part {path} of sample {i} is {source.flatten()[0].item():g}"
                return found(f"{cause}, but arrives as {dtype} {result.flatten()[0].item()}", 1)
    return None


_LOOKED_AT = 64


def _difference(expected: Sequence[Sample], sample: Sample, index: int) -> str:
    """Describe how a sample differs from the expected one."""
    if index >= len(expected):
        return "is beyond its end"
    for path in sorted(expected[index].keys() | sample.keys()):
        source, result = expected[index].get(path), sample.get(path)
        if leaf_digest(source) != leaf_digest(result):
            place = f"part {path}" if path else "it"
            if result is None:
                return f"has no {place}" if path else "has other parts"
            if not isinstance(source, Tensor) or not isinstance(result, Tensor):
                return f"differs: {place} is {get_kind(result)}, but {get_kind(source)} in the data set"
            if source.dtype != result.dtype:
                return f"differs: {place} is {result.dtype}, but {source.dtype} in the data set".replace("torch.", "")
            if source.shape != result.shape:
                return f"differs: {place} has shape {list(result.shape)}, but {list(source.shape)} in the data set"
            return f"differs in the values of {place}" if path else "differs in its values"
    return "differs"
