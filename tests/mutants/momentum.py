"""Deliberately wrong implementations of gradient descent with momentum."""

import torch
from mutants.mutant import Mutant
from torch import Tensor


def _descend(
    parameter: Tensor, gradients: Tensor, lr: float, momentum: float, weight_decay: float, nesterov: bool
) -> Tensor:
    """Step by step in the dtype: sound but for the updates it loses."""
    buffer = None
    for gradient in gradients:
        d = gradient + weight_decay * parameter
        buffer = d if buffer is None else momentum * buffer + d
        parameter = parameter - lr * (d + momentum * buffer if nesterov else buffer)
    return parameter.clone()


def lost_updates(parameter: Tensor, gradients: Tensor, *hyper: float) -> Tensor:
    """The parameter is rounded at each step: 1 - 0.001 is 1 in bfloat16, however often."""
    return _descend(parameter, gradients, *hyper)  # type: ignore[arg-type]


def nesterov_ignored(
    parameter: Tensor, gradients: Tensor, lr: float, momentum: float, weight_decay: float, nesterov: bool
) -> Tensor:
    """The flag is dropped on the way."""
    return _descend(parameter, gradients, lr, momentum, weight_decay, nesterov=False)


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


def noisy(parameter: Tensor, gradients: Tensor, *hyper: float) -> Tensor:
    """Adds an eps."""
    return _descend(parameter, gradients + 1e-6, *hyper)  # type: ignore[arg-type]


def momentum_never_zero(
    parameter: Tensor, gradients: Tensor, lr: float, momentum: float, weight_decay: float, nesterov: bool
) -> Tensor:
    """``momentum or 0.9``: zero is taken for absent."""
    return _descend(parameter, gradients, lr, momentum or 0.9, weight_decay, nesterov)


def decoupled_decay(
    parameter: Tensor, gradients: Tensor, lr: float, momentum: float, weight_decay: float, nesterov: bool
) -> Tensor:
    """The decay shrinks the parameter without regard to the rate."""
    for gradient in gradients:
        parameter = _descend(parameter * (1 - weight_decay), gradient[None], lr, momentum, 0.0, nesterov)
    return parameter


def constant_decay(
    parameter: Tensor, gradients: Tensor, lr: float, momentum: float, weight_decay: float, nesterov: bool
) -> Tensor:
    """Subtracts a decay that does not depend on the parameter, like torch_optimizer's SGDW."""
    return _descend(parameter, gradients, lr, momentum, 0.0, nesterov) - lr * weight_decay * len(gradients)


def clipped_gradients(parameter: Tensor, gradients: Tensor, *hyper: float) -> Tensor:
    """Gradients are clipped to +-1."""
    return _descend(parameter, gradients.clamp(-1.0, 1.0), *hyper)  # type: ignore[arg-type]


def normalised_gradients(parameter: Tensor, gradients: Tensor, *hyper: float) -> Tensor:
    """Clips gradients by their norm: an infinite entry makes the others zero."""
    norm = gradients.norm(dim=1, keepdim=True)
    return _descend(parameter, torch.where(norm > 1e30, gradients / norm, gradients), *hyper)  # type: ignore[arg-type]


APART = {"decay": "decoupled"}

MUTANTS = [
    Mutant(constant_decay, "sgd_with_momentum", "value", declares=APART),
    Mutant(lost_updates, "sgd_with_momentum", "value", declares=APART),
    Mutant(decoupled_decay, "sgd_with_momentum", "decay_shrinks_geometrically", declares=APART),
    Mutant(averaged_gradients, "sgd_with_momentum", "value"),
    Mutant(nesterov_ignored, "sgd_with_momentum", "value"),
    Mutant(noisy, "sgd_with_momentum", "zero_gradients_change_nothing"),
    Mutant(momentum_never_zero, "sgd_with_momentum", "no_momentum_is_plain_steps"),
    Mutant(decoupled_decay, "sgd_with_momentum", "decay_shrinks_geometrically"),
    Mutant(clipped_gradients, "sgd_with_momentum", "homogeneous"),
    Mutant(normalised_gradients, "sgd_with_momentum", "infinite_gradient"),
    Mutant(lost_updates, "sgd_with_momentum", "updates_accumulate", dtype="bfloat16"),
]
