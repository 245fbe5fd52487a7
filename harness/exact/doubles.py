"""Repeats an operation on shadows, with replacements where torch's operator is not exact enough."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from harness.exact.operator import FLOATING, Operator
from harness.exact.recurrent import one_dnn_layer, one_dnn_layer_backward

Instead = Callable[..., Any]


def replay(
    operator: Operator,
    args: Any,
    kwargs: Mapping[str, Any],
    shadow_of: Mapping[int, Tensor],
    result: Any,
) -> Any:
    """Repeat an operation on shadows, and change the shadows of tensors that it writes.

    Random draws are taken from ``result``.

    Raises
    ------
    RuntimeError, NotImplementedError, TypeError, IndexError
        If the operator does not exist in wider arithmetic.
    """
    wide_args = [
        shadow_of.get(id(value), value) if isinstance(value, Tensor) else _widened(value, shadow_of) for value in args
    ]
    wide_kwargs = {name: _widened(value, shadow_of) for name, value in kwargs.items()} if kwargs else {}
    return repeated(operator, wide_args, wide_kwargs, args, result)


def repeated(operator: Operator, wide_args: Any, wide_kwargs: Any, args: Any, result: Any) -> Any:
    """Repeat an operation on wide tensors; ``args`` and ``result`` are from the step."""
    if (kink := _KINKED.get(operator.name)) is not None:
        wide_args = [*wide_args[:kink], args[kink].to(wide_args[kink].dtype), *wide_args[kink + 1 :]]
    instead = _INSTEAD.get(operator.name)
    if instead is not None:
        return instead(operator, wide_args, wide_kwargs, result)
    return operator.overload(*wide_args, **wide_kwargs)


def _widened(value: Any, shadow_of: Mapping[int, Tensor]) -> Any:
    if isinstance(value, int | float):
        return value
    if isinstance(value, Tensor):
        return shadow_of.get(id(value), value)
    if isinstance(value, list | tuple):
        return [_widened(inner, shadow_of) for inner in value]
    return torch.float64 if value in FLOATING else value


def _softplus(_operator: Operator, args: Any, _kwargs: Any, _result: Any) -> Tensor:
    """Return the definition, without the linear part above the threshold."""
    beta = args[1] if len(args) > 1 else 1.0
    return torch.logaddexp(args[0] * beta, torch.zeros_like(args[0])) / beta


def _softmax(operator: Operator, args: Any, _kwargs: Any, _result: Any) -> Any:
    """Omit the conversion to float32 that only exists for half precision."""
    return operator.overload(args[0], args[1], False)  # noqa: FBT003 - torch's signature


def _dropout(operator: Operator, args: Any, _kwargs: Any, result: Any) -> tuple[Tensor, Tensor]:
    """Use the mask that the step has drawn."""
    kept = 1 - args[1] if operator.name == "native_dropout" else args[1]
    return args[0] * result[1] / kept, result[1]


def _unscale(_operator: Operator, args: Any, _kwargs: Any, _result: Any) -> None:
    """Divide the gradients by the scale of ``torch.amp.GradScaler``."""
    for gradient in args[0]:
        gradient.mul_(args[2])


def _update_scale(_operator: Operator, args: Any, _kwargs: Any, result: Any) -> Any:
    """Take the new scale, which is exact."""
    return args[0].copy_(result)


_KINKED: Mapping[str, int] = {
    "threshold_backward": 1,
    "leaky_relu_backward": 1,
    "hardtanh_backward": 1,
    "hardswish_backward": 1,
    "hardsigmoid_backward": 1,
}
"""Index of the argument that decides the side of a kink; the shadow takes the side of the step."""

_INSTEAD: Mapping[str, Instead] = {
    "softplus": _softplus,
    "_softmax": _softmax,
    "_log_softmax": _softmax,
    "native_dropout": _dropout,
    "_fused_dropout": _dropout,
    "_amp_foreach_non_finite_check_and_unscale_": _unscale,
    "_amp_update_scale_": _update_scale,
    "mkldnn_rnn_layer": one_dnn_layer,
    "mkldnn_rnn_layer_backward": one_dnn_layer_backward,
}
