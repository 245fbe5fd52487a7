"""Mistakes of a training step that no number shows: weights that nothing trains, and calls in the wrong order."""

import gc
import math
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import wraps
from typing import Any, Self
from unittest import mock

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from harness.auditor.end import Ends, EngineHook, disable_tracking
from harness.auditor.line import Line, Lines
from harness.auditor.operation import Operation
from harness.auditor.wording import make_finding
from harness.compat.torch import BatchNorm, Dropout, clip_module, foreach_norm, version_of
from harness.record.audit import AuditFinding, AuditKind

Calls = tuple[tuple[Any, str, Callable[..., None]], ...]
"""Owner and name of each function to follow, and the function to call before it."""

LISTED = 3
"""Maximum number of parameters that a sentence names."""

Left = list[tuple[weakref.ref[Tensor], tuple[int, int]]]
"""Parameters with address and version of the gradients that an optimizer has used."""

Versions = dict[int, Any]
"""The version of each parameter or of its gradient, by identity."""

AVERAGES = {"exp_avg", "momentum_buffer", "square_avg"}
"""Names of averages of gradients in the state of an optimizer."""

KNOWN_AS = {"learning_rate": "lr", "lrate": "lr", "wd": "weight_decay", "l2": "weight_decay", "epsilon": "eps"}
"""Names of settings elsewhere, and of torch."""

UPDATES = {"sub", "add", "lerp", "addcmul", "addcdiv"}
"""Operations that return a changed parameter as a new tensor."""

_CLIP = "clip between backward and optimizer.step"

_LEFT: Left = []
"""Parameters of the latest audited step."""


