"""What becomes of a batch once it was delivered."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.calling.adapter import NotApplicable
from harness.contracts.building_blocks.delivery.asking import (
    asks,
    delivery_law,
    found,
    kept,
    not_random,
    varied,
    with_workers,
)
from harness.floats import Measurement
from harness.laws import Law
from harness.loading.content import digest, digests, samples_of
from harness.loading.delivery import Deliveries, tell_epoch
from harness.loading.source import Ask

_KEPT = 6
"""Batches that are looked at again once the next ones have come."""


@delivery_law(
    "A batch stays what it was when the next ones arrive.",
    asks(num_workers=(0, 2)),
    cause="a buffer that is filled again and again: deliver a copy, or take another buffer for each batch",
    unit="batches",
)
def batches_stay_what_they_were(deliveries: Deliveries, num_workers: int) -> Measurement:
    """Keep some batches, and look at them again later."""
    varied(deliveries, "num_workers", num_workers)
    ask = deliveries.ask(num_workers=num_workers)
    with deliveries.reading(ask):
        changed, held = _changed(deliveries, ask)
    if changed:
        where = with_workers(deliveries.source.spelled(ask))
        said = f"batch {changed[0]} is another once the next have come{where}"
        return found(said, len(changed), actual=len(changed))
    return kept(held)


def _changed(deliveries: Deliveries, ask: Ask) -> tuple[list[int], int]:
    loader = deliveries.make(ask)
    tell_epoch(loader, 0)
    batches, before = [], []
    for number, batch in enumerate(loader):
        batches.append(batch)
        before.append([digest(sample) for sample in samples_of(batch, whole=True)])
        if number + 1 >= _KEPT:
            break
    after = [[digest(sample) for sample in samples_of(batch, whole=True)] for batch in batches]
    return [at for at, (one, other) in enumerate(zip(before, after, strict=True)) if one != other], len(batches)


@delivery_law(
    "Writing into a batch changes nothing of the data.",
    asks(num_workers=(0,)),
    cause="batches are views of what the data set keeps: deliver copies",
)
def writing_into_a_batch_changes_nothing(deliveries: Deliveries, num_workers: int) -> Measurement:
    """Fill the batches of an epoch with zeros, and read the next."""
    if deliveries.facts.workers:
        raise NotApplicable("its batches come from other processes")
    not_random(deliveries)
    ask = deliveries.ask(num_workers=num_workers)
    first, second = (epoch.samples for epoch in deliveries.epochs(ask, 2))
    with deliveries.reading(ask):
        wrote, samples = _written(deliveries, ask)
    if not wrote:
        raise NotApplicable("its batches have nothing that can be written to")
    given = deliveries.directly or []
    own, again, straight, other = digests(first, second, given, samples)
    expected = {*own, *again, *straight}
    if not given and set(own) != set(again):
        raise NotApplicable("its epochs have not the same samples, so that they cannot be compared")
    changed = [at for at, mark in enumerate(other) if mark not in expected]
    if changed and len(given) >= (deliveries.facts.samples or 0):
        said = f"sample {changed[0]} of the next epoch is what was written into a batch: batches are views of the data"
        return found(f"{said}, {len(changed)} of {len(other)}", len(changed), actual=len(changed))
    return kept(len(other))


def _written(deliveries: Deliveries, ask: Ask) -> tuple[bool, list[Any]]:
    loader = deliveries.make(ask)
    tell_epoch(loader, 0)
    wrote = False
    for number, batch in enumerate(loader):
        for array in list(arrays(batch)):
            wrote = _fill(array) or wrote
        if number > _MANY:
            break
    if deliveries.makes_each_epoch(loader):
        loader = deliveries.make(ask)
    tell_epoch(loader, 0)
    return wrote, deliveries.epoch_of(loader).samples


_MANY = 64


def arrays(part: Any) -> Iterator[Tensor | np.ndarray[Any, Any]]:
    """Yield the tensors and arrays of a batch."""
    if isinstance(part, Tensor | np.ndarray):
        yield part
    elif isinstance(part, dict):
        for value in part.values():
            yield from arrays(value)
    elif isinstance(part, list | tuple):
        for value in part:
            yield from arrays(value)
    elif hasattr(part, "__dict__"):
        yield from arrays(vars(part))


def _fill(array: Any) -> bool:
    """Write something else into an array, where it can be written to."""
    try:
        array[...] = ~array if array.dtype in _BOOLEAN else array + 1
    except (RuntimeError, ValueError, TypeError):
        return False
    return True


_BOOLEAN = (np.dtype(bool), torch.bool)

LAWS: tuple[Law, ...] = (batches_stay_what_they_were, writing_into_a_batch_changes_nothing)
