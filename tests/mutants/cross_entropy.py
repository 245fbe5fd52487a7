"""Deliberately wrong implementations of the cross-entropy of logits."""

import torch
import torch.nn.functional as F
from mutants.mutant import Mutant
from torch import Tensor


def _picked(log_p: Tensor, labels: Tensor) -> Tensor:
    return -log_p[torch.arange(len(labels)), labels]


def cross_entropy_by_log(x: Tensor, labels: Tensor) -> Tensor:
    """-log(softmax(x))[t]: inf from a gap of 104."""
    return _picked(x.softmax(-1).log(), labels).mean()


def cross_entropy_clamped(x: Tensor, labels: Tensor) -> Tensor:
    """The clamp that homework answers propose: the loss stops at 16.118, its gradient is zero there."""
    return _picked(x.softmax(-1).clamp(1e-7, 1.0).log(), labels).mean()


def cross_entropy_twice(x: Tensor, labels: Tensor) -> Tensor:
    """Softmax applied twice."""
    return F.cross_entropy(x.softmax(-1), labels)


def cross_entropy_with_epsilon(x: Tensor, labels: Tensor) -> Tensor:
    """log(p + eps) is positive where p is one."""
    return _picked((x.softmax(-1) + 1e-3).log(), labels).mean()


MUTANTS = [
    Mutant(cross_entropy_twice, "cross_entropy", "value"),
    Mutant(cross_entropy_by_log, "cross_entropy", "finite_on_extreme_logits"),
    Mutant(cross_entropy_with_epsilon, "cross_entropy", "not_negative"),
    Mutant(F.cross_entropy, "cross_entropy", "loss_not_lost"),
    Mutant(cross_entropy_clamped, "cross_entropy", "gradient"),
]
