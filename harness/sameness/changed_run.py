"""Recordings of a function or a step without and with a change."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from harness.calling.device import call_on, refuse_absent
from harness.compat.torch import tree_map
from harness.error import UsageError
from harness.exact.tape import NARROW, is_floating
from harness.sameness.change import Change, require_fit
from harness.sameness.elsewhere import begin_elsewhere
from harness.sameness.objects import list_batch, load_state, save_state
from harness.sameness.recording import Recording
from harness.sameness.rows import record_rows
from harness.sameness.side import Side
from harness.timing.clock import threads

Pair = tuple[Recording, Recording]
Methods = Sequence[tuple[Any, str]]

PARTS = ("accumulation", "accumulation_steps", "gradient_accumulation_steps", "accumulate", "parts", "micro_batches")
"""Names of the parameter of a step that accumulates gradients by itself."""


def record_changed(side: Side, change: Change, shapes: Sequence[Sequence[int]]) -> Pair:
    """Record a side without a change and with it.

    Raises
    ------
    UsageError
        If it cannot be changed in this way.
    """
    require_fit(change, is_step=side.is_step)
    if change.kind in _APART:
        return _record_apart(side, _APART[change.kind], change.value)
    if change.kind in _RECORDED:
        return _RECORDED[change.kind](side, change.value)
    with begin_elsewhere(side, change, shapes) as receive:
        return side.record(), receive()


# Runs that cannot be recorded


def _record_apart(side: Side, run: Callable[[Side, Recording, str], None], value: str) -> Pair:
    """Record two sides without the change; a changed run then replaces the results of the second."""
    pair = side.record(), side.open_again().record()
    run(side.open_again(), pair[1], value)
    return pair


def _run_compiled(side: Side, recording: Recording, backend: str) -> None:
    known = torch.compiler.list_backends(exclude_tags=())
    if backend not in known:
        raise UsageError(f"unknown backend `{backend}` of torch.compile", rule=f"choose from {', '.join(known)}")
    with side.enter() as objects:
        for x in objects.values():
            if isinstance(x, torch.optim.Optimizer):
                # Compiled, Adam would compute 1 - beta**step in float32, which is less accurate than its other code.
                vars(x)["step"] = torch.compiler.disable(x.step)
    side.run_apart(recording, partial(torch.compile, backend=backend))


def _run_on_device(side: Side, recording: Recording, device: str) -> None:
    refuse_absent(device)
    if not side.is_step:
        side.run_apart(recording, lambda function: lambda *inputs: call_on(device, function, inputs))
        return
    with side.enter() as objects:
        for x in objects.values():
            if isinstance(x, Tensor):
                x.data = x.data.to(device)
            elif isinstance(x, torch.nn.Module):
                x.to(device)
    side.run_apart(recording)


_APART = {"compile": _run_compiled, "device": _run_on_device}

# Runs that are recorded


def _record_with_threads(side: Side, value: str) -> Pair:
    plain = side.record()
    with threads(int(value)):
        return plain, side.open_again().record()


def _record_autocast(side: Side, value: str) -> Pair:
    dtypes = {str(dtype).removeprefix("torch."): dtype for dtype in NARROW}
    if value not in dtypes:
        raise UsageError(f"cannot apply `autocast={value}`", rule=f"choose from {', '.join(dtypes)}")

    def narrow(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            with torch.autocast("cpu", dtypes[value]):
                returned = function(*arguments, **options)
            # Compared as numbers, because autocast is for narrower results.
            return tree_map(lambda x: x.float() if is_floating(x) and x.dtype in NARROW else x, returned)

        return call

    again = side.open_again()
    return side.record(), again.record(again.make_calls(narrow))


def _record_resumed(side: Side, _value: str) -> Pair:
    with side.enter() as objects:
        side.case.function()
        saved = save_state(objects)
    again = side.open_again()
    with again.enter() as objects:
        load_state(objects, saved)
    return side.record(side.make_calls()[1:]), again.record(again.make_calls()[1:])


def _record_setting(side: Side, setting: str) -> Pair:
    again = side.open_again()
    with again.enter() as objects:
        groups = [g for x in objects.values() if isinstance(x, torch.optim.Optimizer) for g in x.param_groups]
    chosen = [group for group in groups if setting in group]
    if not chosen:
        raise UsageError(f"cannot apply `{setting}`", rule=f"the step must read an optimizer that has `{setting}`")
    for group in chosen:
        group.update({name: name == setting for name in ("foreach", "fused") if name in group})
    return side.record(), again.record()


def _record_accumulated(side: Side, value: str) -> Pair:
    again, parts = side.open_again(), int(value)
    parameters = inspect.signature(again.case.function).parameters
    keyword = next((name for name in PARTS if name in parameters), None)
    if keyword is not None:
        return side.record(), again.record(again.make_calls(lambda step: partial(step, **{keyword: parts})))
    with again.enter() as objects:
        batch = list_batch(objects, parts)
        optimizers = [x for x in objects.values() if isinstance(x, torch.optim.Optimizer)]
        models = [x for x in objects.values() if isinstance(x, torch.nn.Module)]
        schedulers = [x for x in objects.values() if isinstance(x, torch.optim.lr_scheduler.LRScheduler)]
    if not batch or not optimizers:
        what = "its batch as tensors" if optimizers else "a `torch.optim` optimizer"
        remedy = "or give it a parameter `accumulation` with the default 1, the number of parts"
        raise UsageError(f"cannot apply `accumulation={value}`", rule=f"the step must read {what}", remedy=remedy)
    last = [(x, "step") for x in (*optimizers, *schedulers)]
    change = partial(partial, _accumulate, batch, parts, last, [(x, "zero_grad") for x in (*optimizers, *models)])
    return side.record(), again.record(again.make_calls(change))


def _accumulate(batch: Sequence[Tensor], parts: int, last: Methods, first: Methods, step: Callable[[], Any]) -> Any:
    """Call a step on each part of its batch, with the share of the part as the weight of its loss.

    Some methods do something with the last part only, and others with the first part only.
    """
    whole = [x.data for x in batch]
    lengths = [len(x) for x in whole[0].tensor_split(parts)]
    returned = []
    try:
        for number, length in enumerate(lengths):
            start, share = sum(lengths[:number]), length / len(whole[0])
            for x, values in zip(batch, whole, strict=True):
                x.data = values[start : start + length]
            idle = [*(last if number + 1 < len(lengths) else ()), *(first if number else ())]
            with _without(idle), _scale_losses(share):
                returned.append(tree_map(lambda x, share=share: x * share if _is_loss(x) else x, step()))
    finally:
        for x, values in zip(batch, whole, strict=True):
            x.data = values
    return tree_map(lambda *parts: sum(parts) if _is_loss(parts[0]) else _join(parts), *returned)


def _is_loss(x: Any) -> bool:
    return isinstance(x, Tensor) and x.ndim == 0 and is_floating(x)


def _join(parts: Sequence[Any]) -> Any:
    return torch.cat(list(parts)) if isinstance(parts[0], Tensor) and parts[0].ndim else parts[0]


@contextmanager
def _without(methods: Methods) -> Iterator[None]:
    """Let methods do nothing."""
    with ExitStack() as stack:
        for owner, name in methods:
            stack.enter_context(patch.object(owner, name, lambda *_, **__: None))
        yield


@contextmanager
def _scale_losses(share: float) -> Iterator[None]:
    """Multiply losses before their backward pass."""
    backward = Tensor.backward

    def scaled(loss: Tensor, *arguments: Any, **options: Any) -> None:
        backward(loss * share, *arguments, **options)  # type: ignore[no-untyped-call]

    with patch.object(Tensor, "backward", scaled):
        yield


_RECORDED: dict[str, Callable[[Side, str], Pair]] = {
    "threads": _record_with_threads,
    "autocast": _record_autocast,
    "batch": record_rows,
    "resume": _record_resumed,
    "foreach": lambda side, _: _record_setting(side, "foreach"),
    "fused": lambda side, _: _record_setting(side, "fused"),
    "accumulation": _record_accumulated,
}
