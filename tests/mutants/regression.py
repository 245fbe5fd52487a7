"""Deliberately wrong implementations of trainings of linear and softmax regression."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from mutants.mutant import Mutant
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


_in_place_linear_step = _step(_linear_slope, keep_start=False, bias_moves=True)


_in_place_softmax_step = _step(_softmax_slope, keep_start=False, bias_moves=True)


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


MUTANTS = [
    Mutant(_nominal_tail(_linear_slope), "linear_regression", "follows_gradient_descent"),
    Mutant(_in_place(_linear_slope), "linear_regression", "inputs_unmodified"),
    Mutant(_frozen_bias(_linear_slope), "linear_regression", "recovers_the_true_parameters"),
    Mutant(_nominal_tail(_softmax_slope), "softmax_regression", "follows_gradient_descent"),
    Mutant(_in_place(_softmax_slope), "softmax_regression", "inputs_unmodified"),
    Mutant(
        _step(_linear_slope, keep_start=True, bias_moves=False), "linear_regression_step", "follows_gradient_descent"
    ),
    Mutant(_in_place_linear_step, "linear_regression_step", "inputs_unmodified"),
    Mutant(
        _step(_softmax_slope, keep_start=True, bias_moves=False), "softmax_regression_step", "follows_gradient_descent"
    ),
    Mutant(_in_place_softmax_step, "softmax_regression_step", "inputs_unmodified"),
    Mutant(_goes_on(_linear_slope), "linear_regression", "calls_agree"),
    Mutant(_goes_on(_softmax_slope), "softmax_regression", "calls_agree"),
    Mutant(_unset_gradient(_linear_slope), "linear_regression_step", "calls_agree"),
    Mutant(_unset_gradient(_softmax_slope), "softmax_regression_step", "calls_agree"),
]
