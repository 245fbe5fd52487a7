"""Replaying a tape: the first operations as they were, the others in wider arithmetic."""

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from harness.calling.trace.step import Step, View, is_view
from harness.calling.trace.tape import Tape


class Replay:
    """A tape carried out again in float64.

    Parameters
    ----------
    tape
        The tape.
    rounded
        How many operations return what they returned; the others are carried out in float64 on what they find.
    element
        Output and element of the next operation that are as they were, too.
    kept
        Whether what each operation found and wrote is kept.

    Notes
    -----
    Each storage has a shadow in float64, of which tensors are views as they were of the storage: views, strides and
    operations in place need no rules. Integers, masks and what was drawn at random are the call's own.
    """

    def __init__(self, tape: Tape, rounded: int, element: tuple[int, int] | None = None, *, kept: bool = False) -> None:
        self.tape = tape
        self.given: list[tuple[Tensor, ...]] = []
        """What each operation found, in order."""
        self.results: list[tuple[Tensor, ...]] = []
        """What each operation wrote, in order."""
        self._shadows = {number: values.clone() for number, values in tape.started.items()}
        with torch.no_grad():
            for at, step in enumerate(tape.steps):
                if kept:
                    self.given.append(tuple(self.read(view) for view in step.inputs))
                self._carry_out(step, exact=at >= rounded)
                if at == rounded and element is not None:
                    self._round(step, *element)
                if kept:
                    self.results.append(tuple(self.read(view) for view in step.results))

    def read(self, view: View) -> Tensor:
        """What a view holds now."""
        return self._part(view).clone()

    def _round(self, step: Step, output: int, element: int) -> None:
        shadow = self.read(step.results[output])
        shadow.view(-1)[element] = step.values[output].reshape(-1)[element]
        self._part(step.results[output]).copy_(shadow)

    def _carry_out(self, step: Step, *, exact: bool) -> None:
        if not step.results:
            return
        drawn = torch.Tag.nondeterministic_seeded in step.operator.tags
        results = self._exactly(step) if exact and not drawn else None
        for view, value in zip(step.results, results or step.values, strict=True):
            self._part(view).copy_(value)

    def _exactly(self, step: Step) -> tuple[Tensor, ...] | None:
        """What an operation makes of the shadows; ``None`` where float64 has no such operation."""
        args, kwargs = tree_map(self._widened, step.arguments, is_leaf=is_view)
        try:
            result = step.operator(*args, **kwargs)
        except (RuntimeError, NotImplementedError, TypeError):
            return None
        # What was changed has been changed in its shadow; what is new is returned.
        returned = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor) and leaf.is_floating_point()]
        views = [leaf for leaf in tree_leaves(step.returned, is_leaf=is_view) if is_view(leaf)]
        new = dict(zip(views, returned, strict=False))
        return tuple(new[view] if view in new else self.read(view) for view in step.results)

    def _widened(self, leaf: Any) -> Any:
        if is_view(leaf):
            return self._part(leaf)
        return torch.float64 if isinstance(leaf, torch.dtype) and leaf.is_floating_point else leaf

    def _part(self, view: View) -> Tensor:
        if view.storage not in self._shadows:
            self._shadows[view.storage] = torch.zeros(self.tape.length[view.storage], dtype=torch.float64)
        return self._shadows[view.storage].as_strided(view.size, view.stride, view.offset)
