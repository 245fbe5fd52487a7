"""The first operation of a recording that has no counterpart in another one."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from harness.exact.replay import Doubles
from harness.exact.tape import UNIT, Step
from harness.sameness.recording import Recording
from harness.sameness.rounding import ResultReplay

NARROW, WIDE = 1e-6, 1e-12
"""Relative differences up to which two exact results are equal, if they were computed in float32 or in float64."""


def find_places(first: Recording, second: Recording) -> list[str]:
    """Return, for each recording, its first operation whose result the other one does not have, if there is one."""
    replays = [ResultReplay(recording, Doubles(), copies=True) for recording in (first, second)]
    results = [[[wide.hi.flatten() for wide in values] for values in replay.results] for replay in replays]
    tables = [_stack_by_length(values) for values in results]
    sides = zip((first.tape.steps, second.tape.steps), results, tables[::-1], strict=True)
    return [next((_format_step(s) for s, v in zip(mine, values, strict=True) if not _has_all(s, v, table)), "")
            for mine, values, table in sides]  # fmt: skip


def find_overflow(recording: Recording) -> str:
    """Return the first operation whose recorded result is not finite; empty if there is none."""
    broken = (step for step in recording.tape.steps if not all(bool(x.isfinite().all()) for x in step.values))
    return next(map(_format_step, broken), "")


def _format_step(step: Step) -> str:
    return step.operation + (f" ({step.place})" if step.place else "")


def _stack_by_length(results: Sequence[Sequence[Tensor]]) -> Mapping[int, Tensor]:
    by_length: dict[int, list[Tensor]] = {}
    for values in results:
        for value in values:
            by_length.setdefault(len(value), []).append(value)
    return {length: torch.stack(values) for length, values in by_length.items()}


def _has_all(step: Step, values: Sequence[Tensor], table: Mapping[int, Tensor]) -> bool:
    """Whether a table has the results of a step."""
    tolerance = NARROW if max(UNIT[view.dtype] for view in step.results) > WIDE else WIDE
    rows = [table.get(len(x), x.new_empty(0, len(x))) for x in values]
    near = (torch.isclose(r, x, rtol=tolerance, atol=1e-30, equal_nan=True) for r, x in zip(rows, values, strict=True))
    return all(bool(each.all(-1).any()) for each in near)
