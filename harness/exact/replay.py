"""Replay a tape: the first operations return recorded results, and the others use wider arithmetic."""

from typing import Any

import torch

from harness.exact.step import Step, View, views_in
from harness.exact.tape import Tape
from harness.exact.wide import Arithmetic, Wide


class Replay:
    """A replay of a tape in wider arithmetic.

    Parameters
    ----------
    tape
        The tape.
    arithmetic
        The arithmetic of the exact operations.
    rounded
        Number of operations that return their recorded results; the others are exact.
    element
        Output and element of the next operation that keeps its recorded value, too.
    kept
        Whether to store the inputs and results of every operation.

    Notes
    -----
    Each storage has a shadow with the same views: views, strides and in-place operations need no rules. Integers, masks
    and random numbers are taken from the recorded call.
    """

    def __init__(
        self,
        tape: Tape,
        arithmetic: Arithmetic,
        rounded: int,
        element: tuple[int, int] | None = None,
        *,
        kept: bool = False,
    ) -> None:
        self.tape = tape
        self.given: list[tuple[Wide, ...]] = []
        """The inputs of the operations, in order."""
        self.results: list[tuple[Wide, ...]] = []
        """The results of the operations, in order."""
        self._arithmetic = arithmetic
        self._shadows = {number: arithmetic.start(values) for number, values in tape.started.items()}
        with torch.no_grad():
            for at, step in enumerate(tape.steps):
                if kept:
                    self.given.append(tuple(self.read(view) for view in step.inputs))
                self._carry_out(step, exact=at >= rounded)
                if at == rounded and element is not None:
                    self._round(step, *element)
                if kept:
                    self.results.append(tuple(self.read(view) for view in step.results))

    def read(self, view: View) -> Wide:
        """Return the current values of a view."""
        return self._arithmetic.wide(self._part(view))

    def _round(self, step: Step, output: int, element: int) -> None:
        """Reset an element to its recorded value."""
        view, values = step.results[output], step.values[output].reshape(-1)
        apart = torch.zeros(view.size, dtype=torch.bool).view(-1)
        apart[element] = True
        at = apart.reshape(view.size).nonzero()[0].tolist()
        offset = view.offset + sum(i * stride for i, stride in zip(at, view.stride, strict=True))
        one = View(view.storage, (1,), (1,), offset, view.dtype)
        self._arithmetic.put(self._part(one), values[element : element + 1])

    def _carry_out(self, step: Step, *, exact: bool) -> None:
        results = self._arithmetic.carry_out(step, self._part) if exact and not step.schema.draws else None
        # Changed tensors were changed in their shadows; new tensors are returned.
        known = () if results is None else step.changed
        new = dict(zip(views_in(step.returned), results or (), strict=False))
        for view, value in zip(step.results, step.values, strict=True):
            if view not in known:
                made = new.get(view)
                self._arithmetic.put(self._part(view), value if made is None else made)

    def _part(self, view: View) -> Any:
        if view.storage not in self._shadows:
            empty = torch.zeros(self.tape.length[view.storage], dtype=torch.float64)
            self._shadows[view.storage] = self._arithmetic.start(empty)
        return self._arithmetic.part(self._shadows[view.storage], view)
