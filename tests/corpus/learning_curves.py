"""Deliberately wrong implementations of learning curves."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from corpus.specimen import mutant
from torch import Tensor


def _softmax_slope(X: Tensor, y: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return (X @ weight.T + bias).softmax(1) - F.one_hot(y, len(weight)).to(X.dtype)


def _curves(*, after_step: bool, peeks: bool) -> Callable[..., Any]:
    def curves(X: Tensor, y: Tensor, Xh: Tensor, yh: Tensor, k: int, epochs: int, lr: float) -> Any:
        W, b = X.new_zeros(k, X.shape[1]), X.new_zeros(k)
        losses: tuple[list[Tensor], list[Tensor]] = ([], [])
        mean = Xh.mean(0) if peeks else 0.0
        for epoch in range(epochs + 1):
            if epoch > 0 or after_step:
                s = _softmax_slope(X - mean, y, W, b)
                W, b = W - lr * s.T @ (X - mean) / len(X), b - lr * s.sum(0) / len(X)
            for row, (A, labels) in zip(losses, ((X - mean, y), (Xh - mean, yh)), strict=True):
                row.append(F.cross_entropy(A @ W.T + b, labels))
        return tuple(torch.stack(row) for row in losses)

    return curves


mutant("learning_curves", "follow_gradient_descent")(_curves(after_step=True, peeks=False))
mutant("learning_curves", "held_out_data_is_not_trained_on")(_curves(after_step=False, peeks=True))
