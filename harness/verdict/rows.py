"""Rows of an example: select, count and stack them, find the worst one, and keep changed ones within the inputs.

A change keeps the kind of an entry. It is *ordinary*, or *peculiar*: infinite or NaN, false in a mask, or zero among
positive numbers. A row with both kinds keeps both, so an example about masked entries has a masked one. The axes of an
input describe further conditions, such as the sum 1: :attr:`harness.laws.contract.Axes.restore`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.floats.format import Format
from harness.floats.measurement import Measurement
from harness.laws.contract import Axes
from harness.laws.law import Example

Kinds = set[tuple[bool, bool]]
"""For each row: whether it has ordinary entries, and whether it has special ones."""


class Members:
    """The members like a given one.

    Parameters
    ----------
    example
        A member.
    axes
        The inputs' axes.
    format_
        Format of the floating-point inputs.
    """

    def __init__(self, example: Example, axes: Mapping[str, Axes], format_: Format) -> None:
        self.axes, self.format = axes, format_
        self._kinds = {name: _kinds(example[name], axes[name]) for name in axes}
        # A law about other inputs than the contract's may have some that are no distribution, say, to begin with.
        self._restored = [name for name in axes if self._is_whole(example[name], axes[name])]
        self._last = {name: example[name] for name in axes}
        """The tensors of the latest member; most candidates differ from it in one tensor."""

    def _is_whole(self, value: Any, axes: Axes) -> bool:
        if axes.restore is None:
            return False
        restored = axes.restore(value, self.format)
        return restored is not None and torch.equal(restored, value)

    def nearest(self, candidate: Example) -> Example | None:
        """Return the member for a candidate; ``None`` if there is none."""
        member = dict(candidate)
        for name, axes in self.axes.items():
            if member[name] is self._last[name]:
                continue
            if axes.restore is not None and name in self._restored:
                member[name] = axes.restore(member[name], self.format)
            if member[name] is None or not self._is_like(name, member[name]):
                return None
            self._last[name] = member[name]
        return member

    def _is_like(self, name: str, value: Tensor) -> bool:
        kinds = _kinds(value, self.axes[name])
        return kinds <= self._kinds[name] and _united(kinds) == _united(self._kinds[name])


def _kinds(value: Tensor, axes: Axes) -> Kinds:
    peculiar = is_peculiar(value, axes)
    if peculiar is None:
        return set()
    if not peculiar.any():
        return {(True, False)}
    rows = peculiar.reshape(-1, peculiar.shape[-1] if peculiar.ndim else 1)
    return set(zip((~rows).any(-1).tolist(), rows.any(-1).tolist(), strict=True))


def _united(kinds: Kinds) -> tuple[bool, bool]:
    return any(ordinary for ordinary, _ in kinds), any(peculiar for _, peculiar in kinds)


def is_peculiar(value: Any, axes: Axes) -> Tensor | None:
    """Return which entries are peculiar; ``None`` if the input has no such kind."""
    if not isinstance(value, Tensor) or not value.numel() or axes.index_of is not None:
        return None
    if value.dtype == torch.bool:
        return ~value
    if not value.is_floating_point():
        return None
    return ~value.isfinite() | (value == 0.0) if axes.positive else ~value.isfinite()


def peculiar_rows(example: Example, axes: Mapping[str, Axes], leading: str) -> NDArray[np.bool_]:
    """Return which positions along the leading axis have a peculiar entry in any input."""
    found = [
        peculiar.reshape(len(peculiar), -1).any(-1).numpy()
        for name, input_axes in axes.items()
        if input_axes.names[:1] == (leading,) and (peculiar := is_peculiar(example[name], input_axes)) is not None
    ]
    return np.any(found, axis=0) if found else np.array([], dtype=bool)


def is_same(first: float, second: float) -> bool:
    """Whether two finite numbers are equal, including the signs of zeros."""
    return first == second and bool(np.signbit(first) == np.signbit(second))


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
