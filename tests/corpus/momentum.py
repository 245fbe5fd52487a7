"""Deliberately wrong implementations of gradient descent with momentum."""

import torch
from corpus.specimen import loses, mutant, reported
from torch import Tensor

APART = {"decay": "decoupled"}


def _descend(
    parameter: Tensor, gradients: Tensor, lr: float, momentum: float, weight_decay: float, nesterov: bool
) -> Tensor:
    """Step by step in the dtype: sound but for the updates it loses."""
    buffer = None
    for gradient in gradients:
        d = gradient + weight_decay * parameter
        buffer = d if buffer is None else momentum * buffer + d
        parameter = parameter - lr * (d + momentum * buffer if nesterov else buffer)  # here
    return parameter.clone()


@mutant("sgd_with_momentum", "value", declares=APART)
@mutant("sgd_with_momentum", "updates_accumulate", dtype="bfloat16")
@loses(
    "sgd_with_momentum",
    "updates_accumulate",
    "accumulation sub",
    marked=_descend,
    bfloat16={
        "parameter": [1.0],
        "gradients": [[1.0]] * 6,
        "lr": 2.0**-10,
        "momentum": 0.0,
        "weight_decay": 0.0,
        "nesterov": False,
    },
)
@reported("sgd_with_momentum", "updates_accumulate", "long sum in bfloat16", "bfloat16")
def lost_updates(parameter: Tensor, gradients: Tensor, *hyper: float) -> Tensor:
    """The parameter is rounded at each step: 1 - 0.001 is 1 in bfloat16, however often."""
    return _descend(parameter, gradients, *hyper)  # type: ignore[arg-type]


@mutant("sgd_with_momentum", "value")
def nesterov_ignored(
    parameter: Tensor, gradients: Tensor, lr: float, momentum: float, weight_decay: float, nesterov: bool
) -> Tensor:
    """The flag is dropped on the way."""
    return _descend(parameter, gradients, lr, momentum, weight_decay, nesterov=False)


@mutant("sgd_with_momentum", "value")
def averaged_gradients(
    parameter: Tensor, gradients: Tensor, lr: float, momentum: float, weight_decay: float, nesterov: bool
) -> Tensor:
    """An exponential average: b = mu b + (1 - mu) d."""
    buffer = torch.zeros_like(parameter)
    for gradient in gradients:
        d = gradient + weight_decay * parameter
        buffer = momentum * buffer + (1 - momentum) * d
        parameter = parameter - lr * (d + momentum * buffer if nesterov else buffer)
    return parameter


@mutant("sgd_with_momentum", "zero_gradients_change_nothing")
def noisy(parameter: Tensor, gradients: Tensor, *hyper: float) -> Tensor:
    """Adds an eps."""
    return _descend(parameter, gradients + 1e-6, *hyper)  # type: ignore[arg-type]


@mutant("sgd_with_momentum", "no_momentum_is_plain_steps")
def momentum_never_zero(
    parameter: Tensor, gradients: Tensor, lr: float, momentum: float, weight_decay: float, nesterov: bool
) -> Tensor:
    """``momentum or 0.9``: zero is taken for absent."""
    return _descend(parameter, gradients, lr, momentum or 0.9, weight_decay, nesterov)


@mutant("sgd_with_momentum", "decay_shrinks_geometrically", declares=APART)
@mutant("sgd_with_momentum", "decay_shrinks_geometrically")
def decoupled_decay(
    parameter: Tensor, gradients: Tensor, lr: float, momentum: float, weight_decay: float, nesterov: bool
) -> Tensor:
    """The decay shrinks the parameter without regard to the rate."""
    for gradient in gradients:
        parameter = _descend(parameter * (1 - weight_decay), gradient[None], lr, momentum, 0.0, nesterov)
    return parameter


@mutant("sgd_with_momentum", "value", declares=APART)
def constant_decay(
    parameter: Tensor, gradients: Tensor, lr: float, momentum: float, weight_decay: float, nesterov: bool
) -> Tensor:
    """Subtracts a decay that does not depend on the parameter, like torch_optimizer's SGDW."""
    return _descend(parameter, gradients, lr, momentum, 0.0, nesterov) - lr * weight_decay * len(gradients)


@mutant("sgd_with_momentum", "homogeneous")
def clipped_gradients(parameter: Tensor, gradients: Tensor, *hyper: float) -> Tensor:
    """Gradients are clipped to +-1."""
    return _descend(parameter, gradients.clamp(-1.0, 1.0), *hyper)  # type: ignore[arg-type]


@mutant("sgd_with_momentum", "infinite_gradient")
def normalised_gradients(parameter: Tensor, gradients: Tensor, *hyper: float) -> Tensor:
    """Clips gradients by their norm: an infinite entry makes the others zero."""
    norm = gradients.norm(dim=1, keepdim=True)
    return _descend(parameter, torch.where(norm > 1e30, gradients / norm, gradients), *hyper)  # type: ignore[arg-type]
