"""Recordings of a computation: the tape of its operations, and its results with the places where they were final."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from harness.compat.torch import tree_leaves
from harness.error import UsageError
from harness.exact.tape import MAX_ELEMENTS, MAX_STEPS, Recorder, Tape, TooLongError, View, is_floating

STEPS = 3
"""Calls of a training step."""

START, RETURNED, GRADIENT, END = range(4)
"""Kinds of results, in the order of comparison: weights at the start of a step, returned tensors, gradients, weights
after the last step.
"""


@dataclass(frozen=True)
class Result:
    """A result, the number of its call, and its view after a number of operations; no view of integers."""

    value: Tensor
    call: int
    kind: int
    position: int
    view: View | None


@dataclass
class Recording:
    """A recorded computation: its tape, its results by name, and the number of finished calls."""

    is_step: bool
    tape: Tape = field(default_factory=Tape)
    results: dict[str, Result] = field(default_factory=dict)
    calls: int = 0
    is_trained: bool = False
    """Whether a weight changed; of a step without weights, whether its results did."""


class Observer(Recorder):
    """Records the calls of a computation; in a training step, it also notices the weights and their gradients."""

    def __init__(self, recording: Recording) -> None:
        super().__init__(recording.tape)
        self._recording, self._call = recording, 0
        self._weights: dict[Any, tuple[str, Tensor]] = {}
        self._last: dict[str, Tensor] = {}
        self._hooked: set[Any] = set()

    def call(self, function: Callable[[], Any]) -> None:
        """Record a call, and keep the tensors that it returns."""
        self._call += 1
        self._weights = {}
        with self:
            returned = function()
        for index, value in enumerate(x for x in tree_leaves(returned) if isinstance(x, Tensor)):
            name = f"result {index + 1}" if index else "result"
            place = f"in step {self._call}" if self._recording.is_step else f"of call {self._call}"
            self._keep(f"{name} {place}", value, RETURNED)
        self._recording.calls = self._call

    def view(self, tensor: Tensor, *, created: bool = False) -> View:
        """Return the view of a tensor; notice it if it is a weight."""
        if self._recording.is_step and tensor.requires_grad and tensor.is_leaf and not created:
            self._notice(tensor)
        return super().view(tensor, created=created)

    def _notice(self, weight: Tensor) -> None:
        # The backward pass saves a weight as another tensor with the same storage.
        key = (self._number(weight), int(weight.storage_offset()), weight.numel())
        if key in self._weights:
            return
        name = f"weight {list(weight.shape)}"
        others = sum(other.shape == weight.shape for _, other in self._weights.values())
        name += f" number {others + 1}" if others else ""
        self._weights[key] = name, weight
        self._note_change(name, weight)
        self._keep(f"{name} at the start of step {self._call}", weight, START)
        if key not in self._hooked:
            self._hooked.add(key)
            weight.register_post_accumulate_grad_hook(lambda leaf: self._keep_gradient(key, leaf))

    def _note_change(self, name: str, weight: Tensor) -> None:
        before, value = self._last.get(name), weight.detach()
        self._recording.is_trained |= before is not None and not value.equal(before)
        self._last[name] = value.clone()

    def _keep_gradient(self, key: Any, leaf: Tensor) -> None:
        if key in self._weights and leaf.grad is not None:
            self._keep(f"gradient of {self._weights[key][0]} in step {self._call}", leaf.grad, GRADIENT)

    def _keep(self, name: str, tensor: Tensor, kind: int) -> None:
        value = tensor.detach()
        view = self.view(value) if is_floating(value) else None
        self._recording.results[name] = Result(value.clone(), self._call, kind, len(self.tape.steps), view)

    def finish(self) -> None:
        """Keep the weights that the last step changed in place, and order the results."""
        recording = self._recording
        for name, weight in self._weights.values():
            if recording.calls == self._call and not weight.detach().equal(self._last[name]):
                self._note_change(name, weight)
                self._keep(f"{name} after step {self._call}", weight, END)
        finished = [(name, x) for name, x in recording.results.items() if x.call <= recording.calls]
        recording.results = dict(sorted(finished, key=lambda item: (item[1].call, item[1].kind)))
        if recording.is_step and not self._last:
            values = [x.value for x in recording.results.values()]
            recording.is_trained = any(not x.equal(values[0]) for x in values)


def record(calls: Sequence[Callable[[], Any]], *, is_step: bool) -> Recording:
    """Record calls, as many as fit on a tape.

    Raises
    ------
    UsageError
        If not even one call fits.
    """
    recording = Recording(is_step)
    observer = Observer(recording)
    try:
        for call in calls:
            observer.call(call)
    except TooLongError:
        if not recording.calls:
            rule = f"a call may have {MAX_STEPS:,} operations, and {MAX_ELEMENTS:,} numbers in their inputs and results"
            raise UsageError("cannot record the call", rule=rule, remedy="take a smaller batch or model") from None
    observer.finish()
    return recording
