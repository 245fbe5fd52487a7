"""The first operation of a recording that has no counterpart in another one."""

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor

from harness.exact.replay import Doubles
from harness.exact.tape import UNIT, Step
from harness.sameness.recording import Recording
from harness.sameness.rounding import ResultReplay

NARROW, WIDE = 1e-6, 1e-12
"""Relative differences up to which two exact results are equal, if they were computed in float32 or in float64."""

CHANGED = 1e-5
"""Difference of the results of an operation in two runs of the same code, relative to the largest, that is none."""


def find_places(first: Recording, second: Recording) -> list[str]:
    """Return, for each recording, its first operation whose result the other one does not have, if there is one.

    If the second recording computes only rows, its first operation with a row that the other one does not have counts.
    """
    if first.trace or second.trace:
        return find_changed(first, second)
    replays = [ResultReplay(recording, Doubles(), copies=True) for recording in (first, second)]
    split = _split_rows if second.is_of_rows else _flatten
    results = [[[x for wide in values for x in split(wide.hi)] for values in replay.results] for replay in replays]
    tables = [_stack_by_length(values) for values in results]
    sides = zip((first.tape.steps, second.tape.steps), results, tables[::-1], strict=True)
    places = [next((_format_step(s) for s, v in zip(mine, values, strict=True) if not _has_all(s, v, table)), "")
              for mine, values, table in sides]  # fmt: skip
    return places[second.is_of_rows :]


def _flatten(x: Tensor) -> Sequence[Tensor]:
    return [x.flatten()]


def _split_rows(x: Tensor) -> Sequence[Tensor]:
    return x.reshape(len(x), -1).unbind() if x.ndim else [x.flatten()]


def list_operations(recording: Recording) -> Sequence[tuple[str, Sequence[Tensor]]]:
    """Return the operations with their recorded results."""
    return recording.trace or [(_format_step(step), step.values) for step in recording.tape.steps]


def find_changed(first: Recording, second: Recording, tolerance: float = CHANGED) -> list[str]:
    """Return the first operation whose recorded results differ by more than a tolerance, if there is one.

    Another release may carry out other operations, whose last result must be equal, or that of the next common one.
    """
    sides = [_group_by_name(list_operations(recording)) for recording in (first, second)]
    names = [[name for name, _ in side] for side in sides]
    single: list[str] = []
    for kind, i, end, j, other_end in SequenceMatcher(None, names[0], names[1], autojunk=False).get_opcodes():
        mine, others = sides[0][i:end], sides[1][j:other_end]
        if kind == "equal":
            for (name, results), (_, other_results) in zip(mine, others, strict=True):
                if not _are_near(results, other_results, tolerance):
                    return single or [name]
                single = []
        elif not (mine and others and _are_near(mine[-1][1], others[-1][1], tolerance)):
            single = [operations[0][0] for operations in (mine, others) if operations]
    return single


def _group_by_name(operations: Sequence[tuple[str, Sequence[Tensor]]]) -> Sequence[tuple[str, Sequence[Any]]]:
    """Join consecutive operations of one name, such as the parts of a derivative."""
    return [(name, [values for _, values in group]) for name, group in groupby(operations, itemgetter(0))]


def _are_near(results: Sequence[Sequence[Tensor]], others: Sequence[Sequence[Tensor]], tolerance: float) -> bool:
    """Whether operations have nearly equal results; of unequal numbers of operations, the last ones count."""
    if len(results) != len(others):
        results, others = results[-1:], others[-1:]
    pairs = [pair for each in zip(results, others, strict=True) for pair in zip(*each, strict=False)]
    return all(_is_near(x, y, tolerance) for x, y in pairs)


def _is_near(x: Tensor, y: Tensor, tolerance: float) -> bool:
    size = max(float(x.abs().nan_to_num(posinf=0.0).max()), 1e-30) if x.numel() else 0.0
    near = partial(torch.allclose, rtol=tolerance, atol=tolerance * size, equal_nan=True)
    return x.shape == y.shape and near(x.double(), y.double())


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
