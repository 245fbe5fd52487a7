"""Making a failing example minimal: fewest rows, fewest columns, simplest numbers, smallest magnitude.

The last step bisects the largest entry of the first input over the representable numbers, so that a threshold is
reached to the exact float.
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from harness.floats.format import Format, from_ordinal, to_ordinal
from harness.floats.measurement import Measurement
from harness.laws.law import Axes, Example

_PLACES = 32
"""Places along an axis at which a run is tried to be dropped."""

_LONG = 1024
"""Where an axis must be longer than this, only its length matters, and that was bisected."""

_MANY = 64
"""Inputs with more elements than this keep their values; only whole rows and columns are dropped."""


def minimise(example: Example, axes: Mapping[str, Axes], format_: Format, fails: Callable[[Example], bool]) -> Example:
    """Return the simplest example found that still fails.

    Parameters
    ----------
    example
        A failing example.
    axes
        How each input may be shortened.
    format_
        Format of the floating-point inputs.
    fails
        Whether an example still fails; it is asked a few hundred times.
    """
    # Twice, since rows and columns may be needed only as long as the numbers are large or many.
    for _ in range(2):
        example = _pass(example, axes, format_, fails)
    return example


def _pass(example: Example, axes: Mapping[str, Axes], format_: Format, fails: Callable[[Example], bool]) -> Example:
    names = (input_axes.names[: 1 if input_axes.kept else None] for input_axes in axes.values())
    for name in dict.fromkeys(name for some in names for name in some):
        example = _shorten(example, axes, name, fails)
    for name in axes:
        if axes[name].index_of is None and not axes[name].kept and example[name].numel() <= _MANY:
            example = _simplify(example, name, fails, positive=axes[name].positive)
    primary = next(iter(axes), None)
    if primary is not None and _is_bisected(axes[primary], example[primary]):
        example = _bisect_largest(example, primary, format_, fails, positive=axes[primary].positive)
    return example


def _is_bisected(axes: Axes, value: Tensor) -> bool:
    return axes.index_of is None and not axes.kept and 0 < value.numel() <= _MANY


def worst_row(
    example: Example, axes: Mapping[str, Axes], measurement: Measurement, fails: Callable[[Example], bool]
) -> Example:
    """Return the row of the largest ratio alone where it fails alone, the whole example where it does not."""
    leading = next((input_axes.names[0] for input_axes in axes.values()), None)
    if leading is None or not measurement.worst or len(measurement.ratio) != _length(example, axes, leading):
        return example
    row = take(example, axes, leading, [measurement.worst[0]])
    return row if row is not None and fails(row) else example


def take(example: Example, axes: Mapping[str, Axes], name: str, kept: list[int]) -> Example | None:
    """Keep the given positions of one axis in every input; ``None`` where an index refers to a dropped one."""
    taken = dict(example)
    for key, input_axes in axes.items():
        value: Tensor = taken[key]
        if input_axes.index_of == name:
            if not set(value.flatten().tolist()) <= set(kept):
                return None
            renumbered = {old: new for new, old in enumerate(kept)}
            value = value.clone().apply_(lambda old, to=renumbered: to[old])
        for position, axis_name in enumerate(input_axes.names):
            if axis_name == name:
                value = value.index_select(position, torch.tensor(kept, dtype=torch.long))
        taken[key] = value
    return taken


def _length(example: Example, axes: Mapping[str, Axes], name: str) -> int:
    key, input_axes = next((key, input_axes) for key, input_axes in axes.items() if name in input_axes.names)
    return len(example[key].movedim(input_axes.names.index(name), 0))


def _shorten(example: Example, axes: Mapping[str, Axes], name: str, fails: Callable[[Example], bool]) -> Example:
    """Drop runs of positions along one axis, longest runs first, as long as the example still fails."""
    example = _shortest_prefix(example, axes, name, fails)
    if _length(example, axes, name) > _LONG:
        return example
    run = max(1, _length(example, axes, name) // 2)
    while True:
        length = _length(example, axes, name)
        # Long axes: a few places only, since a drop that helps usually helps anywhere.
        starts = range(0, length, max(run, -(-length // _PLACES)))
        for start in starts:
            kept = [i for i in range(length) if not start <= i < start + run]
            shorter = take(example, axes, name, kept) if kept else None
            if shorter is not None and fails(shorter):
                example = shorter
                break
        else:
            if run <= max(1, length // _PLACES):
                return example
            run //= 2


def _shortest_prefix(
    example: Example, axes: Mapping[str, Axes], name: str, fails: Callable[[Example], bool]
) -> Example:
    """Bisect a long axis for the length from which the example fails, as it does where only the length matters."""
    failing, passing = _length(example, axes, name), 0
    if failing <= _MANY:
        return example
    while failing - passing > 1:
        middle = (failing + passing) // 2
        shorter = take(example, axes, name, list(range(middle)))
        if shorter is not None and fails(shorter):
            example, failing = shorter, middle
        else:
            passing = middle
    return example


def _simplify(example: Example, name: str, fails: Callable[[Example], bool], *, positive: bool) -> Example:
    """Replace each entry by the first of zero, one, and its roundings to ever more digits that still fails."""
    largest = torch.finfo(example[name].dtype).max if example[name].is_floating_point() else np.inf
    for index in np.ndindex(tuple(example[name].shape)):
        current = float(example[name][index])
        for candidate in _simpler(current):
            if abs(candidate) > largest:  # the largest number rounded to fewer digits is none of the format
                continue
            changed = _replaced(example, name, index, candidate)
            if float(changed[name][index]) == current:
                break
            if positive and not float(changed[name][index]) > 0.0:
                continue
            if fails(changed):
                example = changed
                break
    return example


def _simpler(value: float) -> Iterator[float]:
    yield 0.0
    yield 1.0
    if np.isfinite(value):
        for digits in (1, 2, 3, 4):
            yield float(f"{value:.{digits - 1}e}")


def _replaced(example: Example, name: str, index: tuple[int, ...], value: float) -> Example:
    changed = example[name].clone()
    changed[index] = value
    return {**example, name: changed}


def _bisect_largest(
    example: Example, name: str, format_: Format, fails: Callable[[Example], bool], *, positive: bool
) -> Example:
    """Move the entry of largest magnitude towards zero, to the last representable number that still fails."""
    tensor = example[name]
    index = np.unravel_index(int(tensor.double().abs().nan_to_num(torch.inf).argmax()), tuple(tensor.shape))
    position = tuple(int(i) for i in index)
    if not tensor[position].isfinite():
        return example
    failing = int(to_ordinal(tensor)[position])

    def with_ordinal(ordinal: int) -> Example:
        value = from_ordinal(np.array(ordinal), format_)
        return _replaced(example, name, position, float(value))

    passing = 1 if positive else 0
    if fails(with_ordinal(passing)):
        return with_ordinal(passing)
    while abs(failing - passing) > 1:
        middle = (failing + passing) // 2
        if fails(with_ordinal(middle)):
            failing = middle
        else:
            passing = middle
    return with_ordinal(failing)
