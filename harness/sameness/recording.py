"""Recordings of a computation: the tape of its operations, and its results with the places where they were final."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from harness.compat.torch import tree_leaves
from harness.error import UsageError
from harness.exact.tape import MAX_ELEMENTS, MAX_STEPS, Recorder, Tape, TooLongError, View, dtype_name, is_floating

STEPS = 3
"""Calls of a training step."""

START, RETURNED, GRADIENT, BUFFER, END = range(5)
"""Kinds of results, in the order of comparison: weights at the start of a step, returned tensors, gradients, changed
buffers, weights after the last step.
"""


class Call(NamedTuple):
    """A call to record, and its name, such as ``step 1``."""

    name: str
    function: Callable[[], Any]
    inputs: Sequence[Tensor] = ()
    """Inputs for which the gradients of a weighted sum of the results are recorded, too."""


COMPUTED = 8.5
"""Factor of the errors of both results if they are compared as computed, and not in float64."""


class Measured(NamedTuple):
    """A result as computed, in float64, and its largest sampled rounding error."""

    value: Tensor
    exact: Tensor
    error: Tensor

    @property
    def kind(self) -> str:
        """Dtype and shape, such as ``float32 [2, 3]``."""
        return f"{dtype_name(self.value.dtype)} {list(self.value.shape)}"

    def as_computed(self) -> "Measured":
        """Take the computed value for the exact one; its own error counts, too."""
        return Measured(self.value, self.value.double(), COMPUTED * self.error)


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
    is_of_rows: bool = False
    """Whether the other recording computes more rows at once."""
    is_replaced: bool = False
    """Whether the results come from a second run, for example of compiled code."""
    measured: Mapping[str, Measured] | None = None
    """The results with their errors, if another process has measured them."""
    trace: Sequence[tuple[str, Sequence[Tensor]]] = ()
    """The operations and their results, if another process has recorded them."""

    @property
    def is_computed(self) -> bool:
        """Whether its results have no exact values, because the recorded operations did not compute them."""
        return self.is_replaced or self.measured is not None


class Observer(Recorder):
    """Records the calls of a computation; in a training step, it also notices the weights and their gradients."""

    def __init__(self, recording: Recording, buffers: Iterable[tuple[str, Tensor]]) -> None:
        super().__init__(recording.tape)
        self._recording, self._call, self._step = recording, 0, ""
        self._buffers = [(name, buffer, buffer.clone()) for name, buffer in buffers]
        self._weights: dict[Any, tuple[str, Tensor]] = {}
        self._last: dict[str, Tensor] = {}
        self._hooked: set[Any] = set()

    def call(self, call: Call) -> None:
        """Record a call, and keep the tensors that it returns and the buffers that it changes."""
        self._call += 1
        self._step = call.name
        self._weights = {}
        for x in call.inputs:
            x.requires_grad_()
        try:
            with self:
                returned = call.function()
        except RuntimeError if call.inputs else ():  # noqa: B030 - a step cannot be called again
            # NumPy, for example, takes no tensor that requires a gradient.
            for x in call.inputs:
                x.requires_grad = False
            with self:
                returned = call.function()
        for name, value in name_returned(call, returned, is_step=self._recording.is_step):
            self._keep(name, value, RETURNED)
        for number, gradient in self._differentiate(call, returned):
            self._keep(f"gradient of input {number} of {call.name}", gradient, GRADIENT)
        for name, buffer, before in self._buffers:
            if not buffer.equal(before):
                self._keep(f"{name} after {call.name}", buffer, BUFFER)
        self._recording.calls = self._call

    def _differentiate(self, call: Call, returned: Any) -> list[tuple[int, Tensor]]:
        """Return the gradients of the inputs by their numbers, as far as autograd follows the call."""
        outputs = [x for x in tree_leaves(returned) if isinstance(x, Tensor) and x.requires_grad]
        weights = [(torch.arange(x.numel()) % 7 + 1.0).to(x.dtype).reshape(x.shape) for x in outputs]
        try:
            with self:
                gradients = torch.autograd.grad(outputs, call.inputs, weights, allow_unused=True)
        except (RuntimeError, TooLongError):
            return []
        return [(number, x) for number, x in enumerate(gradients, 1) if x is not None]

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
        self._keep(f"{name} at the start of {self._step}", weight, START)
        if key not in self._hooked:
            self._hooked.add(key)
            weight.register_post_accumulate_grad_hook(lambda leaf: self._keep_gradient(key, leaf))

    def _note_change(self, name: str, weight: Tensor) -> None:
        before, value = self._last.get(name), weight.detach()
        self._recording.is_trained |= before is not None and not value.equal(before)
        self._last[name] = value.clone()

    def _keep_gradient(self, key: Any, leaf: Tensor) -> None:
        if key in self._weights and leaf.grad is not None:
            self._keep(f"gradient of {self._weights[key][0]} in {self._step}", leaf.grad, GRADIENT)

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
                self._keep(f"{name} after {self._step}", weight, END)
        finished = [(name, x) for name, x in recording.results.items() if x.call <= recording.calls]
        recording.results = dict(sorted(finished, key=lambda item: (item[1].call, item[1].kind)))
        if recording.is_step and not self._last:
            values = [x.value for x in recording.results.values()]
            recording.is_trained = any(not x.equal(values[0]) for x in values)


def name_returned(call: Call, returned: Any, *, is_step: bool) -> Iterable[tuple[str, Tensor]]:
    """Return the tensors that a call returns, with their names."""
    place = f"{'in' if is_step else 'of'} {call.name}"
    values = [x for x in tree_leaves(returned) if isinstance(x, Tensor)]
    return [(f"result {index + 1} {place}" if index else f"result {place}", x) for index, x in enumerate(values)]


def record(calls: Sequence[Call], *, is_step: bool, buffers: Iterable[tuple[str, Tensor]] = ()) -> Recording:
    """Record calls, as many as fit on a tape.

    Raises
    ------
    UsageError
        If not even one call fits.
    """
    recording = Recording(is_step)
    observer = Observer(recording, buffers)
    try:
        for call in calls:
            observer.call(call)
    except TooLongError:
        if not recording.calls:
            rule = f"a call may have {MAX_STEPS:,} operations, and {MAX_ELEMENTS:,} numbers in their inputs and results"
            raise UsageError("cannot record the call", rule=rule, remedy="take a smaller batch or model") from None
    observer.finish()
    return recording


def replace_results(
    recording: Recording, calls: Sequence[Call], weights: Iterable[Tensor], buffers: Sequence[tuple[str, Tensor]]
) -> None:
    """Call without recording, and replace the recorded results; drop results that are not seen.

    A weight is the recorded one with the same initial values.
    """
    values: dict[str, Tensor] = {}
    names = _match_weights(recording, calls[0].name, weights)
    for number, call in enumerate(calls[: recording.calls]):
        for name, weight in names.items():
            values[f"{name} at the start of {call.name}"] = weight.detach().clone()
        hooks = [weight.register_post_accumulate_grad_hook(_make_keeper(values, f"gradient of {name} in {call.name}"))
                 for name, weight in names.items()]  # fmt: skip
        values.update(name_returned(call, call.function(), is_step=recording.is_step))
        for hook in hooks:
            hook.remove()
        values.update((f"{name} after {call.name}", buffer.clone()) for name, buffer in buffers)
        if number + 1 == recording.calls:
            values.update((f"{name} after {call.name}", weight) for name, weight in names.items())
    kept = {name: x for name, x in recording.results.items() if name in values}
    recording.results = {name: replace(x, value=values[name].detach().cpu().clone()) for name, x in kept.items()}
    recording.is_replaced = True


def _match_weights(recording: Recording, step: str, weights: Iterable[Tensor]) -> dict[str, Tensor]:
    left, matched = list(weights), {}
    suffix = f" at the start of {step}"
    for name, result in recording.results.items():
        same = (i for i, x in enumerate(left) if x.shape == result.value.shape and torch.equal(x.cpu(), result.value))
        if name.endswith(suffix) and (index := next(same, None)) is not None:
            matched[name.removesuffix(suffix)] = left.pop(index)
    return matched


def _make_keeper(values: dict[str, Tensor], name: str) -> Callable[[Tensor], None]:
    def keep(leaf: Tensor) -> None:
        if leaf.grad is not None:
            values[name] = leaf.grad.detach().clone()

    return cast("Callable[[Tensor], None]", torch.compiler.disable(keep))  # the compiler would trace it
