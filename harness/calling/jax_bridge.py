"""JAX functions on tensors: traced at each call, compiled once for each program and shape, and differentiable.

A function is called on abstract arrays, which gives its program. Equal programs share one compiled executable, so that
a call costs a trace and not a compilation of every operation. If the Python code behaves differently in another call,
its program is another one too. A function that cannot be traced is called operation by operation.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, is_grad_enabled
from torch.utils.dlpack import from_dlpack

Function = Callable[..., Any]

_compiled: dict[Any, Any] = {}
"""Executables by program and shapes."""


def call_jax(function: Function, inputs: Sequence[Any], options: dict[str, Any]) -> Any:
    """Call a function on JAX arrays, which share the tensors' memory, and let autograd follow the call.

    A call without a gradient returns the JAX result itself.
    """
    whole = partial(function, **options) if options else function
    tensors = {position: x for position, x in enumerate(inputs) if isinstance(x, Tensor)}
    if any(x.requires_grad for x in tensors.values()) and is_grad_enabled():
        rest = [None if position in tensors else x for position, x in enumerate(inputs)]
        return _Call.apply(_fix_other_arguments(whole, rest, [*tensors]), *tensors.values())  # type: ignore[no-untyped-call]
    return _run(whole, [_convert_to_jax(x) if isinstance(x, Tensor) else x for x in inputs])


def _convert_to_jax(x: Tensor) -> Any:
    from jax import numpy as jnp

    return jnp.from_dlpack(x.detach().contiguous())


def _fix_other_arguments(function: Function, arguments: Sequence[Any], places: Sequence[int]) -> Function:
    """Return a function of the arguments at some places; the other arguments are fixed."""

    def call_on_arrays(*arrays: Any) -> Any:
        inputs = list(arguments)
        for place, array in zip(places, arrays, strict=True):
            inputs[place] = array
        return function(*inputs)

    return call_on_arrays


def _run(function: Function, arguments: Sequence[Any]) -> Any:
    """Call a function as one compiled program, or operation by operation if it cannot be traced."""
    import jax

    places = [position for position, x in enumerate(arguments) if isinstance(x, jax.Array)]
    arrays = [arguments[place] for place in places]
    try:
        traced, shape = jax.make_jaxpr(_fix_other_arguments(function, arguments, places), return_shape=True)(*arrays)
        text = str(traced.jaxpr)
        leaves, tree = jax.tree.flatten(shape)
        if "callback" in text or not all(hasattr(leaf, "dtype") for leaf in leaves):
            return function(*arguments)
    except (TypeError, jax.errors.JAXTypeError, jax.errors.JAXIndexError):
        return function(*arguments)
    inputs = [*traced.consts, *arrays]
    key = text, tuple((jax.numpy.shape(x), str(jax.numpy.result_type(x))) for x in inputs)
    if key not in _compiled:
        _compiled[key] = jax.jit(partial(_evaluate_program, traced.jaxpr, len(traced.consts)))
    return jax.tree.unflatten(tree, _compiled[key](*inputs))


def _evaluate_program(program: Any, constants: int, *inputs: Any) -> Any:
    import jax

    return jax.core.eval_jaxpr(program, inputs[:constants], *inputs[constants:])


def _make_pullback(function: Function, count: int, wanted: Sequence[int]) -> Function:
    """Return the function that maps inputs and a cotangent to the gradients in some inputs."""
    import jax

    def compute_gradients(*arrays: Any) -> Any:
        inputs, cotangent = arrays[:count], arrays[count]
        value, pull = jax.vjp(_fix_other_arguments(function, inputs, wanted), *(inputs[place] for place in wanted))
        gradients = pull(jax.numpy.asarray(cotangent, value.dtype))
        return gradients if len(wanted) > 1 else gradients[0]

    return compute_gradients


class _Call(torch.autograd.Function):
    """A call whose backward pass is the function's own ``vjp``, which can be differentiated again."""

    @staticmethod
    def forward(ctx: Any, function: Function, *tensors: Tensor) -> Any:
        """Return the value: a tensor, or a tuple of them."""
        ctx.function = function
        ctx.save_for_backward(*tensors)
        value = _run(function, [_convert_to_jax(x) for x in tensors])
        return tuple(map(from_dlpack, value)) if isinstance(value, (tuple, list)) else from_dlpack(value)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> Any:
        """Return the gradients of the inputs that require one."""
        tensors = ctx.saved_tensors
        wanted = [i for i, x in enumerate(tensors) if x.requires_grad]
        back = _make_pullback(ctx.function, len(tensors), wanted)
        result = _Call.apply(back, *tensors, *cotangents)  # type: ignore[no-untyped-call]
        gradients = iter(result if isinstance(result, tuple) else (result,))
        return None, *(next(gradients).to(x.dtype) if i in wanted else None for i, x in enumerate(tensors))
