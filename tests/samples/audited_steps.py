"""Results of a training step, with and without an audit."""

import contextlib

import torch
from programs.audited import SMALL, Audited
from torch import Tensor

import harness
from harness.record.audit import Mode, WhatIf


def made(name: str, what_if: WhatIf | None) -> tuple[Audited, contextlib.AbstractContextManager[object]]:
    """Make the step of a model in a format, and the context in which it is taken."""
    torch.manual_seed(0)
    step = SMALL[name]()
    if what_if is None:
        return step, contextlib.nullcontext()
    dtype = getattr(torch, what_if.removeprefix("autocast-"))
    if what_if.startswith("autocast-"):
        return step, torch.autocast("cpu", dtype)
    step.model.to(dtype)
    X, y = step.batch
    batch = X.to(dtype) if X.is_floating_point() else X, y
    return Audited(step.model, batch, step.optimizer), contextlib.nullcontext()


def left_behind(name: str, what_if: WhatIf | None, mode: Mode | None) -> list[Tensor]:
    """Take two steps, the first with an audit, and return all tensors and the next random numbers."""
    step, autocast = made(name, what_if)
    torch.manual_seed(1)
    with contextlib.nullcontext() if mode is None else harness.audit(mode=mode), autocast:
        step()
    with autocast:
        step()
    state = [value for values in step.optimizer.state.values() for value in values.values()]
    gradients = [parameter.grad for parameter in step.model.parameters()]
    return [x for x in (*step.model.state_dict().values(), *gradients, *state, torch.rand(4)) if isinstance(x, Tensor)]


def is_unchanged(name: str, what_if: WhatIf | None) -> bool:
    """Return whether an audit changes no bit of a step and of the next step; NaNs compare equal."""
    plain = left_behind(name, what_if, None)
    for mode in ("full", "events"):
        after = left_behind(name, what_if, mode)
        if len(plain) != len(after) or not all(map(_are_same, plain, after)):
            return False
    return True


def _are_same(a: Tensor, b: Tensor) -> bool:
    return a.dtype == b.dtype and torch.equal(a.view(-1).view(torch.uint8), b.view(-1).view(torch.uint8))
