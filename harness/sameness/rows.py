"""Rows of a batch alone, in reverse order, and among other rows."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from harness.error import UsageError
from harness.sameness.recording import Call, Recording
from harness.sameness.side import Side

ROWS = 8
"""Rows that are computed alone."""


class Rows:
    """The calls of a function on the rows of its first batch; the last batch has the other rows."""

    def __init__(self, side: Side) -> None:
        self._side, self._batch, self._others = side, side.batches[0], side.batches[-1]
        self.length = next((len(x) for x in self._batch if isinstance(x, Tensor) and x.ndim), 0)

    def compute(self, choose: Callable[[Tensor, Tensor], Tensor]) -> Any:
        """Call the function on chosen rows of each argument that has as many rows as the first."""
        pairs = zip(self._batch, self._others, strict=True)
        return self._side.call([choose(x, other) if self._has_rows(x) else x for x, other in pairs])

    def _has_rows(self, x: Any) -> bool:
        return isinstance(x, Tensor) and x.ndim > 0 and len(x) == self.length

    def compute_all(self, end: int) -> Tensor:
        """Return the first rows of the result of the whole batch."""
        result = self.compute(lambda x, _: x)
        if self.length < 2 or not self._has_rows(result):
            rule = "the first argument must have at least two rows, and the result as many"
            raise UsageError("cannot apply `batch`", rule=rule)
        return result[:end]  # type: ignore[no-any-return]

    def compute_alone(self, end: int) -> Tensor:
        """Return the results of the first rows, each in a separate call."""
        return torch.cat([self.compute(partial(_choose_row, row)) for row in range(end)])

    def compute_reversed(self, end: int) -> Tensor:
        """Return the rows of the result of the batch in reverse order, in their first order."""
        return self.compute(lambda x, _: x.flip(0)).flip(0)[:end]  # type: ignore[no-any-return]

    def compute_mixed(self, end: int) -> Tensor:
        """Return the first rows of the result of a batch whose last rows are others."""

        def replace_last(x: Tensor, other: Tensor) -> Tensor:
            return torch.cat([x[:end], other[end:]]) if x.shape == other.shape else x

        return self.compute(replace_last)[:end]  # type: ignore[no-any-return]


def _choose_row(row: int, x: Tensor, _: Tensor) -> Tensor:
    return x[row : row + 1]


def record_rows(side: Side, _: str) -> tuple[Recording, Recording]:
    """Record the calls on the whole batch, and those on rows."""
    again = side.open_again()
    plain, changed = Rows(side), Rows(again)
    lengths = min(plain.length, ROWS), plain.length, plain.length // 2
    names = "rows alone", "rows in reverse order", "rows among others"
    computations = changed.compute_alone, changed.compute_reversed, changed.compute_mixed
    whole = [Call(name, partial(plain.compute_all, end)) for name, end in zip(names, lengths, strict=True)]
    calls = [Call(name, partial(f, end)) for name, f, end in zip(names, computations, lengths, strict=True)]
    pair = side.record(whole), again.record(calls)
    pair[1].is_of_rows = True
    return pair
