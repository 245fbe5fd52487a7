"""Rows of an example: select, count and stack them, and find the worst one."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.floats.measurement import Measurement
from harness.laws.contract import Axes
from harness.laws.law import Example
from harness.verdict.member import peculiar_rows


def worst_row(
    example: Example,
    axes: Mapping[str, Axes],
    measurement: Measurement,
    fails: Callable[[Example], bool],
    *,
    peculiar: bool = False,
) -> Example:
    """Return the row with the largest ratio if it fails alone, and otherwise the whole example.

    Parameters
    ----------
    example, axes, measurement
        The inputs, their axes, and the deviations of the rows.
    fails
        Whether an example fails.
    peculiar
        Whether the law is about peculiar entries, such as masked ones. Then a row with such an entry is preferred, or
        kept in addition.
    """
    leading = next((input_axes.names[0] for input_axes in axes.values()), None)
    if leading is None or not measurement.worst or len(measurement.ratio) != length(example, axes, leading):
        return example
    rows = [measurement.worst[0]]
    special = peculiar_rows(example, axes, leading) if peculiar else np.array([])
    if special.any() and not special[rows[0]]:
        ratios = measurement.ratio.reshape(len(special), -1).max(-1)
        first = int(np.where(special, ratios, -1.0).argmax())
        rows = [first] if ratios[first] > 1.0 else [rows[0], first]
    row = take(example, axes, leading, rows)
    return row if row is not None and fails(row) else example


def take(example: Example, axes: Mapping[str, Axes], name: str, kept: list[int]) -> Example | None:
    """Keep the given positions of an axis in every input; ``None`` if an index refers to a dropped one."""
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


def length(example: Example, axes: Mapping[str, Axes], name: str) -> int:
    """Count the positions along an axis."""
    key, input_axes = next((key, input_axes) for key, input_axes in axes.items() if name in input_axes.names)
    return len(example[key].movedim(input_axes.names.index(name), 0))


def stacked(rows: Sequence[Example], axes: Mapping[str, Axes]) -> Example | None:
    """Stack examples with a single row; ``None`` if one has more rows, or if they share no leading axis."""
    leading = next((input_axes.names[0] for input_axes in axes.values() if input_axes.names), None)
    together = dict(rows[0])
    for name, input_axes in axes.items():
        if input_axes.index_of == leading or leading in input_axes.names[1:]:
            return None
        values = [row[name] for row in rows]
        if input_axes.names[:1] == (leading,):
            if len(values[0]) != 1 or any(value.shape != values[0].shape for value in values):
                return None
            together[name] = torch.cat(values)
        elif not all(torch.equal(value, values[0]) for value in values):
            return None
    return None if leading is None else together


def row_of_each(
    example: Example, axes: Mapping[str, Axes], name: str, index: tuple[int, ...], values: Tensor
) -> Example | None:
    """Return an example with a row for each value of an entry; ``None`` if the example has several rows."""
    if stacked([example], axes) is None or not index:
        return None
    leading, together = axes[name].names[0], dict(example)
    for key, input_axes in axes.items():
        if input_axes.names[:1] == (leading,):
            together[key] = example[key].repeat(len(values), *[1] * (example[key].ndim - 1))
    together[name][(slice(None), *index[1:])] = values
    return together


def of_rows(values: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the largest number per row; ``None`` without rows."""
    return np.fmax.reduce(values.reshape(len(values), -1), axis=-1) if values.ndim and values.size else None
