"""Members: changes of an example that keep it within the inputs of a law.

An entry keeps its kind. It is *ordinary*, or *peculiar*: infinite or NaN, false in a mask, or zero among positive
numbers. A row with both kinds keeps both, so an example about masked entries has a masked one. The axes of an input
describe further conditions, such as the sum 1: :attr:`harness.laws.contract.Axes.restore`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.floats.format import Format
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