class Training(EngineHook):
    """Follows backward passes, gradient scalers, clipping and optimizers in the order of their calls; a context."""

    def __init__(self, ends: Ends, lines: Lines) -> None:
        self.findings: list[AuditFinding] = []
        self._ends, self._lines = ends, lines
        self._backwards = 0
        self._norm = 0.0
        """Norm of the gradients right after the latest backward pass."""
        self._reached: set[int] = set()
        """Parameters with a gradient right after a backward pass."""
        self._moved: dict[int, Line] = {}
        """Parameters that an optimizer has changed since the latest backward pass, and its line."""
        self._used: dict[int, Tensor] = {}
        self._again: tuple[int, list[Tensor], Line] | None = None
        """Number of backward passes, parameters that an optimizer changes again, and the line of the first change."""
        self._scaled: Line | None = None
        """Line that multiplied the loss by the scale of a gradient scaler, until gradients are divided by it."""
        self._early: Line | None = None
        """Line that clipped gradients before there were any."""
        self._resting: list[tuple[Optimizer, Line]] = []
        """Optimizers that stepped at a learning rate of zero."""
        self._scheduled: set[int] = set()
        self._new: dict[int, Line] = {}
        """Gradient scalers and optimizers that the step created, and the line."""
        self._modules: list[nn.Module] = []
        """Modules that the step created, which keep their identity until the end."""
        self._steps: Counter[Optimizer] = Counter()
        self._pass: tuple[Line, Versions, Versions] | None = None
        """Line of the latest backward pass that no optimizer has used, with the versions of weights and gradients."""
        self._cleared: tuple[Line, Versions, Versions] | None = None
        """The same of a pass whose gradients were cleared."""
        self._lost: Line | None = None
        """Line of a backward pass that was repeated with the same weights after its gradients had been cleared."""
        self._in_optimizer = False
        self._left: Left = []
        self._added: dict[int, Line] = {}
        """Parameters whose gradient includes that of the step before, and the line of the backward pass."""
        self._stack = ExitStack()

    # Listening

    def __enter__(self) -> Self:
        """Install the hooks."""
        super().__enter__()
        self._left, _LEFT[:] = list(_LEFT), []
        for handle in (
            register_optimizer_step_pre_hook(self._enter_optimizer),
            register_optimizer_step_post_hook(self._leave_optimizer),
        ):
            self._stack.callback(handle.remove)
        calls: Calls = (
            *self._clearing,
            (torch.amp.GradScaler, "__init__", self._create),
            (Optimizer, "__init__", self._create),
            (nn.Module, "__init__", self._create_module),
            (torch.amp.GradScaler, "scale", self._scale),
            (LRScheduler, "step", lambda scheduler, *_, **__: self._scheduled.add(id(scheduler.optimizer))),
            (clip_module, "_clip_grads_with_norm_", self._clip),
        )
        self._wrap(calls)
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the hooks, and remember the gradients that are left."""
        self._stack.close()
        super().__exit__()
        _LEFT[:] = [
            (weakref.ref(p), before) for p in self._used.values() if (before := _identify_gradient(p)) is not None
        ]
        for optimizer, line in self._resting:
            is_scheduled = any(group.get("initial_lr", 0.0) for group in optimizer.param_groups)
            if _is_at_rest(optimizer) and (id(optimizer) in self._scheduled or not is_scheduled):
                sentence = "the learning rate is 0, and so it is for the next step: this step changes no parameter"
                remedy = "set a learning rate above 0 (a schedule that divides integers by `//` returns 0)"
                self._report(line, "step", sentence, remedy)
        # A step that also creates its model trains another one each time; a loss module without parameters is no model.
        creates_model = any(True for module in self._modules for _ in module.parameters(recurse=False))
        for optimizer, count in self._steps.items():
            if id(optimizer) in self._new and count == 1 and not creates_model and _has_averages(optimizer):
                sentence = f"each step creates a new {type(optimizer).__name__}, which forgets its averages"
                remedy = "create the optimizer once, before the loop"
                self._report(self._new[id(optimizer)], type(optimizer).__name__, sentence, remedy)
        # The next audit must not find this step's objects alive.
        self._steps.clear()
        self._modules.clear()

    def call_again(self, step: Callable[[], Any]) -> list[AuditFinding]:
        """Call the step again, and return the findings about gradients that the first call did not clear."""
        self._left[:], known = _LEFT, len(self.findings)
        if not self._left:
            return []
        super().__enter__()
        with self._stack:
            self._stack.callback(super().__exit__)
            self._stack.callback(register_optimizer_step_pre_hook(self._check_added).remove)
            self._wrap(self._clearing)
            step()
        return self.findings[known:]

    @property
    def _clearing(self) -> Calls:
        return ((Optimizer, "zero_grad", self._clear), (nn.Module, "zero_grad", self._clear))

    def _wrap(self, calls: Calls) -> None:
        """Follow the calls of functions until the stack is left."""
        for owner, name, before in calls:
            self._stack.enter_context(mock.patch.object(owner, name, _call_before(getattr(owner, name), before)))

    def _create(self, thing: Any, *_: Any, **__: Any) -> None:
        self._new[id(thing)] = self._lines.caller()

    def _create_module(self, module: nn.Module, *_: Any, **__: Any) -> None:
        self._modules.append(module)

    def _backward(self, roots: Any, *args: Any, **kwargs: Any) -> Any:
        leaves = self._ends.leaves
        self._added = {
            leaf: line for leaf, line in self._added.items() if leaf in leaves and leaves[leaf].grad is not None
        }
        kept = [
            (p, before) for ref, before in self._left if (p := ref()) is not None and _identify_gradient(p) == before
        ]
        result = self._engine(roots, *args, **kwargs)
        line = self._lines.caller()
        self._added.update({id(p): line for p, before in kept if _identify_gradient(p) != before})
        self._backwards += 1
        self._moved.clear()
        reached = [p for p in self._ends.leaves.values() if p.grad is not None]
        self._reached.update(map(id, reached))
        weights = {id(p): version_of(p) for p in reached}
        if self._cleared is not None and self._cleared[:2] == (line, weights):
            self._lost = line
        self._pass = (line, weights, {id(p): _identify_gradient(p) for p in reached})
        with disable_tracking():
            self._norm = _measure([p.grad for p in reached])
        return result

    def _clear(self, *_: Any, **__: Any) -> None:
        """Forget the gradients, which are cleared now."""
        self._added.clear()
        # A gradient scaler skips a step whose gradients overflow.
        if not self._in_optimizer and self._pass is not None and math.isfinite(self._norm):
            self._cleared, self._pass = self._pass, None

    def _check_added(self, optimizer: Optimizer, *_: Any) -> None:
        added = [p for p in _list_parameters(optimizer) if p.grad is not None and id(p) in self._added]
        if added:
            sentence = f"the gradients of the step before are still there, and new ones are added ({self._list(added)})"
            self._report(self._added[id(added[0])], "backward", sentence, "call optimizer.zero_grad() in each step")

    # Gradient scalers and clipping

    def _scale(self, scaler: torch.amp.GradScaler, *_: Any, **__: Any) -> None:
        if not scaler.is_enabled():
            return
        self._scaled = self._lines.caller()
        if id(scaler) in self._new and not any(id(o) in self._new for o in _list_optimizers()):
            sentence = "each step creates a gradient scaler, which begins with its first scale and never adapts"
            self._report(self._scaled, "scale", sentence, "create the scaler once, before the loop")

    def unscale(self) -> None:
        """Take note that a gradient scaler has divided the gradients by its scale."""
        self._scaled = None

    def _clip(self, parameters: Any, max_norm: float, total_norm: Any, *_: Any, **__: Any) -> None:
        line, clipped = self._lines.caller(), [p for p in parameters if p.grad is not None]
        with disable_tracking():
            is_early = float(total_norm) == 0.0
        self._early = line if is_early and not self._backwards else None
        if self._scaled is not None and not is_early and math.isfinite(max_norm):
            sentence = "the gradients that are clipped here are still multiplied by the scale of the gradient scaler"
            self._report(line, "clip_grad_norm_", sentence, "call scaler.unscale_(optimizer) before clipping")
        if clipped and math.isfinite(max_norm) and all(id(p) in self._moved for p in clipped):
            sentence = "gradients are clipped after the optimizer has used them: clipping has no effect"
            self._report(line, "clip_grad_norm_", sentence, _CLIP)

    # Optimizers

    def _enter_optimizer(self, optimizer: Optimizer, *_: Any) -> None:
        self._check_added(optimizer)
        changed = [p for p in _list_parameters(optimizer) if p.grad is not None]
        self._check_lost(changed)
        self._check_zeros(changed)
        self._in_optimizer = True
        again = [p for p in changed if id(p) in self._moved]
        self._again = (self._backwards, again, self._moved[id(again[0])]) if again else None
        if self._scaled is not None and changed:
            sentence = "the optimizer takes gradients that are still multiplied by the scale of the gradient scaler"
            remedy = "call scaler.step(optimizer) and scaler.update() instead of optimizer.step()"
            self._report(self._lines.caller(), "step", sentence, remedy)

    def _leave_optimizer(self, optimizer: Optimizer, *_: Any) -> None:
        line = self._lines.caller()
        self._in_optimizer = False
        self._steps[optimizer] += 1
        parameters = _list_parameters(optimizer)
        changed = [p for p in parameters if p.grad is not None]
        if self._again is not None and self._again[0] == self._backwards:
            first = self._again[2]
            sentence = f"two optimizers use the same gradient (line {first.number}): {self._list(self._again[1])}"
            self._report(line, "step", sentence, "give each parameter to one optimizer")
        self._moved.update({id(p): line for p in changed})
        self._used.update({id(p): p for p in changed})
        if changed and _is_at_rest(optimizer):
            self._resting.append((optimizer, line))
        self._check_settings(optimizer, line)
        if parameters and not changed:
            self._report(line, "step", *self._explain_rest(optimizer))
        elif changed and self._backwards:
            self._check_missing(line, [p for p in parameters if p.grad is None])
            self._check_cleared(line, changed)
            self._check_unregistered()
            self._check_modes(changed)
        if self._early is not None and changed and self._backwards:
            sentence = "gradients are clipped before backward computes them: clipping has no effect"
            self._report(self._early, "clip_grad_norm_", sentence, _CLIP)

    def _check_lost(self, changed: Sequence[Tensor]) -> None:
        """Report gradients that were cleared between the parts of a batch."""
        lost, used = self._lost, self._pass
        self._lost = self._cleared = self._pass = None
        # The step may have combined the gradients of several passes itself.
        if lost and used and all(used[2].get(id(p)) == _identify_gradient(p) for p in changed):
            sentence = "the gradients of this pass are cleared before an optimizer uses them: only the last pass counts"
            self._report(lost, "backward", sentence, "call zero_grad once, before the loop over the parts of a batch")

    def _check_zeros(self, changed: Sequence[Tensor]) -> None:
        """Report factors that are zero together, so that neither ever has a gradient."""
        matrices = [p for p in changed if p.dim() > 1 and p.grad is not None and p.grad.layout is torch.strided]
        with disable_tracking():
            zeros = [p for p in matrices if not p.any()]
            still = [p for p in zeros if p.grad is not None and not p.grad.any()]
        if len(still) > 1 and len(still) == len(zeros):
            sentence = f"these parameters and their gradients are 0, so that they stay 0: {self._list(still)}"
            remedy = "begin with random numbers in one of two factors that are multiplied"
            self._report(self._lines.caller(), "step", sentence, remedy)

    def _explain_rest(self, optimizer: Optimizer) -> tuple[str, str]:
        """Say why no parameter of an optimizer has a gradient."""
        parameters = _list_parameters(optimizer)
        head = f"no parameter of {type(optimizer).__name__} has a gradient: step changes nothing"
        if any(id(p) in self._reached for p in parameters):
            remedy = "call zero_grad before backward, or after optimizer.step"
            return f"{head}, since the gradients were cleared after backward", remedy
        if not self._backwards:
            return f"{head}, since no backward pass ran before it", "call loss.backward() first"
        if others := self._list_unheld():
            remedy = "create the optimizer from the parameters that the model uses, after the model is complete"
            return f"{head}, and the gradients go to parameters in no optimizer ({self._list(others)})", remedy
        remedy = "keep the loss a result of torch's operations (no torch.tensor, item, numpy, detach or no_grad)"
        return f"{head}, since the loss does not depend on them for autograd", remedy

    def _check_missing(self, line: Line, missing: Sequence[Tensor]) -> None:
        """Report parameters of an optimizer that no gradient reaches although the step uses them, or that it left."""
        used = [p for p in missing if id(p) in self._ends.leaves and id(p) not in self._reached]
        # A penalty of a gradient depends on no bias of the last layer.
        if any(p.dim() > 1 for p in used):
            first = self._ends.untracked.get(id(used[0]))
            why, verb = "the loss does not depend on them", "make them part of the loss"
            if first is not None:
                why, verb = "their first use has no graph, as under no_grad", "use them with a graph"
            sentence = f"no gradient reaches parameters of the optimizer ({self._list(used)}): {why}"
            remedy = f"{verb}, or leave them out of the optimizer (requires_grad_(False))"
            self._report(first or line, "step", sentence, remedy)
        unheld = self._list_unheld() if any(id(p) not in self._ends.leaves for p in missing) else []
        if unheld:
            unused = [p for p in missing if id(p) not in self._ends.leaves]
            sentence = (
                f"the optimizer holds {self._list(unused)}, which the step does not use, and not {self._list(unheld)}"
            )
            self._report(line, "step", sentence, "create the optimizer after the last change of the model")

    def _check_cleared(self, line: Line, changed: Sequence[Tensor]) -> None:
        with disable_tracking():
            is_cleared = self._norm > 0.0 and _measure([p.grad for p in changed]) == 0.0
        if is_cleared and all(id(p) in self._reached for p in changed):
            sentence = "all gradients are 0 here, and were not after backward: they were cleared in between"
            self._report(line, "step", sentence, "call zero_grad before backward, or after optimizer.step")

    def _check_unregistered(self) -> None:
        """Report parameters that a module uses and does not list among its own."""
        foreign = {leaf: line for leaf, line in self._ends.unregistered.items() if leaf in self._reached}
        if not foreign:
            return
        unheld = [p for p in self._list_unheld() if id(p) in foreign]
        if unheld:
            names = self._list(unheld)
            sentence = f"parameters are not registered in the module that uses them, and in no optimizer: {names}"
            remedy = "create layers in __init__, as attributes of the module or in nn.ModuleList or nn.ParameterList"
            self._report(foreign[id(unheld[0])], "forward", sentence, remedy)

    def _check_settings(self, optimizer: Optimizer, line: Line) -> None:
        """Report settings of a group of parameters that the optimizer knows by another name."""
        for group in optimizer.param_groups:
            for name, known in KNOWN_AS.items():
                if name in group and name not in optimizer.defaults and known in optimizer.defaults:
                    sentence = f"{name} = {group[name]} of a group is ignored: {known} is {group[known]}"
                    self._report(line, "step", sentence, f"call it {known}")

    def _check_modes(self, changed: Iterable[Tensor]) -> None:
        """Report a model that is trained as a whole in evaluation mode, and an attribute that freezes nothing."""
        trained = set(map(id, changed))
        for module, is_training, line in self._ends.roots.values():
            own = list(module.parameters())
            is_trained = all(p.requires_grad for p in own) and any(id(p) in trained for p in own)
            for inner in module.modules():
                if vars(inner).get("requires_grad") is False and any(id(p) in trained for p in inner.parameters()):
                    sentence = (
                        f"requires_grad = False is an attribute of {type(inner).__name__}, and freezes no parameter"
                    )
                    self._report(line, "forward", sentence, "call module.requires_grad_(False)")
            if is_trained and not is_training and (layer := _find_layer_with_modes(module)) is not None:
                what = "does nothing" if isinstance(layer, Dropout) else "learns no statistics"
                sentence = f"the model is trained in evaluation mode: {type(layer).__name__} {what}"
                self._report(line, "forward", sentence, "call model.train() before the step")

    def check_dropped(self, operations: Sequence[Operation], kept: Iterable[Operation | None]) -> None:
        """Report updated values of parameters that nothing uses, writes or keeps, as after ``p = p - step`` in a loop.

        ``kept`` has the operations whose results are still in memory.
        """
        last = max((operation.number for operation in operations if operation.backward), default=len(operations))
        used = {id(writer) for operation in operations for writer in operation.writers} | set(map(id, kept))
        dropped: dict[Line, list[int]] = {}
        for operation in operations:
            leaf = next((source.leaf for source in operation.sources if source.leaf in self._ends.leaves), None)
            is_update = operation.number > last and operation.name in UPDATES and id(operation) not in used
            if is_update and leaf is not None and leaf not in self._ends.updated and _has_gradient(operation):
                dropped.setdefault(operation.line, []).append(leaf)
        for line, leaves in dropped.items():
            parameters = self._list([self._ends.leaves[leaf] for leaf in leaves])
            sentence = f"the result is a new tensor that nothing keeps, so that the step leaves {parameters} unchanged"
            self._report(line, "sub", sentence, "change the parameter in place under torch.no_grad(), as in p -= step")

    # Words

    def _list_unheld(self) -> list[Tensor]:
        """Return the parameters that have got a gradient and are in no optimizer."""
        held = {id(p) for optimizer in _list_optimizers() for p in _list_parameters(optimizer)}
        leaves = self._ends.leaves.items()
        return [p for leaf, p in leaves if leaf in self._reached and leaf not in held and isinstance(p, nn.Parameter)]

    def _list(self, parameters: Sequence[Tensor]) -> str:
        names = [self._ends.name(id(p)) for p in parameters[:LISTED]]
        names = [f"a parameter {list(p.shape)}" if " " in n else n for n, p in zip(names, parameters, strict=False)]
        rest = len(parameters) - LISTED
        return ", ".join(names) + (f" and {rest} more" if rest > 0 else "")

    def _report(self, line: Line, operation: str, sentence: str, remedy: str) -> None:
        found = make_finding((AuditKind.TRAINING, sentence, remedy), line, operation, torch.float32)
        if not any((found.line, found.sentence) == (other.line, other.sentence) for other in self.findings):
            self.findings.append(found)


def _has_gradient(operation: Operation) -> bool:
    """Whether an operation depends on a result of a backward pass."""
    seen = pending = {operation}
    while pending:
        pending = {writer for later in pending for writer in later.writers} - seen
        if any(earlier.backward for earlier in pending):
            return True
        seen |= pending
    return False


def _identify_gradient(parameter: Tensor) -> tuple[int, int] | None:
    """Return address and version of a dense gradient, which both change when it is cleared."""
    gradient = parameter.grad
    is_dense = gradient is not None and gradient.layout is torch.strided
    return (gradient.data_ptr(), version_of(gradient)) if gradient is not None and is_dense else None


def _call_before(function: Callable[..., Any], before: Callable[..., None]) -> Callable[..., Any]:
    """Return a function that calls another one first, with the same arguments."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        before(*args, **kwargs)
        return function(*args, **kwargs)

    return call


def _list_optimizers() -> Iterator[Optimizer]:
    """Yield the optimizers of this process."""
    return (thing for thing in gc.get_objects() if issubclass(type(thing), Optimizer))


def _list_parameters(optimizer: Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]


def _is_at_rest(optimizer: Optimizer) -> bool:
    return all("lr" in group and float(group["lr"]) == 0.0 for group in optimizer.param_groups)


def _has_averages(optimizer: Optimizer) -> bool:
    return any(AVERAGES & state.keys() for state in optimizer.state.values())


def _measure(gradients: Sequence[Any]) -> float:
    """Return the largest norm of dense gradients; infinity if there are others, or none."""
    if not gradients or any(gradient.layout is not torch.strided for gradient in gradients):
        return math.inf
    return max(float(norm) for norm in foreach_norm(list(gradients)))


def _find_layer_with_modes(module: nn.Module) -> nn.Module | None:
    """Return the first layer that computes something else in evaluation mode."""
    for layer in module.modules():
        if isinstance(layer, Dropout) and layer.p > 0.0:
            return layer
        if isinstance(layer, BatchNorm) and layer.track_running_stats:
            return layer
    return None
