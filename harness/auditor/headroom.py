"""How far each line is from its breaking point on this batch: the survey's exact numbers beside what was computed.

Three things are told: by which factor a result, or the input of an exponential, may grow before it overflows in its
format; by which factor an update in 16 bits may shrink before it moves nothing; and the same of a term that is added to
a running sum.
"""

import math
from collections.abc import Iterator
from typing import Any

from harness.auditor.breaking import overflows_from
from harness.auditor.finding import place
from harness.auditor.line import Line
from harness.auditor.operation import Operation
from harness.auditor.operator import LARGEST, NARROW, UNIT, dtype_name
from harness.auditor.rules import Update
from harness.auditor.watching import Watching
from harness.record.audit import Headroom

Key = tuple[tuple[str, int], str]


def headroom(watching: Watching, *, most: int | None = None) -> list[Headroom]:
    """Return how far lines are from breaking, the narrowest first; of each line and quantity the narrowest.

    Parameters
    ----------
    watching
        The audit, when the step is done.
    most
        How many are returned; all when absent.
    """
    narrowest: dict[Key, Headroom] = {}
    for room in _rooms(watching):
        key = ((room.file, room.line), room.quantity)
        if key not in narrowest or room.factor < narrowest[key].factor:
            narrowest[key] = room
    return sorted(narrowest.values(), key=lambda room: room.factor)[:most]


def _rooms(watching: Watching) -> Iterator[Headroom]:
    for operation in watching.operations:
        if operation.meant or operation.name in _HARMLESS:
            continue
        yield from _of_input(operation)
        yield from _of_result(operation)
        yield from _of_term(operation)
    for update in watching.updates:
        yield from _of_update(update)


_HARMLESS = {"full", "masked_fill", "masked_fill_", "where", "zero_", "fill_"}
"""What puts numbers there on purpose."""


def _of_input(operation: Operation) -> Iterator[Headroom]:
    limit = overflows_from(operation.name, operation.dtype)
    if limit is None or operation.read_range is None:
        return
    value = operation.read_range[1]
    if value > 0.0 and math.isfinite(value):
        yield _room(operation, "input", value, limit, limit / value)


def _of_result(operation: Operation) -> Iterator[Headroom]:
    if operation.largest > 0.0 and math.isfinite(operation.largest):
        limit = LARGEST[operation.dtype]
        # What an exponential's result is near, its input is nearer.
        if overflows_from(operation.name, operation.dtype) is None:
            yield _room(operation, "result", operation.largest, limit, limit / operation.largest)


def _of_term(operation: Operation) -> Iterator[Headroom]:
    if operation.added is not None and operation.dtype in NARROW:
        term, total = operation.added
        lost_at = UNIT[operation.dtype] * total
        if term > 0.0 and lost_at > 0.0:
            yield _room(operation, "term", term, lost_at, term / lost_at)


def _of_update(update: Update) -> Iterator[Headroom]:
    if update.leaf is not None:
        yield Headroom(
            **_where(update.line, update.operation, dtype_name(update.dtype)),
            quantity="update",
            value=update.ratio,
            breaks_at=UNIT[update.dtype],
            factor=update.headroom,
        )


def _room(operation: Operation, quantity: str, value: float, breaks_at: float, factor: float) -> Headroom:
    where = _where(operation.line, operation.name.strip("_"), dtype_name(operation.dtype))
    facts: dict[str, Any] = {"quantity": quantity, "value": value, "breaks_at": breaks_at, "factor": factor}
    return Headroom(**where, **facts, backward=operation.backward)


def _where(line: Line, operation: str, dtype: str) -> dict[str, Any]:
    at = {name: value for name, value in place(line).items() if name != "caller"}
    return {**at, "operation": operation, "dtype": dtype}
