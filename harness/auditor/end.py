"""Results that a step leaves: losses, gradients, updates, buffers and outputs.

An error that reaches none of these is not reported. Under ``torch.amp.GradScaler``, gradients count after unscaling,
and a skipped step is a note.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from enum import Enum
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.modules import module as all_modules

from harness.auditor.blame import blame_not_finite
from harness.auditor.line import Line, Lines
from harness.auditor.operation import Source, bare
from harness.auditor.shadow import Call, Cell, Distance, Shadows, distance, distance_where_finite
from harness.compat.torch import DisableAutocast, disable_dispatch_modes, storage_address
from harness.exact.tape import LARGEST, is_followed, is_wrapped, key_of, tensors

ENGINE = "_engine_run_backward"
"""Function that ``backward`` and ``grad`` call with every root."""


class EngineHook:
    """Replaces the engine of backward passes by a method that calls it; a context."""

    _engine: Callable[..., Any]

    def __enter__(self) -> Self:
        """Install the hook."""
        self._engine = getattr(torch.autograd, ENGINE)  # may be a hook of another listener
        setattr(torch.autograd, ENGINE, self._backward)
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the hook."""
        setattr(torch.autograd, ENGINE, self._engine)

    def _backward(self, roots: Any, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


class Kind(Enum):
    """Kind of a result."""

    LOSS = "the loss"
    GRADIENT = "the gradient of"
    UPDATE = "the update of"
    BUFFER = "the buffer"
    OUTPUT = "the output"


@dataclass(frozen=True, slots=True)
class End:
    """A result that the step leaves.

    Parameters
    ----------
    kind, name
        Its kind, and the name of the parameter or buffer.
    state
        Its writer and its error.
    unit
        Coarsest unit roundoff on the way to it.
    in_balls
        Whether it was compared with ball arithmetic.
    off
        Absolute error of a scalar; infinity for other tensors.
    """

    kind: Kind
    name: str
    state: Source
    unit: float
    in_balls: bool = False
    off: float = math.inf

    def __str__(self) -> str:
        """Return a readable name such as ``the gradient of 0.weight``."""
        return f"{self.kind.value} {self.name}".rstrip()


@contextmanager
def disable_tracking() -> Iterator[None]:
    """Disable gradients, autocast and the audit."""
    with disable_dispatch_modes(), DisableAutocast(), torch.no_grad():
        yield


@dataclass(slots=True)
class Before:
    """A parameter and its shadow before the first update."""

    parameter: Tensor
    actual: Tensor
    shadow: Tensor


class Ends(EngineHook):
    """Collects the results of a step from modules, gradient hooks and backward passes."""

    def __init__(self, shadows: Shadows, lines: Lines) -> None:
        self.found: list[End] = []
        self.updated: set[int] = set()
        self.compensated: set[int] = set()
        """Parameters whose update keeps its rounding remainder."""
        self.left: list[tuple[str, Tensor]] = []
        """The parameters used by the step and the buffers of the called models, set at the end of the step."""
        self.without_gradient: list[Tensor] = []
        """Parameters without a gradient at their first use."""
        self.untracked: dict[int, Line] = {}
        """Parameters that are first used without a graph, and the line."""
        self.unregistered: dict[int, Line] = {}
        """Parameters that a module uses and does not list, and the line."""
        self.roots: dict[int, tuple[nn.Module, bool, Line]] = {}
        """Modules that were called with a graph, whether in training mode, and the line."""
        self._shadows, self._lines = shadows, lines
        self.leaves: dict[int, Tensor] = {}
        self._met: dict[int, int] = {}
        """Storages of parameters, by identity."""
        self._parts: set[tuple[int, int, int]] = set()
        self._names: dict[int, str] = {}
        self._buffers: dict[str, Tensor] = {}
        self.buffers: dict[int, str] = {}
        """Names of the buffers of called models, by their storages."""
        self._before: dict[int, Before] = {}
        self._handles: list[Any] = []
        self._output: Any = None

    # Listening

    def listen(self) -> None:
        """Install the hooks."""
        self._handles += [
            all_modules.register_module_forward_pre_hook(self._enter_module),
            all_modules.register_module_forward_hook(self._leave_module, always_call=True),
        ]
        self.__enter__()

    def stop(self) -> None:
        """Remove the hooks."""
        self.__exit__()
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _enter_module(self, module: nn.Module, _args: Any) -> None:
        modules = self._lines.modules
        if not modules:
            self._names.update({id(inner): name for name, inner in module.named_modules()})
            self._names.update({id(parameter): name for name, parameter in module.named_parameters()})
            self._buffers.update({name: buffer for name, buffer in module.named_buffers() if is_followed(buffer)})
            self.buffers.update({key_of(buffer): name for name, buffer in self._buffers.items()})
            if torch.is_grad_enabled():
                self.roots[id(module)] = (module, module.training, self._lines.caller())
        modules.append(self._names.get(id(module), type(module).__name__))

    def _leave_module(self, _module: nn.Module, _args: Any, output: Any) -> None:
        if self._lines.modules:
            self._lines.modules.pop()
        if not self._lines.modules and not torch.is_grad_enabled():
            self._output = output

    def _backward(self, roots: Any, *args: Any, **kwargs: Any) -> Any:
        for root in roots:
            if isinstance(root, Tensor) and not is_wrapped(root) and is_followed(root) and root.dim() == 0:
                self._add_backward_end(Kind.LOSS, "", root)
        with disable_tracking():
            for parameter in self.leaves.values():
                self._meet_gradient(parameter)
        return self._engine(roots, *args, **kwargs)

    # Parameters

    def is_met(self, tensor: Tensor) -> bool:
        """Whether a leaf is a known parameter with an unchanged storage."""
        storage = self._met.get(id(tensor))
        return storage is not None and storage == storage_address(tensor.untyped_storage())

    def register_leaf(self, tensor: Tensor) -> None:
        """Register a leaf before its first use."""
        if not is_followed(tensor):
            return
        # The backward pass saves a parameter as another tensor with the same storage.
        part = (key_of(tensor), int(tensor.storage_offset()), tensor.numel())
        if part in self._parts:
            return
        self._parts.add(part)
        self._shadows.leaves[part[0]] = id(tensor)
        is_new = id(tensor) not in self.leaves
        with DisableAutocast(), torch.no_grad():
            self._shadows.cell(tensor).state.leaf = id(tensor)
            if is_new:
                self._meet_gradient(tensor)
        if is_new:
            self.leaves[id(tensor)] = tensor
            if not torch.is_grad_enabled():
                self.untracked[id(tensor)] = self._lines.caller()
            if self._lines.modules and isinstance(tensor, nn.Parameter) and id(tensor) not in self._names:
                self.unregistered[id(tensor)] = self._lines.caller()
            if tensor.grad is None:
                self.without_gradient.append(tensor)
            self._handles.append(tensor.register_post_accumulate_grad_hook(self._gradient))
        self._met[id(tensor)] = part[0]

    def _meet_gradient(self, parameter: Tensor) -> None:
        """Mark a gradient that exists before the backward pass."""
        if parameter.grad is not None and is_followed(parameter.grad):
            state = self._shadows.cell(parameter.grad).state
            if state.writer is None:
                state.gradient_of = id(parameter)

    def name(self, leaf: int) -> str:
        """Return the name of a parameter."""
        known_name = self._names.get(leaf)
        if known_name:
            return known_name
        parameter = self.leaves.get(leaf)
        return "a tensor" if parameter is None else f"a tensor {list(parameter.shape)}"

    def _gradient(self, parameter: Tensor) -> None:
        if parameter.grad is not None and is_followed(parameter.grad):
            self._add_backward_end(Kind.GRADIENT, self.name(id(parameter)), parameter.grad, leaf=id(parameter))

    def save_initial_value(self, leaf: int, tensor: Tensor, cell: Cell) -> None:
        """Save a parameter before its first change."""
        self.updated.add(leaf)
        if self._shadows.wide and leaf not in self._before:
            shadow = cell.shadow(tensor)
            self._before[leaf] = Before(tensor, tensor.detach().to(shadow.dtype, copy=True), shadow.clone())

    # Results

    def _add_backward_end(self, kind: Kind, name: str, tensor: Tensor, *, leaf: int | None = None) -> None:
        """Add a result during a backward pass, without auditing the comparison."""
        with disable_tracking() if self._shadows.wide else nullcontext():
            self._add_end(kind, name, tensor, leaf=leaf)

    def _add_end(self, kind: Kind, name: str, tensor: Tensor, *, leaf: int | None = None) -> None:
        cell = self._shadows.cells.get(key_of(tensor))
        if cell is None or cell.state.writer is None or not tensor.numel():
            return
        is_compared = self._shadows.wide and cell.flat is not None
        error = self._measure(tensor, cell).error if is_compared else 0.0
        state = Source(cell.state.writer, error, cell.state.spread, cell.state.nan, cell.state.inf, leaf)
        unit = max(cell.unit, self._shadows.unit(tensor))
        is_scalar = is_compared and tensor.dim() == 0
        off = abs(float(tensor) - float(cell.shadow(tensor))) if is_scalar else math.inf
        self.found.append(End(kind, name, state, unit, in_balls=cell.in_balls, off=off))

    def _measure(self, tensor: Tensor, cell: Cell) -> Distance:
        actual, shadow = tensor.detach(), cell.shadow(tensor)
        dtype = self._shadows.narrowing.format_of[tensor.dtype]
        if cell.state.nan or cell.state.inf:
            return distance_where_finite(actual, shadow, dtype)
        measured = distance(actual, shadow, dtype, whole=True)
        return Distance(0.0, 0.0) if math.isnan(measured.error) else measured

    def close(self, returned: Any = None) -> None:
        """Add the results at the end of the step: updates, buffers, and the value that the step returned."""
        for leaf, before in self._before.items():
            cell = self._shadows.cells.get(key_of(before.parameter))
            if cell is not None and cell.flat is not None and cell.state.writer is not None:
                self.update(leaf, before.parameter, cell, before.actual, before.shadow)
        self._add_ruined_parameters()
        for name, buffer in self._buffers.items():
            self._add_end(Kind.BUFFER, name, buffer)
        output = returned if returned is not None else self._output
        if not any(end.kind is Kind.LOSS for end in self.found) or returned is not None:
            values = list(output.values()) if isinstance(output, dict) else output
            for tensor in tensors(values):
                if not is_wrapped(tensor) and is_followed(tensor) and not (tensor.dim() == 0 and self._is_loss(tensor)):
                    self._add_end(Kind.OUTPUT, "", tensor)
        self._output = None
        self.left = [(self.name(leaf), parameter) for leaf, parameter in self.leaves.items()]
        self.left += self._buffers.items()
        self._before.clear()
        self._buffers.clear()

    def _is_loss(self, tensor: Tensor) -> bool:
        cell = self._shadows.cells.get(key_of(tensor))
        losses = {end.state.writer for end in self.found if end.kind is Kind.LOSS}
        return cell is not None and cell.state.writer in losses

    def _add_ruined_parameters(self) -> None:
        """Add parameters that are not finite although their gradients are, as after a division by a zero norm."""
        reported = {
            end.state.leaf
            for end in self.found
            if end.kind is Kind.UPDATE or (end.kind is Kind.GRADIENT and (end.state.nan or end.state.inf))
        }
        for leaf, parameter in self.leaves.items():
            cell = self._shadows.cells.get(key_of(parameter))
            is_trained = parameter.grad is not None and leaf not in reported
            if is_trained and cell is not None and (cell.state.nan or cell.state.inf):
                self._add_end(Kind.UPDATE, self.name(leaf), parameter, leaf=leaf)

    def update(self, leaf: int, tensor: Tensor, cell: Cell, actual: Tensor, shadow: Tensor) -> None:
        """Compare the change of a parameter since ``actual`` with the change of its shadow."""
        moved = tensor.detach().to(actual.dtype) - actual
        meant = cell.shadow(tensor) - shadow
        size = float(torch.linalg.vector_norm(meant))
        if not size > 0.0 or math.isinf(size):
            return
        off = float(torch.linalg.vector_norm(moved - meant)) / size
        state = Source(cell.state.writer, math.inf if off != off else off, leaf=leaf)
        self.found.append(End(Kind.UPDATE, self.name(leaf), state, max(cell.unit, self._shadows.unit(tensor))))


UNSCALE = "_amp_foreach_non_finite_check_and_unscale_"


class Scaling:
    """Removes results that are only infinite because of the loss scale.

    The scaler skips such a step and lowers the scale, as intended. A NaN of the forward pass, a pole, and a gradient
    that overflows without the scale remain.
    """

    def __init__(self, ends: list[End]) -> None:
        self.notes: list[str] = []
        self._ends = ends
        self.scale = 0.0
        """Largest scale so far; 0 without a scaler."""
        self._seen = 0
        """Number of results of earlier backward passes."""

    def check_unscaled(self, call: Call) -> None:
        """Judge the gradients of a backward pass after the scaler has divided them by its scale."""
        has_overflow, inverse = float(call.args[1]), float(call.args[2])
        scale = 1.0 / inverse if inverse > 0.0 else math.inf
        self.scale = max(self.scale, scale)
        remaining = self._ends[: self._seen]
        for end in self._ends[self._seen :]:
            is_scaled = has_overflow and end.kind in (Kind.GRADIENT, Kind.LOSS) and _is_spoiled(end)
            if not (is_scaled and self._is_of_scale(end, scale)):
                remaining.append(end)
        if len(remaining) < len(self._ends):
            overflow = f"gradients overflow at its scale of {scale:g}"
            self.notes.append(f"GradScaler skips a step, since {overflow}: as intended")
        self._ends[:] = remaining
        self._seen = len(remaining)

    def _is_of_scale(self, end: End, scale: float) -> bool:
        written = end.state.writer
        assert written is not None
        cause = blame_not_finite(written)
        operation = cause.operation
        first_nonfinite = operation.first_nonfinite
        if cause.is_data or first_nonfinite is None or first_nonfinite.again or first_nonfinite.wide is None:
            return False
        is_scaling = end.kind is Kind.LOSS and operation is written and bare(operation.name) == "mul"
        is_behind = operation.backward or is_scaling
        return is_behind and abs(first_nonfinite.wide) / scale <= LARGEST[operation.dtype]


def _is_spoiled(end: End) -> bool:
    return end.state.writer is not None and (end.state.nan or end.state.inf or math.isinf(end.state.error))
