"""Deliberately wrong implementations of trainings of linear and softmax regression."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from corpus.specimen import mutant, reported
from torch import Tensor


def _linear_slope(X: Tensor, y: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return 2 * (X @ weight.T + bias - y.unsqueeze(1))


def _softmax_slope(X: Tensor, y: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return (X @ weight.T + bias).softmax(1) - F.one_hot(y, len(weight)).to(X.dtype)


def _nominal_tail(slope: Callable[..., Tensor]) -> Callable[..., Any]:
    """Divide every minibatch by the size of the first: wrong for the tail."""

    def train(X: Tensor, y: Tensor, batches: list[Tensor], lr: float, start: tuple[Tensor, Tensor]) -> Any:
        weight, bias = (part.clone() for part in start)
        for batch in batches:
            s = slope(X[batch], y[batch], weight, bias)
            weight, bias = weight - lr * s.T @ X[batch] / len(batches[0]), bias - lr * s.sum(0) / len(batches[0])
        return weight, bias

    return train


def _in_place(slope: Callable[..., Tensor]) -> Callable[..., Any]:
    """Train on the start that was handed in."""

    def train(X: Tensor, y: Tensor, batches: list[Tensor], lr: float, start: tuple[Tensor, Tensor]) -> Any:
        weight, bias = start
        for batch in batches:
            s = slope(X[batch], y[batch], weight, bias)
            weight -= lr * s.T @ X[batch] / len(batch)
            bias -= lr * s.sum(0) / len(batch)
        return weight, bias

    return train


def _frozen_bias(slope: Callable[..., Tensor]) -> Callable[..., Any]:
    """The bias is not trained."""

    def train(X: Tensor, y: Tensor, batches: list[Tensor], lr: float, start: tuple[Tensor, Tensor]) -> Any:
        weight, bias = (part.clone() for part in start)
        for batch in batches:
            weight = weight - lr * slope(X[batch], y[batch], weight, bias).T @ X[batch] / len(batch)
        return weight, bias

    return train


def _step(slope: Callable[..., Tensor], *, keep_start: bool, bias_moves: bool) -> Callable[..., Any]:
    def make(weight: Tensor, bias: Tensor, lr: float) -> Any:
        if keep_start:
            weight, bias = weight.clone(), bias.clone()

        def step(X: Tensor, y: Tensor) -> Tensor:
            s = slope(X, y, weight, bias)
            weight.sub_(lr * s.T @ X / len(X))
            if bias_moves:
                bias.sub_(lr * s.sum(0) / len(X))
            return s.sum()

        return step, (weight, bias)

    return make


def _goes_on(slope: Callable[..., Tensor]) -> Callable[..., Any]:
    """Starts at the end of the previous training."""
    ended: list[tuple[Tensor, Tensor]] = []

    def train(X: Tensor, y: Tensor, batches: list[Tensor], lr: float, start: tuple[Tensor, Tensor]) -> Any:
        weight, bias = ended.pop() if ended and ended[0][0].shape == start[0].shape else start
        for batch in batches:
            s = slope(X[batch], y[batch], weight, bias)
            weight, bias = weight - lr * s.T @ X[batch] / len(batch), bias - lr * s.sum(0) / len(batch)
        ended[:] = [(weight, bias)]
        return weight.clone(), bias.clone()

    return train


def _unset_gradient(slope: Callable[..., Tensor]) -> Callable[..., Any]:
    """The gradient is added to memory that was never set to zero."""

    def make(weight: Tensor, bias: Tensor, lr: float) -> Any:
        weight, bias = weight.clone(), bias.clone()
        gradient = torch.empty_like(weight)

        def step(X: Tensor, y: Tensor) -> Tensor:
            s = slope(X, y, weight, bias)
            gradient.add_(s.T @ X / len(X))
            weight.sub_(lr * gradient)
            bias.sub_(lr * s.sum(0) / len(X))
            gradient.zero_()
            return s.sum()

        return step, (weight, bias)

    return make


for _slope, _name in ((_linear_slope, "linear_regression"), (_softmax_slope, "softmax_regression")):
    mutant(_name, "follows_gradient_descent")(_nominal_tail(_slope))
    mutant(_name, "inputs_unmodified")(_in_place(_slope))
    mutant(_name, "calls_agree")(_goes_on(_slope))
    mutant(f"{_name}_step", "follows_gradient_descent")(_step(_slope, keep_start=True, bias_moves=False))
    mutant(f"{_name}_step", "inputs_unmodified")(_step(_slope, keep_start=False, bias_moves=True))
    mutant(f"{_name}_step", "calls_agree")(_unset_gradient(_slope))
mutant("linear_regression", "recovers_the_true_parameters")(_frozen_bias(_linear_slope))
reported("linear_regression", "follows_gradient_descent", "nominal batch size")(_nominal_tail(_linear_slope))
