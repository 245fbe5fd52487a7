"""Functions of torch that are looked up once, before other code is loaded, so that it cannot replace them.

Code under test may replace ``torch.autograd.grad``, or a function that it calls, by code that knows the right gradient.
The backward passes here call the C++ engine directly.
"""

import contextvars
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

_run_backward = torch.autograd.Variable._execution_engine.run_backward
# Around it, these are called where torch itself calls them. In torch 2.9, the first one exists for other uses, and adds
# no reference to the object: the next call would free an object that is already free.
_called_by_torch = getattr(getattr(torch.autograd.graph._engine_run_backward, "__code__", None), "co_names", ())
_keep_context = torch._C._stash_obj_in_tls if "_stash_obj_in_tls" in _called_by_torch else None
_drop_context = torch._C._remove_obj_from_tls if "_remove_obj_from_tls" in _called_by_torch else None
_copy_context, _tuple = contextvars.copy_context, tuple

get_rng_state, set_rng_state, equal = torch.get_rng_state, torch.set_rng_state, torch.equal
zeros_like, stack, cat, linspace, tensor = torch.zeros_like, torch.stack, torch.cat, torch.linspace, torch.tensor
no_grad, set_grad_enabled = torch.no_grad, torch.set_grad_enabled
inference_mode, autocast = torch.inference_mode, torch.autocast
detach, clone, to = Tensor.detach, Tensor.clone, Tensor.to
get_num_threads, set_num_threads = torch.get_num_threads, torch.set_num_threads
get_default_dtype, set_default_dtype = torch.get_default_dtype, torch.set_default_dtype


def grad(
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor],
    cotangents: Sequence[Tensor],
    *,
    keep: bool = False,
    create: bool = False,
) -> tuple[Tensor | None, ...]:
    """Return the gradients of weighted outputs in some inputs; ``None`` for an input that has no part in them."""
    found: tuple[Tensor | None, ...] = _run(
        outputs, cotangents, keep or create, create, _tuple(inputs), allow_unreachable=True, accumulate=False
    )
    return found


def backward(outputs: Sequence[Tensor], cotangents: Sequence[Tensor]) -> None:
    """Accumulate the gradients of weighted outputs in all leaves, and retain the graph."""
    _run(outputs, cotangents, True, False, (), allow_unreachable=True, accumulate=True)  # noqa: FBT003 - the engine's


def _run(
    outputs: Sequence[Tensor], cotangents: Sequence[Tensor], *flags: Any, allow_unreachable: bool, accumulate: bool
) -> Any:
    if _keep_context is not None:
        _keep_context("context", _copy_context())
    try:
        return _run_backward(
            _tuple(outputs), _tuple(cotangents), *flags, allow_unreachable=allow_unreachable, accumulate_grad=accumulate
        )
    finally:
        if _drop_context is not None:
            _drop_context("context")
