"""Headroom on this batch: the factor between the values of a line and its breaking point.

The headroom of a result, or of the input of an exponential, is the factor by which it may grow. A 16-bit update, or a
term of a running sum, may shrink by its headroom before it is lost.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch

from harness.auditor.line import Line, place
from harness.auditor.naming import known_as
from harness.auditor.operation import Operation
from harness.auditor.watching import Watching
from harness.exact.operator import LARGEST, UNIT, dtype_name
from harness.findings.closed_form import overflows_from
from harness.record.audit import Headroom

Key = tuple[tuple[str, int], str]


class Room(NamedTuple):
    """Headroom of an operation."""

    line: Line
    operation: str
    dtype: torch.dtype
    backward: bool
    quantity: str
    value: float
    breaks_at: float
    factor: float


def headroom(watching: Watching, *, most: int | None = None) -> list[Headroom]:
    """Return the smallest headroom per line and quantity, in ascending order."""
    narrowest: dict[Key, Room] = {}
    for room in _rooms(watching):
        key = (room.line.key, room.quantity)
        if key not in narrowest or room.factor < narrowest[key].factor:
            narrowest[key] = room
    return [_record(room) for room in sorted(narrowest.values(), key=lambda room: room.factor)[:most]]


def _record(room: Room) -> Headroom:
    return Headroom(
        **place(room.line),
        operation=known_as(room.operation),
        dtype=dtype_name(room.dtype),
        backward=room.backward,
        quantity=room.quantity,
        value=room.value,
        breaks_at=room.breaks_at,
        factor=room.factor,
    )


def _rooms(watching: Watching) -> Iterator[Room]:
    """Yield the headroom of operations whose result is larger than all earlier ones of their line."""
    largest: dict[tuple[int, torch.dtype], float] = {}
    for operation in watching.operations:
        if operation.meant or operation.name in _HARMLESS:
            continue
        if operation.backward and watching.scaling.scale:
            continue  # a gradient scaler keeps gradients as near to the largest number as it can
        if operation.read_range is not None:
            yield from _of_input(operation)
        elif 0.0 < operation.largest < math.inf:
            at = (id(operation.line), operation.dtype)
            if operation.largest > largest.get(at, 0.0):
                largest[at], limit = operation.largest, LARGEST[operation.dtype]
                yield _room(operation, "result", operation.largest, limit, limit / operation.largest)
        if operation.added is not None:
            yield from _of_term(operation, *operation.added)
    for update in watching.changes.updates:
        if update.leaf is not None:
            whose = (update.line, update.operation, update.dtype, False)
            yield Room(*whose, "update", update.ratio, UNIT[update.dtype], update.headroom)


_HARMLESS = {"full", "masked_fill", "masked_fill_", "where", "zero_", "fill_"}
"""Operations that write numbers deliberately."""


def _of_input(operation: Operation) -> Iterator[Room]:
    """Yield the headroom of an exponential's input."""
    limit, value = overflows_from(operation.name, dtype_name(operation.dtype)), (operation.read_range or (0.0, 0.0))[1]
    if limit is not None and 0.0 < value < math.inf:
        yield _room(operation, "input", value, limit, limit / value)


def _of_term(operation: Operation, term: float, total: float) -> Iterator[Room]:
    """Yield the headroom of a term of a running sum in 16 bits, which is lost at half an ulp of the sum."""
    lost_at = UNIT[operation.dtype] * total
    if term > 0.0 and lost_at > 0.0:
        yield _room(operation, "term", term, lost_at, term / lost_at)


def _room(operation: Operation, quantity: str, value: float, breaks_at: float, factor: float) -> Room:
    at = (operation.line, operation.name, operation.dtype, operation.backward)
    return Room(*at, quantity, value, breaks_at, factor)
